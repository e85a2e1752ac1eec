"""Cells that take a moment: all that the runner does, and almost none of the training."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from molcryst_bench.base.files import whole_folder
from molcryst_bench.bench.cell import Cell, CellPlan
from molcryst_bench.bench.progress import HISTORY, history_writer
from molcryst_bench.bench.result import CellResult, write_result
from molcryst_bench.training.history import Epoch
from molcryst_bench.training.steps import Step

TEMPLATE, LOG = "TEMPLATE", "LOG"  # names of files beside the results


def many_cells(plan: CellPlan, count: int) -> list[CellPlan]:
    """Return cells that differ in their seeds and keys alone."""
    cells = []
    for seed in range(count):
        cell = Cell(plan.cell.task, plan.cell.model, seed)
        cells.append(replace(plan, cell=cell, key=f"{plan.key[:48]}{seed:016x}"))
    return cells


def write_template(leaderboard: Path, result: CellResult) -> None:
    """Keep a result for trivial cells to copy."""
    leaderboard.mkdir(parents=True, exist_ok=True)
    (leaderboard / TEMPLATE).write_text(json.dumps(result.model_dump()), encoding="utf-8")


def copy_cell(plan: CellPlan, results: Path, on_step: Callable[[Step], None]) -> CellResult:
    """Write a result as a cell does, at once."""
    known = json.loads((results.parent / TEMPLATE).read_text(encoding="utf-8"))
    known |= {"seed": plan.cell.seed, "key": plan.key, "folder": f"results/{plan.cell.name}"}
    result = CellResult(**known)
    with whole_folder(results / plan.cell.name) as partial:
        history_writer(partial / HISTORY)(Epoch(1, 0.5, result.valid_mae, 0.0, 0.01))
        write_result(partial, result)
    return result


def slow_copy(plan: CellPlan, results: Path, on_step: Callable[[Step], None]) -> CellResult:
    """Write a result after a second or two, and say so in a log that nothing removes."""
    time.sleep(0.5 + 0.25 * (plan.cell.seed % 9))
    result = copy_cell(plan, results, on_step)
    with (results.parent / LOG).open("a", encoding="utf-8") as log:
        log.write(f"{plan.cell.name} {os.getpid()}\n")
    return result


def logged(leaderboard: Path) -> Sequence[str]:
    """Return the cells whose work has been done, as often as it was."""
    return [line.split()[0] for line in (leaderboard / LOG).read_text().splitlines()]
