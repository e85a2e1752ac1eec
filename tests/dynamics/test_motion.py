"""The integrators against theory and against ASE."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import molecule
from ase.calculators.lj import LennardJones
from ase.md.verlet import VelocityVerlet as ReferenceVerlet

from molcryst_bench.dynamics.force_field import CalculatorForceField
from molcryst_bench.dynamics.motion import Langevin, Motion, VelocityVerlet
from molcryst_bench.dynamics.velocities import at_rest, degrees_of_freedom, thermal_velocities
from molcryst_bench.training.force_field import Evaluation

STIFFNESS = 5.0  # eV/Å^2


class Wells:
    """Each atom in a harmonic well at a site of its own, or all at the origin."""

    def __init__(self, sites: np.ndarray | float = 0.0) -> None:
        self.sites = sites  # (atoms, 3) Å

    def description(self) -> dict[str, str]:
        return {"kind": "wells"}

    def start(self, structure: Atoms) -> None:
        pass

    def __call__(self, positions: np.ndarray) -> Evaluation:
        away = positions - self.sites  # (replicas, atoms, 3)
        return Evaluation(0.5 * STIFFNESS * np.square(away).sum((1, 2)), -STIFFNESS * away)


def argon() -> Atoms:
    atoms = Atoms("Ar4", [[0, 0, 0], [3.8, 0, 0], [0, 3.9, 0], [0, 0, 3.7]])
    velocities = thermal_velocities(atoms, 30.0, np.random.default_rng(0))
    atoms.set_velocities(velocities)
    return atoms


def lennard_jones() -> LennardJones:
    return LennardJones(sigma=3.4, epsilon=0.0104, rc=12.0, smooth=True)


def test_steps_are_those_of_ase() -> None:
    atoms, field = argon(), CalculatorForceField(lennard_jones, "Lennard-Jones")
    field.start(atoms)
    motion = Motion.begin(atoms.positions[None], atoms.get_velocities()[None], field)
    ours = VelocityVerlet(field, atoms.get_masses(), time_step=2.0)
    atoms.calc = lennard_jones()
    theirs = ReferenceVerlet(atoms, timestep=2.0 * units.fs)
    for _ in range(200):
        ours.step(motion, [])
        theirs.run(1)
        np.testing.assert_allclose(motion.positions[0], atoms.positions, rtol=0, atol=1e-10)
        np.testing.assert_allclose(motion.velocities[0], atoms.get_velocities(), rtol=0, atol=1e-10)


def largest_error(time_step: float) -> float:
    """Return how far the energy of harmonic wells departs from its start, in eV, within 200 fs."""
    masses = np.array([12.0, 1.0])
    positions = np.random.default_rng(0).normal(0, 0.1, (1, 2, 3))
    motion = Motion.begin(positions, np.zeros_like(positions), Wells())
    integrator = VelocityVerlet(Wells(), masses, time_step)
    start, errors = float(motion.energies[0]), []
    for _ in range(round(200 / time_step)):
        integrator.step(motion, [])
        errors.append(abs(float(motion.energies[0] + motion.kinetic(masses)[0]) - start))
    return max(errors)


def test_the_error_of_the_energy_is_quadratic_in_the_time_step() -> None:
    assert largest_error(0.4) / largest_error(0.2) == pytest.approx(4, rel=0.05)


def test_langevin_gives_each_degree_of_freedom_its_share() -> None:
    masses, temperature, replicas = np.array([12.0, 1.0]), 400.0, 64
    generators = [np.random.default_rng([1, number]) for number in range(replicas)]
    zero = np.zeros((replicas, 2, 3))
    motion = Motion.begin(zero, zero, Wells())
    integrator = Langevin(Wells(), masses, 0.5, temperature, friction=0.05)
    kinetic, potential = [], []
    for step in range(4000):
        integrator.step(motion, generators)
        if step >= 400 and step % 20 == 0:
            kinetic.append(motion.kinetic(masses).mean())
            potential.append(motion.energies.mean())
    share = 0.5 * 6 * units.kB * temperature
    assert np.mean(potential) == pytest.approx(share, rel=0.03)
    assert np.mean(kinetic) == pytest.approx(share, rel=0.03)


@pytest.mark.parametrize(("name", "degrees"), [("CH3CH2OH", 21), ("CO2", 4), ("H2", 1)])
def test_starts_neither_drift_nor_rotate(name: str, degrees: int) -> None:
    atoms = molecule(name)
    assert degrees_of_freedom(atoms, drifts=False) == degrees
    generator = np.random.default_rng(0)
    drawn = np.array([thermal_velocities(atoms, 500.0, generator) for _ in range(4000)])
    masses = atoms.get_masses()
    arms = atoms.positions - atoms.get_center_of_mass()
    momentum = np.einsum("a,rai->ri", masses, drawn)
    turning = np.einsum("a,rai->ri", masses, np.cross(arms[None], drawn))
    np.testing.assert_allclose(momentum, 0, atol=1e-10)
    np.testing.assert_allclose(turning, 0, atol=1e-10)
    mean = 0.5 * np.einsum("a,rai,rai->r", masses, drawn, drawn).mean()
    assert mean == pytest.approx(0.5 * degrees * units.kB * 500.0, rel=0.06)
    np.testing.assert_allclose(at_rest(atoms, atoms.positions, drawn[0]), drawn[0], atol=1e-12)
