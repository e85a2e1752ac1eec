"""A dataset of periodic structures for tests: crystals, a slab, a wire and a molecule."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk, fcc111, molecule

from molcryst_bench.sources.card import Card
from molcryst_bench.sources.fetch import RawFile
from molcryst_bench.sources.record import RawRecord, Record

CARD = Card.model_validate(
    {
        "name": "crystals",
        "title": "Crystals",
        "description": "Made up for tests.",
        "licence": "MIT",
        "citations": [],
        "records": 8,
        "targets": {"energy": {"unit": "eV", "error_unit": "meV", "error_factor": 1000}},
        "splits": {},
    }
)


def structures() -> list[Atoms]:
    """Return structures of 1 to 300 atoms with three, two, one and no periodic directions."""
    wire = Atoms("C2", positions=[[0, 0, 0], [0.1, 0.2, 1.3]], cell=[0, 0, 2.6], pbc=[0, 0, 1])
    slab = fcc111("Al", (2, 2, 3), vacuum=6.0)
    rattled = bulk("C", "diamond", a=3.567, cubic=True)
    rattled.rattle(0.05, seed=3)
    shifted = bulk("NaCl", "rocksalt", a=5.64)
    shifted.positions += [7.1, -9.3, 4.4]  # atoms outside the cell
    benzene = molecule("C6H6")
    column = np.concatenate(
        [benzene.positions + np.array([0, 0, 4.0 * level]) for level in range(25)]
    )
    large = Atoms(np.tile(benzene.numbers, 25), positions=column)
    cells = [bulk("Cu"), bulk("Fe", cubic=True), rattled, shifted, slab, wire]
    return [*cells, molecule("H2O"), large]


@dataclass(frozen=True)
class CrystalSource:
    """Yields ``structures()``; its raw file is there for its checksum alone."""

    atoms: list[Atoms] = field(default_factory=structures)
    name: str = "made"
    files: tuple[RawFile, ...] = (RawFile("crystals.txt", "sha256:", 0, ()),)

    def raw_records(self, paths: Mapping[str, Path]) -> Iterator[RawRecord]:
        for number, atoms in enumerate(self.atoms):
            yield RawRecord("crystals.txt", f"crystal-{number}", (number, atoms))

    def parse(self, raw: RawRecord) -> Record:
        number, atoms = raw.payload
        return Record(raw.id, atoms, {"energy": -float(number)})


@dataclass(frozen=True)
class DeadlySource(CrystalSource):
    """Its records are the end of any worker that parses them."""

    def parse(self, raw: RawRecord) -> Record:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError
