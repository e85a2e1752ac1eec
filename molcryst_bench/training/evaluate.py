"""Predictions of a trained regressor for one subset, and their errors."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch

from molcryst_bench.training.bootstrap import Bounds
from molcryst_bench.training.data import TaskData
from molcryst_bench.training.metrics import (
    Errors,
    ForceErrors,
    error_terms,
    errors_of,
    force_error_terms,
    force_errors_of,
    force_intervals_of,
    intervals_of,
)
from molcryst_bench.training.regressor import Regressor, predict_all
from molcryst_bench.training.task import Task


@dataclass(frozen=True)
class Forces:
    """Targets and predictions of the forces on all atoms of a subset, in the target's unit."""

    target: np.ndarray  # (nodes, 3) float64
    prediction: np.ndarray  # (nodes, 3) float64
    atoms: np.ndarray  # (items,) number of atoms of each item
    errors: ForceErrors


@dataclass(frozen=True)
class Predictions:
    """Targets and predictions of one subset, in the target's unit."""

    ids: np.ndarray  # (items,) str
    target: np.ndarray  # (items,) float64
    prediction: np.ndarray  # (items,) float64
    errors: Errors
    seconds: float  # that predicting took
    forces: Forces | None = None

    def intervals(self, task: Task) -> dict[str, Bounds]:
        """Return bootstrap intervals over the items of all errors by name.

        Those of the forces are named ``forces_mae`` and so on, and resample whole structures.
        Items are sorted by id, so that the intervals do not depend on the order of a store.
        """
        order = np.argsort(self.ids.astype(str), kind="stable")
        terms = error_terms(self.prediction, self.target)[:, order]
        found = intervals_of(terms, task.definition)
        if self.forces is None or task.forces_definition is None:
            return found
        forces = self.forces
        terms = force_error_terms(forces.prediction, forces.target, forces.atoms)[:, order]
        of_forces = force_intervals_of(terms, task.forces_definition)
        return found | {f"forces_{name}": bounds for name, bounds in of_forces.items()}


def evaluate(
    regressor: Regressor, data: TaskData, subset: str, device: str | torch.device = "cpu"
) -> Predictions:
    """Predict all graphs of a subset and compare with their targets."""
    start = time.perf_counter()
    with_forces = data.task.forces_definition is not None
    found = predict_all(regressor, data.batches(subset), torch.device(device), with_forces)
    seconds = time.perf_counter() - start
    target, prediction = data.targets(subset).numpy(), found.values.numpy()
    errors = errors_of(prediction, target, data.task.definition)
    forces = _compare_forces(data, subset, found.forces.numpy())
    return Predictions(data.ids(subset), target, prediction, errors, seconds, forces)


def _compare_forces(data: TaskData, subset: str, prediction: np.ndarray) -> Forces | None:
    definition = data.task.forces_definition
    if definition is None:
        return None
    target = data.forces(subset).numpy()
    atoms = data.graphs.atoms[data.split.rows(subset)].numpy()
    return Forces(target, prediction, atoms, force_errors_of(prediction, target, definition))
