"""The calculator for ASE of every model: its forces and stress, its lists, and what it warns of."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.fd import calculate_numerical_forces
from small_models import NETWORKS, small_model

from molcryst_bench.base.errors import RunError
from molcryst_bench.graphs.neighbors import GraphSpec, find_edges
from molcryst_bench.graphs.verlet import VerletList
from molcryst_bench.models.registry import create_model
from molcryst_bench.training.calculator import LearnedCalculator
from molcryst_bench.training.checkpoint import ModelCard
from molcryst_bench.training.predict import Predictor
from molcryst_bench.training.regressor import Regressor
from molcryst_bench.training.settings import TrainingSettings

SPEC = GraphSpec(cutoff=4.0)  # as the networks have it
MODELS = pytest.mark.parametrize("name", sorted(NETWORKS))


def predictor(name: str, seeds: int = 1, unit: str = "kcal/mol") -> Predictor:
    """Return models that nobody has trained, with energies of a tenth of their unit."""
    members = []
    for seed in range(seeds):
        regressor = Regressor(small_model(name) if name in NETWORKS else create_model(name))
        regressor.scaler.scale.fill_(0.1 * (1 + seed))
        members.append(regressor.eval())
    card = ModelCard(
        model=name,
        hyperparameters=NETWORKS.get(name, {}),
        task="made/up",
        unit=unit,
        forces_unit=f"{unit}/Å",
        graph=SPEC,
        elements=[1, 6, 8],
        seed=0,
        training=TrainingSettings(),
        split="",
        store_digest="",
        split_digest="",
    )
    return Predictor(members, card)


def calculator(name: str, skin: float = 1.0) -> LearnedCalculator:
    return predictor(name).calculator(precision="float64", skin=skin)


def ethanol(**how: float) -> Atoms:
    atoms = molecule("CH3CH2OH")
    atoms.rattle(how.get("rattle", 0.05), seed=1)
    return atoms


def diamond() -> Atoms:
    atoms = bulk("C", "diamond", a=3.6)
    atoms.rattle(0.05, seed=2)
    return atoms


def paths(structure: Atoms, replicas: int) -> Iterator[np.ndarray]:
    """Yield positions (replicas, atoms, 3) of steps on ways of their own."""
    draw = np.random.default_rng(0)
    positions = np.tile(structure.positions, (replicas, 1, 1))
    for _ in range(3):
        positions = positions + draw.normal(0, 0.05, positions.shape)
        yield positions


@pytest.fixture
def threads() -> Iterator[None]:
    """Set the number of threads back after a test that changes it."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@MODELS
@pytest.mark.parametrize("structure", [ethanol(), diamond()], ids=["molecule", "crystal"])
def test_forces_are_central_differences_of_the_energy(name: str, structure: Atoms) -> None:
    atoms = structure.copy()
    atoms.calc = calculator(name)
    forces = atoms.get_forces()
    scale = max(1.0, float(np.abs(forces).max()))
    slopes = calculate_numerical_forces(atoms, eps=1e-4, iatoms=[0, 1])
    np.testing.assert_allclose(forces[:2], slopes, atol=1e-6 * scale)


@MODELS
def test_stress_is_the_difference_of_energies_by_strain(name: str) -> None:
    atoms, step = diamond(), 1e-5
    atoms.calc = calculator(name)
    stress = atoms.get_stress(voigt=False)
    energies = []
    for sign in (1, -1):
        strained = atoms.copy()
        strain = sign * step / 2 * np.array([[0, 1, 0], [1, 0, 0], [0, 0, 0]])
        strained.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
        strained.calc = calculator(name)
        energies.append(strained.get_potential_energy())
    slope = (energies[0] - energies[1]) / (2 * step) / atoms.get_volume()
    assert 2 * stress[0, 1] == pytest.approx(2 * slope, rel=1e-5, abs=1e-8)


@MODELS
def test_it_says_what_the_predictor_says_in_electron_volts(name: str) -> None:
    found = predictor(name, seeds=2)
    atoms = ethanol()
    atoms.calc = found.calculator(precision="float64")
    energy, forces = found.energies_and_forces([atoms])[:2]
    factor = units.kcal / units.mol
    assert atoms.get_potential_energy() == pytest.approx(float(energy[0]) * factor, rel=1e-6)
    np.testing.assert_allclose(atoms.get_forces(), forces[0] * factor, rtol=1e-5, atol=1e-6)


@MODELS
def test_a_skin_changes_nothing(name: str) -> None:
    kept, fresh = calculator(name), calculator(name, skin=0.0)
    atoms, draw = ethanol(), np.random.default_rng(0)
    for _ in range(12):
        atoms.positions += draw.normal(0, 0.03, atoms.positions.shape)
        found = []
        for calc in (kept, fresh):
            calc.calculate(atoms, ["energy", "forces"], ["positions"] if calc.results else ["pbc"])
            found.append((calc.results["energy"], calc.results["forces"]))
        assert found[0][0] == pytest.approx(found[1][0], rel=1e-10)
        np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-8, atol=1e-10)


