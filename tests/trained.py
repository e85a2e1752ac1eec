"""Projects with small trained models: two seeds on QM9, two with forces on springs."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Any

import springs
import yaml

from molcryst_bench.bench.cell import plan_cells
from molcryst_bench.bench.params import load_params
from molcryst_bench.bench.work import run_cell

SMALL = {"width": 4, "interactions": 1, "gaussians": 6}


def train_on_qm9(built_project: Path, root: Path) -> Path:
    """Return the folder that holds the seeds 0 and 1 of a model on ``qm9/homo``."""
    shutil.copytree(built_project, root)
    return _train(root, "qm9/homo", {"epochs": 1, "batch_size": 16})


def train_on_springs(root: Path) -> Path:
    """Return the folder that holds the seeds 0 and 1 of a model on ``rmd17/ethanol``."""
    root.mkdir()
    with contextlib.chdir(root):
        springs.make_store(root)
    return _train(root, "rmd17/ethanol", {"epochs": 1, "batch_size": 16})


def _train(root: Path, task: str, training: dict[str, Any]) -> Path:
    settings = {
        "profile": "test",
        "datasets": {task.partition("/")[0]: {}},
        "bench": {"tasks": [task], "seeds": [0, 1]},
        "models": {"schnet": {"hyperparameters": SMALL}},
        "training": training,
        "tracking": "none",
    }
    (root / "params.yaml").write_text(yaml.safe_dump(settings))
    with contextlib.chdir(root):
        for plan in plan_cells(load_params()):
            run_cell(plan, root / "results")
    return root / "results" / task / "schnet"
