"""Predictions of a trained regressor for one subset, and their errors."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch

from molcryst_bench.training.data import TaskData
from molcryst_bench.training.metrics import Errors, errors_of
from molcryst_bench.training.regressor import Regressor, predict_all


@dataclass(frozen=True)
class Predictions:
    """Targets and predictions of one subset, in the target's unit."""

    ids: np.ndarray  # (items,) str
    target: np.ndarray  # (items,) float64
    prediction: np.ndarray  # (items,) float64
    errors: Errors
    seconds: float  # that predicting took


def evaluate(
    regressor: Regressor, data: TaskData, subset: str, device: str | torch.device = "cpu"
) -> Predictions:
    """Predict all graphs of a subset and compare with their targets."""
    start = time.perf_counter()
    prediction = predict_all(regressor, data.batches(subset), torch.device(device)).numpy()
    seconds = time.perf_counter() - start
    target = data.targets(subset).numpy()
    errors = errors_of(prediction, target, data.task.definition)
    return Predictions(data.ids(subset), target, prediction, errors, seconds)
