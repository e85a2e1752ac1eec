"""What the training set had, and which structures have something else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from ase import Atoms
from ase.data import chemical_symbols
from pydantic import Field
from torch import Tensor

from molcryst_bench.base.settings import Settings
from molcryst_bench.training.distances import Ranges, seen_distances

if TYPE_CHECKING:
    from molcryst_bench.training.data import TaskData

_ROUNDING = 1e-4  # of a volume that was stored in single precision
_OTHER_KIND = {
    True: "not periodic, while the training set holds periodic structures alone",
    False: "periodic, while the training set holds molecules alone",
}


class Domain(Settings):
    """Ranges of the training subset; what is not known is not checked."""

    elements: list[int] = Field(description="atomic numbers in the training subset")
    atoms: tuple[int, int] | None = Field(
        default=None, description="fewest and most atoms of a structure"
    )
    periodic: bool | None = Field(
        default=None, description="whether the structures are periodic; null if some are"
    )
    volume_per_atom: tuple[float, float] | None = Field(
        default=None, description="smallest and largest of the crystals in Å^3; null without any"
    )
    distances: Ranges | None = Field(
        default=None,
        description="ranges in Å between each pair of elements within the cut-off, of models with "
        "forces",
    )
    features: list[tuple[str, str]] = Field(
        default=[], description="name and unit of each number that the model wants to be told"
    )

    def in_words(self) -> list[str]:
        """Return one phrase for each range that is known."""
        words = ["elements " + ", ".join(chemical_symbols[number] for number in self.elements)]
        if self.atoms is not None:
            words.append(f"{self.atoms[0]:,} to {self.atoms[1]:,} atoms")
        if self.periodic is not None:
            words.append("periodic structures" if self.periodic else "molecules, without a cell")
        if self.volume_per_atom is not None:
            words.append("volumes of {:.3g} to {:.3g} Å^3 per atom".format(*self.volume_per_atom))
        if self.features:
            told = ", ".join(f"{name} ({unit})" for name, unit in self.features)
            words.append(f"known {told}: give them in `atoms.info` under these names")
        return words

    def outside(self, structures: Iterable[Atoms]) -> Counter[str]:
        """Count the structures that are unlike the training set, in each respect."""
        return Counter(problem for atoms in structures for problem in self._problems(atoms))

    def _problems(self, atoms: Atoms) -> Iterator[str]:
        for number in sorted(set(atoms.numbers.tolist()) - set(self.elements)):
            yield f"element {chemical_symbols[number]} not in the training set"
        if self.atoms is not None and not _within(len(atoms), self.atoms):
            yield "number of atoms outside the {:,} to {:,} of the training set".format(*self.atoms)
        if self.periodic is not None and bool(atoms.pbc.any()) != self.periodic:
            yield _OTHER_KIND[self.periodic]
        if absent := [name for name, _ in self.features if name not in atoms.info]:
            yield f"not told {', '.join(absent)} (atoms.info), which the model learnt from"
        volumes, crystal = self.volume_per_atom, atoms.pbc.all() and len(atoms) > 0
        if volumes and crystal and not _within(atoms.get_volume() / len(atoms), volumes, _ROUNDING):
            yield "volume outside the {:.3g} to {:.3g} Å^3 per atom of the training set".format(
                *volumes
            )


def domain_of(data: TaskData) -> dict[str, Any]:
    """Return the fields of the ``Domain`` of a task's training subset."""
    rows = data.split.rows("train")
    atoms = data.graphs.atoms[rows]  # (graphs,)
    periodic = data.store.read("graphs/pbc")[rows.numpy()]  # (graphs, 3)
    is_periodic = periodic.any(1)
    volumes = _volumes(data, rows[periodic.all(1)]) if periodic.all(1).any() else None
    return {
        "elements": data.elements(),
        "atoms": (int(atoms.min()), int(atoms.max())),
        "periodic": bool(is_periodic[0]) if len(set(is_periodic.tolist())) == 1 else None,
        "volume_per_atom": volumes,
        "distances": seen_distances(data) if data.task.forces and data.graphs.symmetric else None,
    }


def outside_in_words(outside: Counter[str], total: int) -> list[str]:
    """Return a line for each respect in which structures are unlike the training set."""
    return [
        f"{problem}: {count:,} of {total:,} structures; do not trust their predictions"
        for problem, count in outside.items()
    ]


def _volumes(data: TaskData, rows: Tensor) -> tuple[float, float] | None:
    if data.graphs.lattice is None:
        return None
    volumes = data.graphs.lattice.cell[rows].double().det().abs()  # (graphs,)
    per_atom = volumes / data.graphs.atoms[rows]
    return float(per_atom.min()), float(per_atom.max())


def _within(value: float, limits: tuple[float, float], slack: float = 0.0) -> bool:
    smallest, largest = limits
    return smallest * (1 - slack) <= value <= largest * (1 + slack)
