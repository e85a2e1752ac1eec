"""Baselines against the formulas worked out by other means."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from batches import batch_of

from molcryst_bench.models.registry import create_model

NAMES = ["CH4", "H2O", "CH3OH", "C6H6", "NH3", "CH3CH2OH", "C2H6", "CO2", "N2", "HCN"]


def targets() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).normal(size=(len(NAMES), 1)))


def test_the_mean_predicts_the_mean_of_the_training_targets() -> None:
    model = create_model("mean")
    model.fit([], targets())
    out = model(batch_of([molecule("CH4"), Atoms("U")]))
    assert out.prediction[:, 0].tolist() == [targets().mean().item()] * 2


def test_ridge_minimises_the_penalised_squared_error() -> None:
    """Compare with least squares on data to which the penalty is added as rows."""
    alpha, structures = 0.3, [molecule(name) for name in NAMES]
    model = create_model("ridge", alpha=alpha)
    model.fit([batch_of(structures[:6]), batch_of(structures[6:])], targets())
    elements = sorted({number for atoms in structures for number in atoms.numbers})
    counts = np.array([[np.sum(a.numbers == z) for z in elements] for a in structures], float)
    features = np.hstack([counts, counts / counts.sum(1, keepdims=True)])
    y = targets().numpy()[:, 0]
    centred = features - features.mean(0)
    penalty = np.sqrt(alpha) * np.eye(centred.shape[1])
    weights = np.linalg.lstsq(
        np.vstack([centred, penalty]), np.append(y - y.mean(), np.zeros(len(penalty))), rcond=None
    )[0]
    expected = centred @ weights + y.mean()
    predicted = model(batch_of(structures)).prediction[:, 0]
    assert predicted.numpy() == pytest.approx(expected, abs=1e-9)


def test_ridge_cannot_tell_isomers_apart() -> None:
    structures = [molecule(name) for name in NAMES]
    model = create_model("ridge")
    model.fit([batch_of(structures)], targets())
    ethanol, ether = model(batch_of([molecule("CH3CH2OH"), molecule("CH3OCH3")])).prediction
    assert ethanol.item() == ether.item()