@MODELS
@pytest.mark.parametrize("structure", [ethanol(), diamond()], ids=["molecule", "crystal"])
def test_groups_of_replicas_are_these_one_by_one(name: str, structure: Atoms) -> None:
    many, one = (predictor(name, seeds=2).force_field(precision="float64") for _ in range(2))
    many.start(structure)
    for positions in paths(structure, replicas=300 // len(structure)):
        found = many(positions)
        for replica, alone in enumerate(positions):
            one.start(structure)
            energy, forces = one(alone[np.newaxis])
            np.testing.assert_allclose(found.energies[replica], energy[0], rtol=1e-12)
            np.testing.assert_allclose(found.forces[replica], forces[0], rtol=1e-8, atol=1e-11)
    assert len(many._groups) == 2


@MODELS
def test_replicas_are_the_same_bits_with_any_number_of_threads(name: str, threads: None) -> None:
    results = []
    for count in (1, 3):
        torch.set_num_threads(count)
        field = predictor(name).force_field()
        field.start(ethanol())
        results.append([field(positions) for positions in paths(ethanol(), replicas=40)])
    for few, many in zip(*results, strict=True):
        np.testing.assert_array_equal(few.energies, many.energies)
        np.testing.assert_array_equal(few.forces, many.forces)


def test_a_number_of_replicas_may_follow_another() -> None:
    field, atoms = predictor("schnet").force_field(precision="float64"), ethanol()
    field.start(atoms)
    positions = next(paths(atoms, replicas=40))
    whole = field(positions).energies
    for part in (positions[:3], positions[3:30], positions[30:]):
        field.start(atoms)
        np.testing.assert_allclose(field(part).energies, whole[: len(part)], rtol=1e-12)
        whole = whole[len(part) :]


def test_whatever_a_model_reads_is_seen_to_change() -> None:
    atoms, calc = diamond(), calculator("schnet")
    atoms.calc = calc
    changes: list[Callable[[], object]] = [
        lambda: atoms.positions.__iadd__(1e-15 + np.spacing(atoms.positions)),
        lambda: atoms.set_cell(atoms.cell.array * 1.01),
        lambda: atoms.set_atomic_numbers([6, 8]),
        lambda: atoms.set_pbc(False),
    ]
    for name, change in zip(("positions", "cell", "numbers", "pbc"), changes, strict=True):
        atoms.get_potential_energy()
        assert not calc.check_state(atoms)
        change()
        assert calc.check_state(atoms) == [name]


def test_candidates_serve_for_many_steps_and_are_those_of_a_search() -> None:
    atoms, draw = diamond().repeat((1, 1, 2)), np.random.default_rng(0)
    near = VerletList(atoms, SPEC)
    for _ in range(40):
        atoms.positions += draw.normal(0, 0.06, atoms.positions.shape)
        pairs = near(atoms.positions[np.newaxis]).pairs
        edges = find_edges(atoms, SPEC)
        rows = np.column_stack([pairs.sender, pairs.receiver, pairs.shift])
        expected = np.column_stack([edges[0], edges[1], edges.shift])
        assert sorted(map(tuple, rows.tolist())) == sorted(map(tuple, expected.tolist()))
    assert 1 < near.searches < 20


def test_what_was_never_seen_is_told_once_and_kept() -> None:
    calc = calculator("schnet")
    atoms = Atoms("CHN", [[0, 0, 0], [0, 0, 1.1], [0, 0, -1.2]])
    atoms.calc = calc
    with pytest.warns(UserWarning, match="element N not in the training set"):
        atoms.get_potential_energy()
    assert any("element N" in line for line in calc.results["extrapolation"])
    with warnings.catch_warnings(action="error"):
        atoms.positions[1, 2] += 0.01
        atoms.get_potential_energy()
    assert calc.extrapolation["element N not in the training set"] == 2


@pytest.mark.parametrize("name", ["mean", "ridge", "boosted_trees"])
def test_baselines_have_no_forces(name: str) -> None:
    with pytest.raises(RunError, match="choose a model that has forces"):
        predictor(name).calculator()


def test_what_has_no_unit_of_energy_is_refused() -> None:
    with pytest.raises(RunError, match="energies in debye cannot be turned into eV"):
        predictor("schnet", unit="debye").calculator()


def test_molecules_have_no_stress() -> None:
    atoms = ethanol()
    atoms.calc = calculator("schnet")
    with pytest.raises(PropertyNotImplementedError, match="periodic in all directions"):
        atoms.get_stress()
