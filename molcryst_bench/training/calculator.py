"""A trained model as a calculator of ASE."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from molcryst_bench.training.force_field import LearnedForceField

_OF_STRUCTURE = {"numbers", "cell", "pbc"}
_READ = ("positions", *sorted(_OF_STRUCTURE))


class LearnedCalculator(Calculator):  # type: ignore[misc]
    """Energy in eV, forces in eV/Å and, of crystals, stress in eV/Å^3 from a trained model.

    ``results["extrapolation"]`` has a line for each respect in which the structure is unlike the
    training set, such as an element or a distance that was never seen; ``extrapolation`` keeps them
    for all structures so far, and a warning tells of each once.

    Args:
        field: the model.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "free_energy", "forces", "stress"]

    def __init__(self, field: LearnedForceField, **options: Any) -> None:
        super().__init__(**options)
        self.field = field
        self.extrapolation: dict[str, int] = {}  # evaluations by what was unlike

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Compute what ASE asks for, and what comes with it.

        Raises:
            BadRecordError: if a coordinate is not finite or absurd, or the cell is flat.
            PropertyNotImplementedError: for the stress of what is not periodic in all directions.
        """
        super().calculate(atoms, properties, system_changes)
        if _OF_STRUCTURE & set(system_changes):
            self.field.start(self.atoms)
        self.results = self._evaluate(self.atoms, "stress" in properties)
        self.results["extrapolation"] = list(self.field.extrapolation.now)
        for line in self.field.extrapolation.now:
            respect = line.partition(" at ")[0]
            self.extrapolation[respect] = self.extrapolation.get(respect, 0) + 1

    def check_state(self, atoms: Atoms, tol: float = 0.0) -> list[str]:
        """Return which of what a model reads has changed, however little, since the last result.

        ASE's own way looks at all that atoms may have, several times a step: a tenth of a small
        molecule's.
        """
        if self.atoms is None:
            return list(all_changes)
        pairs = ((name, getattr(self.atoms, name), getattr(atoms, name)) for name in _READ)
        return [name for name, known, given in pairs if not np.array_equal(known, given)]

    def _get_name(self) -> str:
        return self.field.card.model

    def _evaluate(self, atoms: Atoms, stress: bool) -> dict[str, Any]:
        positions = atoms.positions[np.newaxis]  # (1, atoms, 3)
        if stress and not atoms.pbc.all():
            raise PropertyNotImplementedError("stress is of structures periodic in all directions")
        if not stress:
            energies, forces = self.field(positions)
            return _results(energies, forces)
        energies, forces, tensor = self.field.with_stress(positions)
        return _results(energies, forces) | {"stress": full_3x3_to_voigt_6_stress(tensor[0])}


def _results(energies: np.ndarray, forces: np.ndarray) -> dict[str, Any]:
    return {"energy": float(energies[0]), "free_energy": float(energies[0]), "forces": forces[0]}
