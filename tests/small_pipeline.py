"""A small profile of the real QM9, run as a user runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml
from checkout import copy_checkout
from interrupts import heed_interrupts

from molcryst_bench.graphs.store import open_store

SETTINGS: dict[str, Any] = {
    "profile": "small",
    "datasets": {"qm9": {"sample": {"size": 1000, "seed": 0}}},
    "bench": {"tasks": ["qm9/homo", "qm9/zpve"], "seeds": [0, 1]},
    "models": {
        "mean": {},
        "ridge": {},
        "schnet": {"hyperparameters": {"width": 32, "interactions": 1, "gaussians": 8}},
    },
    "training": {"epochs": 6, "batch_size": 32},
    "training_by_dataset": {},
    "dynamics": None,
    "interpret": None,
}
NUMBERS = ("mae", "rmse", "r2", "valid_mae", "key", "weights_sha256", "predictions_sha256")


class Project:
    """A checkout in which one can run the pipeline."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def set_params(self, settings: dict[str, Any]) -> None:
        (self.root / "params.yaml").write_text(yaml.safe_dump(settings))

    @property
    def environment(self) -> dict[str, str]:
        bin_folder = Path(sys.executable).parent
        return {**os.environ, "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}"}

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["molcryst", "repro"],
            cwd=self.root,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=heed_interrupts,
        )

    def run(self) -> str:
        process = self.start()
        output, _ = process.communicate(timeout=600)
        assert process.returncode == 0, output
        return output

    @property
    def store_digest(self) -> str:
        return open_store(self.root / "datasets/qm9/store.zarr").digest

    def numbers(self) -> dict[str, tuple[Any, ...]]:
        table = pq.read_table(self.root / "leaderboard" / "results.parquet")
        return {row["folder"]: tuple(row[name] for name in NUMBERS) for row in table.to_pylist()}

    def finished(self) -> dict[str, str]:
        """Return when each cell that stands in its place was finished."""
        cells = self.root.glob("leaderboard/results/*/*/*/[0-9]/cell.json")
        return {str(path.parent): json.loads(path.read_text())["finished"] for path in cells}


def make_project(root: Path) -> Project:
    copy_checkout(root)
    project = Project(root)
    project.set_params(SETTINGS)
    return project
