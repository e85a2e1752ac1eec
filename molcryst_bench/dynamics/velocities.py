"""Velocities to start with, and motions of the whole that are none of its own."""

from __future__ import annotations

import numpy as np
from ase import Atoms, units

_FLAT = 1e-6  # of the largest moment of inertia, for those of a linear molecule and of an atom


def thermal_velocities(
    atoms: Atoms, temperature: float, generator: np.random.Generator
) -> np.ndarray:
    """Draw from the Maxwell-Boltzmann distribution of what neither drifts nor rotates.

    Taking out drift and rotation is a projection, which leaves a normal distribution on the other
    degrees of freedom as it is: nothing is scaled.

    Returns:
        (atoms, 3) in Å by ASE's unit of time.
    """
    spread = np.sqrt(units.kB * temperature / atoms.get_masses())[:, None]
    return at_rest(atoms, atoms.positions, spread * generator.standard_normal((len(atoms), 3)))


def at_rest(atoms: Atoms, positions: np.ndarray, velocities: np.ndarray) -> np.ndarray:
    """Return velocities (atoms, 3) without net momentum and, of a molecule, without rotation.

    Args:
        atoms: masses and periodicity.
        positions: (atoms, 3) Å.
        velocities: (atoms, 3).
    """
    masses = atoms.get_masses()[:, None]
    velocities = velocities - (masses * velocities).sum(0) / masses.sum()
    if atoms.pbc.any():
        return velocities
    arms = positions - (masses * positions).sum(0) / masses.sum()
    momentum = (masses * np.cross(arms, velocities)).sum(0)
    turning = np.linalg.pinv(_inertia(arms, masses), rcond=_FLAT, hermitian=True) @ momentum
    result: np.ndarray = velocities - np.cross(turning, arms)
    return result


def degrees_of_freedom(atoms: Atoms, drifts: bool) -> int:
    """Return how many there are, of what drifts and rotates or does not."""
    total = 3 * len(atoms)
    if drifts:
        return total
    if atoms.pbc.any():
        return total - 3
    masses = atoms.get_masses()[:, None]
    arms = atoms.positions - (masses * atoms.positions).sum(0) / masses.sum()
    moments = np.linalg.eigvalsh(_inertia(arms, masses))
    return total - 3 - int((moments > _FLAT * max(moments.max(), 1e-12)).sum())


def _inertia(arms: np.ndarray, masses: np.ndarray) -> np.ndarray:
    """Return the tensor of inertia (3, 3) in u Å^2."""
    squares = (masses * arms**2).sum()
    tensor: np.ndarray = squares * np.eye(3) - (masses * arms).T @ arms
    return tensor
