"""Stress from the wrapper of forces, for every model, against finite strains of the cell."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms
from batches import batch_of, structures
from test_all_models import TRAINED, predict, small_model

from molcryst_bench.models.forces import energy_and_forces, energy_forces_stress
from molcryst_bench.models.registry import create_model

CRYSTALS = structures()[3:5]


def strained(atoms: Atoms, strain: np.ndarray) -> Atoms:
    other = atoms.copy()
    other.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    return other


@pytest.mark.parametrize("name", TRAINED)
def test_stress_is_the_derivative_by_the_strain(name: str) -> None:
    model, step = small_model(name), 1e-5
    stress = energy_forces_stress(model, batch_of(CRYSTALS)).stress.numpy()
    assert stress.shape == (2, 3, 3)
    np.testing.assert_allclose(stress, stress.transpose(0, 2, 1), atol=1e-12)
    for number, (row, column) in enumerate([(0, 0), (1, 2)]):
        strain = np.zeros((3, 3))
        strain[row, column] += step / 2
        strain[column, row] += step / 2
        atoms = CRYSTALS[number]
        pair = [strained(atoms, strain), strained(atoms, -strain)]
        upper, lower = predict(model, pair)[:, 0].tolist()
        slope = (upper - lower) / (2 * step) / atoms.get_volume()
        assert stress[number, row, column] == pytest.approx(slope, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("name", TRAINED)
def test_energy_and_forces_are_the_same_with_stress(name: str) -> None:
    model, batch = small_model(name), batch_of(CRYSTALS)
    alone, together = energy_and_forces(model, batch), energy_forces_stress(model, batch)
    torch.testing.assert_close(together.energy, alone.energy)
    torch.testing.assert_close(together.forces, alone.forces)
    trained = energy_forces_stress(model, batch, create_graph=True)
    trained.stress.square().sum().backward()


def test_a_model_without_geometry_has_no_stress() -> None:
    found = energy_forces_stress(create_model("mean"), batch_of(CRYSTALS))
    assert not found.stress.any()
    assert not found.forces.any()
