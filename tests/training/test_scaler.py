"""The map between model outputs and physical targets."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from batches import batch_of

from molcryst_bench.training.scaler import Scaler

NAMES = ("CH4", "H2O", "CH3OH", "C6H6", "NH3", "CH3CH2OH", "C2H6", "CO2")
ENERGY = {1: -0.6, 6: -38.1, 7: -54.8, 8: -75.2}  # made up, per atom


def test_references_recover_what_the_elements_explain() -> None:
    structures = [molecule(name) for name in NAMES]
    energies = torch.tensor([sum(ENERGY[z] for z in a.numbers) for a in structures]).double()
    scaler = Scaler()
    scaler.fit([batch_of(structures)], energies, use_references=True)
    for element, energy in ENERGY.items():
        assert float(scaler.references[element]) == pytest.approx(energy)
    unseen = batch_of([molecule("HCN")])
    expected = ENERGY[1] + ENERGY[6] + ENERGY[7]
    assert float(scaler.restore(torch.zeros(1), unseen)) == pytest.approx(expected)


def test_normalised_targets_have_unit_spread_and_return() -> None:
    structures = [molecule(name) for name in NAMES]
    targets = torch.from_numpy(np.random.default_rng(0).normal(5.0, 3.0, len(NAMES)))
    batch, scaler = batch_of(structures), Scaler()
    scaler.fit([batch], targets, use_references=False)
    normal = scaler.normalise(targets, batch)
    assert float(normal.mean()) == pytest.approx(0, abs=1e-12)
    assert float(normal.std(correction=0)) == pytest.approx(1)
    assert scaler.restore(normal, batch).numpy() == pytest.approx(targets.numpy(), abs=1e-12)


def test_total_energies_keep_their_digits() -> None:
    """Energies near -97,000 kcal/mol differ in the third decimal; float32 would lose it."""
    ethanol = [molecule("CH3CH2OH") for _ in range(4)]
    targets = -97_000 - torch.arange(1, 5, dtype=torch.float64) / 1000
    batch, scaler = batch_of(ethanol), Scaler()
    scaler.fit([batch], targets, use_references=True)
    outputs = scaler.normalise(targets, batch).float()  # as a float32 model would predict them
    error = scaler.restore(outputs, batch) - targets
    assert float(error.abs().max()) < 1e-8


def test_a_constant_target_is_not_divided_by_zero() -> None:
    scaler, batch = Scaler(), batch_of([Atoms("He"), Atoms("He")])
    scaler.fit([batch], torch.full((2,), 3.0), use_references=False)
    assert scaler.normalise(torch.full((2,), 3.0), batch).tolist() == [0.0, 0.0]
