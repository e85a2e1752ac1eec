"""The Pareto front of a search with two objectives: an error and a cost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from molcryst_bench.report.searches.reading import Comparison
from molcryst_bench.report.searches.trials import Ranked
from molcryst_bench.report.statistics import pareto_front
from molcryst_bench.tuning.cost import Costs
from molcryst_bench.tuning.journal import DONE

_LABELS = {"parameters": "parameters", "inference": "inference (ms per structure)"}
_FACTORS = {"parameters": 1.0, "inference": 1e3}


@dataclass(frozen=True)
class Front:
    """All trials that went on to their last epoch, and which of them no other one beats."""

    trials: tuple[Ranked, ...]
    costs: np.ndarray  # (trials,)
    errors: np.ndarray  # (trials,)
    label: str  # of the costs, with their unit

    @property
    def best(self) -> np.ndarray:
        """Places of the trials of the front, from the cheapest on, (front,)."""
        return pareto_front(self.costs, self.errors)

    @property
    def chosen(self) -> list[Ranked]:
        """The trials of the front, from the cheapest on."""
        return [self.trials[place] for place in self.best]


def front_of(comparison: Comparison) -> Front | None:
    """Return the front of searches with a cost; nothing for others."""
    cost = comparison.cost
    if cost not in _LABELS:
        return None
    found = [
        (Ranked(search, trial, trial.error), value * _FACTORS[cost])
        for search in comparison.searches
        for trial in search.trials
        if trial.status == DONE
        and trial.error is not None
        and (value := Costs(trial.parameters, trial.inference_seconds).of(cost)) is not None
    ]
    if not found:
        return None
    trials = tuple(ranked for ranked, _ in found)
    costs = np.array([value for _, value in found], float)
    return Front(trials, costs, np.array([each.error for each in trials]), _LABELS[cost])
