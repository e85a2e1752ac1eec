"""A benchmark that takes a second: two tasks, two models, two seeds on the small QM9."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from molcryst_bench.bench.cell import CellPlan
from molcryst_bench.bench.params import Params, load_params
from molcryst_bench.bench.result import CellResult
from molcryst_bench.bench.seat import Driver

SETTINGS: dict[str, Any] = {
    "profile": "test",
    "datasets": {"qm9": {}},
    "bench": {"tasks": ["qm9/homo", "qm9/zpve"], "seeds": [0, 1]},
    "models": {
        "ridge": {},
        "schnet": {"hyperparameters": {"width": 8, "interactions": 1, "gaussians": 8}},
    },
    "training": {"epochs": 2, "batch_size": 16},
    "executor": {"workers": 2},
    "tracking": "none",
}


def write_params(project: Path, **changes: Any) -> Params:
    """Write ``params.yaml``; ``a__b=value`` changes the key ``b`` under ``a``."""
    settings = yaml.safe_load(yaml.safe_dump(SETTINGS))
    for dotted, value in changes.items():
        *parents, key = dotted.split("__")
        place = settings
        for parent in parents:
            place = place[parent]
        place[key] = value
    (project / "params.yaml").write_text(yaml.safe_dump(settings))
    return load_params()


class Record:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.began: list[str] = []
        self.done: dict[str, CellResult] = {}
        self.failed: dict[str, str] = {}
        self.seen: set[str] = set()  # cells that were being run
        self.returned: list[tuple[str, str]] = []  # to the queue, and why

    def waiting(self, driver: Driver | None) -> None:
        raise AssertionError("nobody else is at work")

    def started(self, plans: Sequence[CellPlan], finished: int) -> None:
        self.began = [plan.cell.name for plan in plans]

    def tick(self, running: Sequence[CellPlan]) -> None:
        self.seen |= {plan.cell.name for plan in running}

    def again(self, plan: CellPlan, reason: str) -> None:
        self.returned.append((plan.cell.name, reason))

    def ended(self, plan: CellPlan, result: CellResult | None, reason: str) -> None:
        if result is None:
            self.failed[plan.cell.name] = reason
        else:
            self.done[plan.cell.name] = result
