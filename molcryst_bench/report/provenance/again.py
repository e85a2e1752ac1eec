"""A cell trained once more, to see whether it gives the same numbers."""

from __future__ import annotations

from pathlib import Path

from molcryst_bench.base.project import store_path
from molcryst_bench.bench.cell import Cell as CellName
from molcryst_bench.bench.cell import CellPlan
from molcryst_bench.bench.result import CellResult
from molcryst_bench.report.provenance.chain import task_of
from molcryst_bench.report.provenance.links import Link
from molcryst_bench.report.provenance.numbers import agree
from molcryst_bench.report.results import Cell
from molcryst_bench.training.settings import TrainingSettings

_NUMBERS = (
    "mae",
    "rmse",
    "r2",
    "forces_mae",
    "forces_rmse",
    "forces_cosine",
    "coverage_90",
    "interval_90",
    "miscalibration",
    "valid_mae",
    "epochs",
    "best_epoch",
)


def plan_again(cell: Cell, threads: int) -> CellPlan:
    """Return what trains a cell once more, with the settings in its row.

    Args:
        cell: a row of ``results.parquet``; settings that a search has found are taken as they are.
        threads: of torch; numbers are the same to the last digit for equal ones.
    """
    task = task_of(cell)
    return CellPlan(
        cell=CellName(task.name, cell.model, cell.seed),
        task=task,
        profile=cell.profile,
        store=store_path(cell.dataset),
        hyperparameters=cell.hyperparameter_values,
        training=TrainingSettings.parse(cell.training_values, f"training of {cell.name}"),
        threads=threads,
        store_digest=cell.store_digest,
        split_digest=cell.split_digest,
        code_digest=cell.code_digest,
        key=cell.key,
        decisive={},
        tracking="none",
    )


def compare_again(cell: Cell, again: CellResult) -> Link:
    """Compare the numbers of a cell with those of a second training."""
    name = "trained again"
    pairs = {each: (getattr(cell, each), getattr(again, each)) for each in _NUMBERS}
    wrong = {each: pair for each, pair in pairs.items() if not _same(*pair)}
    if not wrong:
        return Link(name, "holds", f"the same numbers, {again.errors_in_words}")
    words = "; ".join(f"{each} {old} became {new}" for each, (old, new) in wrong.items())
    here = again.machine, again.torch_version
    if here == (cell.machine, cell.torch_version):
        return Link(name, "broken", words)
    there = f"{cell.machine}, torch {cell.torch_version}"
    advice = "digits depend on them, so this says little: train it there again"
    return Link(name, "unchecked", f"{words}. It was trained on {there}; {advice}")


def scratch_folder(root: Path) -> Path:
    """Return where cells are trained again; a killed training goes on from there."""
    return root / "runs" / "verify"


def _same(old: float | None, new: float | None) -> bool:
    if old is None or new is None:
        return old is new
    return agree(old, new)
