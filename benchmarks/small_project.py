"""A project with a store of a few molecules, for benchmarks of the runner."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from molcryst_bench.base.executors import InlineExecutor
from molcryst_bench.bench.cell import CellPlan
from molcryst_bench.bench.result import CellResult
from molcryst_bench.bench.seat import Driver
from molcryst_bench.graphs.build import BuildRequest, DatasetSettings, build_store
from molcryst_bench.graphs.draw import random_split
from molcryst_bench.graphs.split import save_split
from molcryst_bench.sources.card import load_card

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY / "tests"), str(REPOSITORY / "tests/bench")]

import handmade  # noqa: E402
from trivial_cells import copy_cell, write_template  # noqa: E402

__all__ = ["Quiet", "copy_cell", "make_project", "write_template"]


def make_project(root: Path, seeds: int) -> None:
    """Write ``params.yaml`` for one model with some seeds; make store and split if need be."""
    settings = {
        "profile": "trivial",
        "datasets": {"qm9": {}},
        "bench": {"tasks": ["qm9/homo"], "seeds": list(range(seeds))},
        "models": {"ridge": {}},
        "training": {"epochs": 1},
        "tracking": "none",
    }
    (root / "params.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    if not (root / "datasets").exists():
        _make_dataset(root / "datasets/qm9")


def _make_dataset(folder: Path) -> None:
    molecules = handmade.make_molecules(80)
    folder.mkdir(parents=True)
    shutil.copy(REPOSITORY / "datasets/qm9/card.yaml", folder)
    raw = folder / "raw"
    handmade.write_wheel(raw / handmade.WHEEL_NAME, molecules)
    handmade.write_archive(raw / handmade.ARCHIVE_NAME, molecules)
    handmade.write_failures(raw / handmade.FAILURES_NAME, [])
    source = handmade.tiny_dataset(raw).sources[0]
    paths = {file.name: raw / file.name for file in source.files}
    request = BuildRequest(load_card("qm9"), source, paths, DatasetSettings())
    build_store(request, folder / "store.zarr", executor=InlineExecutor())
    split = random_split([molecule.id for molecule in molecules], (50, 15), seed=42)
    save_split(split, folder / "splits/random.parquet")


class Quiet:
    """An observer that says nothing."""

    def waiting(self, driver: Driver | None) -> None:
        """Nobody else is at work."""

    def started(self, plans: Sequence[CellPlan], finished: int) -> None:
        """Nothing to say."""

    def tick(self, running: Sequence[CellPlan]) -> None:
        """Nothing to say."""

    def again(self, plan: CellPlan, reason: str) -> None:
        """Nothing to say."""

    def ended(self, plan: CellPlan, result: CellResult | None, reason: str) -> None:
        """Nothing to say."""
