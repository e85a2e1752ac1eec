"""The records behind results, as the store has them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

import numpy as np
from ase import Atoms
from ase.symbols import Symbols

from molcryst_bench.base.errors import StoreError
from molcryst_bench.base.project import store_path
from molcryst_bench.graphs.store import GraphStore, open_store


class Structures:
    """The records of a store by id; where that store is not here, nothing is known of them."""

    def __init__(self, dataset: str, digest: str) -> None:
        """Look for the store of some results.

        Args:
            dataset: its name.
            digest: of the store that the results are from; another one is not taken for it.
        """
        self._store = _open(dataset, digest)

    def formula(self, record: str) -> str | None:
        """Return the chemical formula of a record, in Hill's order."""
        row = self._rows.get(record)
        if row is None:
            return None
        first, last = self._offsets[row : row + 2]
        return str(Symbols(self._numbers[first:last]).get_chemical_formula("hill"))

    def formulas(self, records: Iterable[str]) -> list[str | None]:
        """Return the formulas of several records."""
        return [self.formula(record) for record in records]

    def atoms(self, record: str) -> Atoms | None:
        """Return the structure of a record, in Å."""
        row = self._rows.get(record)
        if row is None or self._store is None:
            return None
        first, last = map(int, self._offsets[row : row + 2])
        positions = self._store.read("nodes/position", first, last)
        atoms = Atoms(self._numbers[first:last], positions)
        if self._store.periodic:
            atoms.cell = self._store.read("graphs/cell", row, row + 1)[0]
            atoms.pbc = self._store.read("graphs/pbc", row, row + 1)[0]
        return atoms

    @cached_property
    def _rows(self) -> dict[str, int]:
        ids = [] if self._store is None else self._store.ids.tolist()
        return {record: row for row, record in enumerate(ids)}

    @cached_property
    def _offsets(self) -> np.ndarray:
        return np.zeros(1) if self._store is None else self._store.read("graphs/node_offset")

    @cached_property
    def _numbers(self) -> np.ndarray:
        return np.zeros(0) if self._store is None else self._store.read("nodes/atomic_number")


def _open(dataset: str, digest: str) -> GraphStore | None:
    try:
        store = open_store(store_path(dataset))
    except StoreError:
        return None
    return store if store.digest == digest else None
