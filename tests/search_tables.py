"""Tables of searches on disk, as searches leave them: a known objective, settings drawn by seed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from handmade import REPOSITORY

from molcryst_bench.tuning.distributions import Choice
from molcryst_bench.tuning.journal import DONE, FAILED, STOPPED, Journal, Trial
from molcryst_bench.tuning.plan import plain_space
from molcryst_bench.tuning.settings import TuningSettings
from molcryst_bench.tuning.space import Parameter
from molcryst_bench.tuning.space_file import load_space

SPACE = load_space(REPOSITORY / "conf" / "spaces" / "paper.yaml", "physnet")
START = {
    "accumulate": 1,
    "precision": "32-true",
    "batch_size": 32,
    "epochs": 50,
    "gradient_clip": None,
    "learning_rate": 1e-3,
    "optimizer": "torch_adam",
    "weight_decay": 0.0,
}


def error_of(settings: Mapping[str, Any]) -> float:
    """The learning rate matters most, then the optimiser; nothing else does."""
    distance = abs(np.log10(settings["learning_rate"]) + 2)
    return float(100 * 10 ** (distance + 0.3 * (settings["optimizer"] == "sgd")))


def write_search(
    root: Path,
    method: str,
    seed: int,
    trials: int = 20,
    gain: float = 1.0,
    task: str = "qm9/homo",
    model: str = "physnet",
    budget: int | None = None,
    code: str = "c0de",
    cost: str = "none",
) -> Path:
    """Write the table of one search; of a larger gain later trials are nearer to the best rate."""
    settings = TuningSettings(method=method, seed=seed, cost=cost)
    identity = {
        "task": task,
        "model": model,
        "start": START,
        "space": plain_space(SPACE),
        "settings": settings.model_dump(exclude={"trials"}),
        "code": code,
    }
    folder = root / task / model / f"{method}-{seed}"
    journal = Journal.create(folder, identity)
    journal.budget = budget or trials
    draw = np.random.default_rng([seed, method == "cbo"])
    for number in range(trials):
        part = number / max(trials - 1, 1) * (1 - 1 / gain)
        journal.trials.append(_trial(number, method, draw, part, code))
    journal.write()
    return folder


def _trial(number: int, method: str, draw: np.random.Generator, part: float, code: str) -> Trial:
    settings = dict(START) if number == 0 else {p.name: _drawn(p, draw) for p in SPACE.parameters}
    if number:
        settings["learning_rate"] = float(settings["learning_rate"] ** (1 - part) * 1e-2**part)
    start = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(minutes=number)
    failed, stopped = number % 9 == 8, number % 4 == 3
    width = int(draw.integers(1, 200))
    return Trial(
        number,
        "published" if number == 0 else method,
        settings,
        None if number == 0 else {},
        "meV",
        2 * number,
        start,
        status=FAILED if failed else STOPPED if stopped else DONE,
        reason="the loss is not finite" if failed else "",
        error=None if failed else error_of(settings) * (1 + 1 / width),
        epochs=None if failed else 3 if stopped else 10,
        best_epoch=None if failed else 3,
        seconds=12.5,
        end=start + timedelta(seconds=12.5),
        worker="machine:1",
        told=2 * number + 1,
        parameters=None if failed else 1000 * width,
        code=code,
    )


def _drawn(parameter: Parameter, draw: np.random.Generator) -> Any:
    found = parameter.distribution
    if isinstance(found, Choice):
        return found.values[int(draw.integers(len(found.values)))]
    low, high = np.log10((found.low, found.high)) if found.log else (found.low, found.high)
    value = draw.uniform(low, high)
    value = 10**value if found.log else value
    return round(value) if found.whole else float(value)
