"""Molecular dynamics with GFN2-xTB: one molecule, one trajectory.

The digest of this file's code is part of what identifies a trajectory, so that what only reads and
writes trajectories is kept elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import CalculationFailed
from ase.constraints import FixCom
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import Stationary, ZeroRotation
from ase.neighborlist import natural_cutoffs, neighbor_list
from tblite.ase import TBLite
from threadpoolctl import threadpool_limits

from molcryst_bench.base.errors import RunError

_BOND_TOLERANCE = 1.2  # a bond is shorter than this times the sum of the covalent radii


@dataclass(frozen=True)
class Recipe:
    """How a trajectory is made; ``RECIPE`` is that of the dataset."""

    frames: int = 100
    interval: int = 100  # steps between two frames
    equilibration: int = 2000  # steps before the first interval
    time_step: float = 0.5  # fs
    temperature: float = 500.0  # K
    friction: float = 0.05  # 1/fs
    accuracy: float = 0.01  # of the self-consistent charges, in units of tblite's default
    iterations: int = 250  # at most, for self-consistent charges
    longest_bond: float = 1.5  # times its length at the start; a longer one is broken
    hottest: float = 5.0  # times the temperature; a hotter molecule is exploding

    @property
    def steps(self) -> int:
        """Length of the whole run."""
        return self.equilibration + self.frames * self.interval


RECIPE = Recipe()


class Molecule(NamedTuple):
    """Where a trajectory starts."""

    name: str
    symbols: tuple[str, ...]
    positions: tuple[tuple[float, float, float], ...]  # Å


class Trajectory(NamedTuple):
    """What is kept of a run."""

    numbers: np.ndarray  # (atoms,) int64
    steps: np.ndarray  # (frames,) int64, counted from the end of the equilibration
    positions: np.ndarray  # (frames, atoms, 3) Å
    energy: np.ndarray  # (frames,) eV
    forces: np.ndarray  # (frames, atoms, 3) eV/Å


def simulate(molecule: Molecule, number: int, recipe: Recipe) -> Trajectory:
    """Run one trajectory, which depends on nothing but the arguments.

    Args:
        molecule: where to start.
        number: of the trajectory; with the molecule's name it seeds velocities and thermostat.
        recipe: how.

    Raises:
        RunError: if charges do not converge, a bond breaks or the molecule explodes; names the
            molecule, the trajectory and the step.
    """
    # More threads would add in another order, and dynamics amplify the last digit.
    with threadpool_limits(1):
        return _simulate(molecule, number, recipe)


def _simulate(molecule: Molecule, number: int, recipe: Recipe) -> Trajectory:
    dynamics = _start(molecule, number, recipe)
    atoms, bonds, frames = dynamics.atoms, _bonds(molecule), []
    try:
        for _ in dynamics.irun(recipe.steps):
            _check(atoms, bonds, recipe)
            step = dynamics.nsteps - recipe.equilibration
            if step > 0 and step % recipe.interval == 0:
                frames.append(_frame(step, atoms))
    except (CalculationFailed, _BadDynamicsError) as error:
        where = f"{molecule.name}, trajectory {number}, step {dynamics.nsteps}"
        raise RunError(f"{where}: {error}. No frame of this trajectory is kept.") from error
    steps, positions, energies, forces = (np.array(column) for column in zip(*frames, strict=True))
    return Trajectory(atoms.numbers.astype(np.int64), steps, positions, energies, forces)


def starting_atoms(molecule: Molecule, recipe: Recipe) -> Atoms:
    """Return a molecule at rest, with GFN2-xTB to compute energy (eV) and forces (eV/Å)."""
    calculator = TBLite(
        method="GFN2-xTB",
        accuracy=recipe.accuracy,
        max_iterations=recipe.iterations,
        verbosity=0,
    )
    return Atoms(molecule.symbols, molecule.positions, calculator=calculator)


def _start(molecule: Molecule, number: int, recipe: Recipe) -> Langevin:
    """Set the molecule in motion, without drift or rotation of the whole."""
    generator = np.random.default_rng([*molecule.name.encode(), number])
    atoms = starting_atoms(molecule, recipe)
    spread = np.sqrt(atoms.get_masses() * units.kB * recipe.temperature)
    atoms.set_momenta(spread[:, np.newaxis] * generator.standard_normal((len(atoms), 3)))
    Stationary(atoms)
    ZeroRotation(atoms)
    atoms.set_constraint(FixCom())
    return Langevin(
        atoms,
        timestep=recipe.time_step * units.fs,
        temperature_K=recipe.temperature,
        friction=recipe.friction / units.fs,
        fixcm=False,  # FixCom keeps the centre of mass and, unlike fixcm, the temperature
        rng=generator,
    )


class _BadDynamicsError(Exception):
    pass


def _check(atoms: Atoms, bonds: tuple[np.ndarray, ...], recipe: Recipe) -> None:
    forces = atoms.get_forces(apply_constraint=False)
    if not (np.isfinite(atoms.get_potential_energy()) and np.isfinite(forces).all()):
        raise _BadDynamicsError("energy or forces are not finite")
    if atoms.get_temperature() > recipe.hottest * recipe.temperature:
        raise _BadDynamicsError(f"the molecule explodes, at {atoms.get_temperature():,.0f} K")
    first, second, start = bonds
    stretch = np.linalg.norm(atoms.positions[first] - atoms.positions[second], axis=1) / start
    if stretch.max() > recipe.longest_bond:
        worst = stretch.argmax()
        pair = f"{atoms.symbols[first[worst]]}{first[worst]}-{atoms.symbols[second[worst]]}"
        problem = f"the bond {pair}{second[worst]} is {stretch.max():.2f} times as long as at first"
        raise _BadDynamicsError(problem)


def _bonds(molecule: Molecule) -> tuple[np.ndarray, ...]:
    """Return both ends of each bond and its length at the start in Å."""
    atoms = Atoms(molecule.symbols, molecule.positions)
    cutoffs = natural_cutoffs(atoms, mult=_BOND_TOLERANCE)
    first, second, lengths = neighbor_list("ijd", atoms, cutoffs)
    once = first < second
    return first[once], second[once], lengths[once]


def _frame(step: int, atoms: Atoms) -> tuple[int, np.ndarray, float, np.ndarray]:
    """Return step, positions, energy and forces, as they are without the constraint."""
    forces = atoms.get_forces(apply_constraint=False)
    return step, atoms.positions.copy(), atoms.get_potential_energy(), forces
