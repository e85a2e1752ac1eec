"""What a model costs whose settings are tried: its size, and the time that it takes to predict."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch

from molcryst_bench.base.errors import SettingsError
from molcryst_bench.models.interface import ClosedFormModel
from molcryst_bench.models.registry import create_model, get_model_class
from molcryst_bench.training.data import TaskData
from molcryst_bench.training.evaluate import evaluate
from molcryst_bench.training.fit import complete_hyperparameters
from molcryst_bench.training.regressor import Regressor
from molcryst_bench.tuning.settings import Cost

_ROUNDS = 3


class Costs(NamedTuple):
    """What a model costs, as far as it is known before it is trained."""

    parameters: int | None = None  # that a gradient moves
    inference_seconds: float | None = None  # of one structure of the validation subset

    def of(self, cost: Cost) -> float | None:
        """Return one of the costs, or nothing for none."""
        return {"parameters": self.parameters, "inference": self.inference_seconds}.get(cost)


def costs_of(data: TaskData, model: str, given: Mapping[str, Any], cost: Cost) -> Costs:
    """Return what a model costs; the time is the least of a few, with the making of batches.

    Args:
        data: of the task.
        model: a registered model; one that is fitted in one step has no costs before that.
        given: its hyperparameters.
        cost: that is searched for; time is not measured in vain.
    """
    if issubclass(get_model_class(model), ClosedFormModel):
        return Costs()
    hyperparameters = complete_hyperparameters(data.task, data.store, model, given)
    with torch.random.fork_rng(devices=[]):
        regressor = Regressor(create_model(model, **hyperparameters))
    parameters = sum(weights.numel() for weights in regressor.model.parameters())
    if cost != "inference":
        return Costs(parameters)
    seconds = min(_seconds(regressor, data) for _ in range(_ROUNDS))
    return Costs(parameters, seconds / len(data.targets("valid")))


def _seconds(regressor: Regressor, data: TaskData) -> float:
    start = time.perf_counter()
    evaluate(regressor, data, "valid")
    return time.perf_counter() - start


def check_cost(model: str, cost: Cost) -> None:
    """Refuse a cost that nobody knows before a model is fitted.

    Raises:
        SettingsError: for a model that is fitted in one step.
    """
    if cost != "none" and issubclass(get_model_class(model), ClosedFormModel):
        message = f"the cost of '{model}' is known when it has been fitted, not before"
        raise SettingsError(f"{message}: search without --cost")
