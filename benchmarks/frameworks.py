"""From a CIF to an adjacency list, against the way of the original CGCNN."""

from __future__ import annotations

import warnings
from functools import cache
from itertools import islice

import numpy as np

from benchmarks.compare import Row, compare
from molcryst_bench.base.project import dataset_folder
from molcryst_bench.graphs.neighbors import GraphSpec, find_edges
from molcryst_bench.sources.registry import get_dataset, obtain
from molcryst_bench.sources.structures import read_cif

FILES, EVERY = 24, 100  # of the 12,020 files
CUTOFF, NEAREST = 8.0, 12  # as in Xie and Grossman, Phys. Rev. Lett. 120, 145301 (2018)
ROUNDS = 3  # the peer takes seconds


def rows() -> list[Row]:
    """Return the row on making graphs of frameworks."""
    spec = GraphSpec(cutoff=CUTOFF, max_neighbors=NEAREST)
    cifs = coremof_cifs()
    return [
        compare(
            f"CoRE MOF files to lists of the {NEAREST} nearest",
            "pymatgen, as the original CGCNN has it",
            "structures/s",
            len(cifs),
            lambda: [find_edges(read_cif(cif), spec) for cif in cifs],
            lambda: [nearest_by_pymatgen(cif) for cif in cifs],
            limit=lambda rate: "sorting all neighbours within 8 Å, hundreds for each atom",
            rounds=ROUNDS,
        )
    ]


@cache
def coremof_cifs() -> list[str]:
    """Return the text of every hundredth file of CoRE MOF that can be used."""
    obtained = obtain(get_dataset("coremof"), dataset_folder("coremof") / "raw")
    raws = islice(obtained.source.raw_records(obtained.paths), 0, FILES * EVERY, EVERY)
    return [raw.payload.cif.decode() for raw in raws]


def nearest_by_pymatgen(cif: str) -> tuple[np.ndarray, np.ndarray]:
    """Return senders and distances of the nearest neighbours, (atoms, 12) each.

    The original reads a file with pymatgen, lists all neighbours of all atoms within 8 Å as
    objects, sorts them in Python and keeps the first twelve.
    """
    from pymatgen.core import Structure

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        structure = Structure.from_str(cif, fmt="cif")
    near = [
        sorted(neighbours, key=lambda neighbour: neighbour.nn_distance)[:NEAREST]
        for neighbours in structure.get_all_neighbors(CUTOFF)
    ]
    senders = np.array([[neighbour.index for neighbour in each] for each in near])
    return senders, np.array([[neighbour.nn_distance for neighbour in each] for each in near])
