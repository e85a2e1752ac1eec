"""Stores that are copied to the disk of a node, once."""

from __future__ import annotations

from pathlib import Path

from bench_project import Record, write_params

from molcryst_bench.base.executors import InlineExecutor
from molcryst_bench.bench.campaign import Conditions
from molcryst_bench.bench.cell import plan_cells
from molcryst_bench.bench.runner import run_bench
from molcryst_bench.bench.staging import staged
from molcryst_bench.graphs.draw import random_split
from molcryst_bench.graphs.split import save_split
from molcryst_bench.graphs.store import GraphStore, open_store


def test_cells_read_a_copy_and_come_to_the_same(
    project: Path, tiny_store: GraphStore, tmp_path: Path
) -> None:
    plan = plan_cells(write_params(project, models={"ridge": {}}))[0]
    shared = run_bench([plan], project / "shared", InlineExecutor(), Record())[0]
    disk = tmp_path / "disk"
    conditions = Conditions(stage_to=disk)
    own = run_bench([plan], project / "own", InlineExecutor(), Record(), conditions)[0]
    assert own.weights_sha256 == shared.weights_sha256
    assert own.predictions_sha256 == shared.predictions_sha256
    (copy,) = disk.glob("qm9-*/store.zarr")
    open_store(copy).verify()
    assert (project / "own" / own.folder / "card.md").exists()


def test_a_copy_is_made_once_and_another_split_is_seen(
    project: Path, tiny_store: GraphStore, tmp_path: Path
) -> None:
    params = write_params(project, models={"ridge": {}})
    copy = staged(plan_cells(params)[0], tmp_path).store
    before = {path: path.stat().st_mtime_ns for path in copy.rglob("*")}
    other = random_split(tiny_store.ids.tolist(), (40, 20), seed=1)
    save_split(other, project / "datasets/qm9/splits/random.parquet")
    again = staged(plan_cells(params)[0], tmp_path).store
    assert again == copy
    assert {path: path.stat().st_mtime_ns for path in copy.rglob("*")} == before
    assert open_store(copy).split("random").digest == other.digest
