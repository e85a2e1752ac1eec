"""What integrators want of a force field, and any calculator of ASE as one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from ase import Atoms
from ase.calculators.calculator import CalculationFailed, Calculator

from molcryst_bench.training.force_field import Evaluation


class ForceField(Protocol):
    """Energies and forces of replicas of one structure.

    ``training.force_field.LearnedForceField`` is one.
    """

    def description(self) -> dict[str, Any]:
        """Return what it is, in JSON; runs with another description are other runs."""

    def start(self, structure: Atoms) -> None:
        """Take the structure that all replicas have, and forget the path of the atoms so far."""

    def __call__(self, positions: np.ndarray) -> Evaluation:
        """Return energies and forces at positions (replicas, atoms, 3) in Å.

        Raises:
            BadRecordError: if nothing can be computed at these positions.
        """


class CalculatorForceField:
    """A calculator of ASE as a force field: one replica after the other.

    A replica that cannot be computed has NaN as its energy and forces.

    Args:
        make: returns a new calculator, which has no memory of where the atoms were.
        name: of it, for the record.
    """

    def __init__(self, make: Callable[[], Calculator], name: str) -> None:
        self.make = make
        self.name = name
        self._replicas: list[Atoms] = []
        self._structure = Atoms()

    def description(self) -> dict[str, Any]:
        """Return what it is."""
        return {"kind": "calculator", "name": self.name}

    def start(self, structure: Atoms) -> None:
        """Begin with new calculators."""
        self._structure = structure
        self._replicas = []

    def __call__(self, positions: np.ndarray) -> Evaluation:
        """Return energies and forces at positions (replicas, atoms, 3) in Å."""
        while len(self._replicas) < len(positions):
            replica = self._structure.copy()
            replica.calc = self.make()
            self._replicas.append(replica)
        pairs = zip(self._replicas, positions, strict=False)
        energies, forces = zip(*(_evaluate(*pair) for pair in pairs), strict=True)
        return Evaluation(np.array(energies), np.array(forces))


def _evaluate(atoms: Atoms, positions: np.ndarray) -> tuple[float, np.ndarray]:
    atoms.positions[:] = positions
    try:
        return atoms.get_potential_energy(), atoms.get_forces()
    except CalculationFailed:
        return np.nan, np.full(positions.shape, np.nan)
