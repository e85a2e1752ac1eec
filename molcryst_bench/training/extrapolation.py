"""Noticing that a model is asked about what it has never seen, while atoms move."""

from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import dataclass

import numpy as np
from ase import Atoms

from molcryst_bench.training.checkpoint import ModelCard
from molcryst_bench.training.distances import pair_name, steps_of, table_of


@dataclass
class Unseen:
    """Distances of a pair of elements that the training set does not have."""

    pair: str  # such as C-O
    seen: str  # the ranges of the training set
    shortest: float  # Å
    longest: float  # Å
    evaluations: int = 0

    def __str__(self) -> str:
        found = f"{self.shortest:.2f} Å"
        if self.longest - self.shortest >= 0.01:
            found = f"{self.shortest:.2f} to {self.longest:.2f} Å"
        return f"{self.pair} at {found}, in the training set {self.seen}"


class Extrapolation:
    """Keeps in which respects replicas of a structure are unlike the training set.

    A warning says it once for each respect.

    Args:
        card: of the model.
        structure: elements and cell of each replica.
    """

    def __init__(self, card: ModelCard, structure: Atoms) -> None:
        self.card = card
        self.respects: Counter[str] = card.outside([structure])
        self.distances: dict[str, Unseen] = {}
        self.now: list[str] = list(self.respects)  # in the last evaluation
        elements, kinds = np.unique(structure.numbers, return_inverse=True)
        self._elements, self._kinds = elements, kinds
        self._table = None if card.distances is None else table_of(card.distances, elements)
        for sentence in self.respects:
            _warn(f"{sentence}; do not trust energies and forces")

    def __bool__(self) -> bool:
        return bool(self.respects or self.distances)

    def lines(self) -> list[str]:
        """Return a line for each respect."""
        return [*self.respects, *map(str, self.distances.values())]

    def look(self, sender: np.ndarray, receiver: np.ndarray, distance: np.ndarray) -> None:
        """Look at pairs of atoms, counted over all replicas, and their distances (pairs,) in Å."""
        if self._table is None:
            return
        atoms = len(self._kinds)
        first, second = self._kinds[sender % atoms], self._kinds[receiver % atoms]
        unseen = ~self._table[first, second, steps_of(distance)]
        self.now = list(self.respects)
        if unseen.any():
            self._note(first[unseen], second[unseen], distance[unseen])

    def _note(self, first: np.ndarray, second: np.ndarray, distance: np.ndarray) -> None:
        """Keep the distances (unseen,) of each pair of elements."""
        code = np.minimum(first, second) * len(self._elements) + np.maximum(first, second)
        for kind in np.unique(code).tolist():
            of_kind = distance[code == kind]
            ends = (int(self._elements[each]) for each in divmod(kind, len(self._elements)))
            self.now.append(
                self._keep(pair_name(*ends), float(of_kind.min()), float(of_kind.max()))
            )

    def _keep(self, pair: str, shortest: float, longest: float) -> str:
        known = self.distances.get(pair)
        if known is None:
            known = Unseen(pair, self._seen(pair), shortest, longest)
            self.distances[pair] = known
            _warn(f"distances never seen in training: {known}; do not trust energies and forces")
        known.shortest, known.longest = min(known.shortest, shortest), max(known.longest, longest)
        known.evaluations += 1
        return str(Unseen(pair, known.seen, shortest, longest))

    def _seen(self, pair: str) -> str:
        ranges = (self.card.distances or {}).get(pair)
        if not ranges:
            return f"never within {self.card.graph.cutoff:g} Å"
        return " and ".join(f"{low:.1f} to {high:.1f} Å" for low, high in ranges)


def _warn(sentence: str) -> None:
    warnings.warn(sentence, stacklevel=5)
