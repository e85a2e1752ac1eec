"""Cheap objectives instead of trainings; at the top of a module, so that processes find them."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from handmade import REPOSITORY

from molcryst_bench.base.errors import RunError
from molcryst_bench.tuning.cost import Costs
from molcryst_bench.tuning.halving import Halving
from molcryst_bench.tuning.journal import Journal, Trial
from molcryst_bench.tuning.proposer import Proposer
from molcryst_bench.tuning.search import Run, Search
from molcryst_bench.tuning.settings import TuningSettings
from molcryst_bench.tuning.space import Space
from molcryst_bench.tuning.space_file import load_space
from molcryst_bench.tuning.trial import Outcome

START = {
    "accumulate": 1,
    "precision": "32-true",
    "batch_size": 32,  # outside the space
    "epochs": 50,
    "gradient_clip": None,
    "learning_rate": 1e-3,
    "optimizer": "torch_adam",
    "weight_decay": 0.0,
}


def valley(halving: Halving, number: int, settings: Mapping[str, Any]) -> Outcome:
    """Least for LAMB at a rate of 0.03 in batches of 300."""
    rate = abs(math.log10(settings["learning_rate"] / 0.03))
    error = rate + (settings["optimizer"] != "lamb") + abs(settings["batch_size"] - 300) / 300
    return Outcome(error, 3, 2, 0.0, False, [error], str(os.getpid()))


def troubles(halving: Halving, number: int, settings: Mapping[str, Any]) -> Outcome:
    """Fail in all the ways that there are."""
    if number == 1:
        raise RunError("the loss is not finite")
    if number == 2:
        os._exit(9)
    if number == 3:
        time.sleep(600)
    if number == 4:
        raise MemoryError("cannot allocate")
    outcome = valley(halving, number, settings)
    return outcome._replace(error=math.nan) if number == 5 else outcome


def nap(halving: Halving, number: int, settings: Mapping[str, Any]) -> Outcome:
    """Take from 1 to 2 seconds."""
    time.sleep(1 + (7 * number % 11) / 10)
    return valley(halving, number, settings)


def sized(halving: Halving, number: int, settings: Mapping[str, Any]) -> Outcome:
    """Have no error that matters, and as many weights as there are structures in a batch."""
    size = settings["batch_size"]
    return Outcome(1.0 + 1e-3 / size, 3, 2, 0.0, False, [1.0], "here", Costs(size))


class Quiet:
    """An observer that counts."""

    def __init__(self) -> None:
        self.told: list[int] = []
        self.turns: list[tuple[int, int]] = []

    def recalled(self, done: int, total: int) -> None:
        self.turns.append((done, total))

    def ended(self, trial: Trial, journal: Journal) -> None:
        self.told.append(trial.trial)


def paper_space() -> Space:
    return load_space(REPOSITORY / "conf" / "spaces" / "paper.yaml", "schnet")


def search_in(
    folder: Path, run: Run = valley, space: Space | None = None, **settings: Any
) -> Search:
    folder.mkdir(parents=True, exist_ok=True)
    chosen = TuningSettings(**settings)
    space = space or paper_space()
    return Search(
        space=space,
        start=START,
        run=run,
        proposer=Proposer(space, chosen, chosen.seed, folder),
        halving=Halving(folder / "rungs.json", chosen.halving),
        origin=chosen.method,
        error_unit="meV",
        budget=chosen.trials,
    )
