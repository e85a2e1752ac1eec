"""A small rMD17 whose energies and forces are those of springs between all atoms of ethanol."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import trajectories
from ase.build import molecule
from ase.geometry import get_distances

from molcryst_bench.base.executors import InlineExecutor
from molcryst_bench.graphs.build import BuildRequest, DatasetSettings, build_store
from molcryst_bench.graphs.split import Split, save_split
from molcryst_bench.graphs.store import GraphStore, open_store
from molcryst_bench.sources.card import load_card
from molcryst_bench.sources.record import RawRecord, Record

REST = molecule("CH3CH2OH")
STIFFNESS = 60.0  # kcal/mol/Å^2
GROUND = -97_082.387  # kcal/mol
TRAIN, VALID, TEST = 48, 12, 12


def energy_of(positions: np.ndarray) -> float:
    stretch = _distances(positions) - _distances(REST.positions)
    return GROUND + STIFFNESS / 4 * float(np.square(stretch).sum())  # each pair counts twice


def forces_of(positions: np.ndarray) -> np.ndarray:
    vectors, distances = get_distances(positions)  # (atoms, atoms, 3) from one to the other
    np.fill_diagonal(distances, 1.0)
    stretch = distances - _distances(REST.positions)
    np.fill_diagonal(stretch, 0.0)
    pull = STIFFNESS * stretch / distances  # (atoms, atoms)
    return (pull[:, :, None] * vectors).sum(1)


@dataclass(frozen=True)
class Springs:
    """The source: each record is a displaced ethanol."""

    name: str = "springs"
    files: tuple = ()

    def raw_records(self, paths: Mapping[str, Path]) -> Iterator[RawRecord]:
        for frame in range(TRAIN + VALID + TEST):
            yield RawRecord("springs", f"ethanol/{frame:06d}", frame)

    def parse(self, raw: RawRecord) -> Record:
        atoms = REST.copy()
        atoms.rattle(0.1, seed=raw.payload)
        targets = {"energy": energy_of(atoms.positions), "forces": forces_of(atoms.positions)}
        return Record(raw.id, atoms, targets)


def make_store(root: Path) -> GraphStore:
    """Make a project in ``root`` with the store and its split 01; be in it when opening tasks."""
    trajectories.make_project(root)
    path = root / "datasets" / "rmd17" / "store.zarr"
    request = BuildRequest(load_card("rmd17"), Springs(), {}, DatasetSettings())
    build_store(request, path, InlineExecutor())
    store = open_store(path)
    subset = np.repeat([0, 1, 2], [TRAIN, VALID, TEST]).astype(np.int8)
    split = Split("01", store.ids, subset, store.population_digest())
    save_split(split, path.parent / "splits" / "01.parquet")
    return store


def _distances(positions: np.ndarray) -> np.ndarray:
    return np.linalg.norm(positions[:, None] - positions, axis=2)
