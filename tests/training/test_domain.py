"""What a training set had, and warnings of what it had not."""

from __future__ import annotations

from pathlib import Path

import crystals
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

from molcryst_bench.base.executors import InlineExecutor
from molcryst_bench.graphs.build import BuildRequest, DatasetSettings, build_store
from molcryst_bench.graphs.split import Split
from molcryst_bench.graphs.store import GraphStore, open_store
from molcryst_bench.training.data import TaskData
from molcryst_bench.training.domain import Domain, domain_of, outside_in_words
from molcryst_bench.training.task import Task, load_task

MOLECULES = Domain(elements=[1, 6, 8], atoms=(3, 9), periodic=False)
CRYSTALS = Domain(elements=[29], atoms=(1, 8), periodic=True, volume_per_atom=(11.0, 13.0))


def test_a_structure_like_the_training_set_is_no_stranger() -> None:
    assert not MOLECULES.outside([molecule("H2O"), molecule("CH3CH2OH")])
    assert not CRYSTALS.outside([bulk("Cu"), bulk("Cu") * (2, 2, 2)])


def test_each_respect_is_counted() -> None:
    slab = molecule("H2O")
    slab.center(vacuum=3.0)
    slab.pbc = [True, True, False]
    found = MOLECULES.outside([molecule("H2"), molecule("C6H6"), molecule("NH3"), slab])
    assert dict(found) == {
        "number of atoms outside the 3 to 9 of the training set": 2,
        "element N not in the training set": 1,
        "periodic, while the training set holds molecules alone": 1,
    }
    found = CRYSTALS.outside([Atoms("Cu"), bulk("Cu", a=4.0), bulk("Cu", a=3.0), bulk("Au")])
    assert dict(found) == {
        "not periodic, while the training set holds periodic structures alone": 1,
        "volume outside the 11 to 13 Å^3 per atom of the training set": 3,
        "element Au not in the training set": 1,
    }


def test_what_is_not_known_is_not_checked() -> None:
    assert not Domain(elements=[29]).outside([Atoms("Cu500"), bulk("Cu", a=9.0)])


def test_lines_have_counts() -> None:
    lines = outside_in_words(MOLECULES.outside([molecule("NH3"), molecule("H2O")]), 2)
    assert lines == [
        "element N not in the training set: 1 of 2 structures; do not trust their predictions"
    ]


def test_the_domain_of_molecules(tiny_store: GraphStore) -> None:
    data = TaskData.load(load_task("qm9/homo"), tiny_store)
    domain = Domain(**domain_of(data))
    rows = data.split.rows("train").tolist()
    sizes = [len(tiny_store[row].z) for row in rows]
    assert domain.atoms == (min(sizes), max(sizes))
    assert domain.elements == sorted({int(z) for row in rows for z in tiny_store[row].z})
    assert domain.periodic is False
    assert domain.volume_per_atom is None
    assert domain.in_words()[2] == "molecules, without a cell"


def crystal_data(tmp_path: Path, structures: list[Atoms], train: list[int]) -> TaskData:
    source = crystals.CrystalSource(structures)
    raw = tmp_path / "crystals.txt"
    raw.write_text("")
    request = BuildRequest(crystals.CARD, source, {raw.name: raw}, DatasetSettings())
    build_store(request, tmp_path / "store.zarr", InlineExecutor())
    store = open_store(tmp_path / "store.zarr")
    subset = np.full(len(structures), 2, np.int8)
    subset[train] = 0
    split = Split("made", store.ids, subset, store.population_digest())
    task = Task("crystals", "energy", "energy", crystals.CARD.targets["energy"], "made")
    return TaskData(task, store, split, store.graphs)


def test_the_domain_of_crystals_is_that_of_the_training_subset(tmp_path: Path) -> None:
    structures = [bulk("Cu", a=a) * (n, 1, 1) for a, n in [(3.5, 1), (3.9, 3), (9.0, 7)]]
    domain = Domain(**domain_of(crystal_data(tmp_path, structures, train=[0, 1])))
    assert (domain.elements, domain.atoms, domain.periodic) == ([29], (1, 3), True)
    assert domain.volume_per_atom == pytest.approx((3.5**3 / 4, 3.9**3 / 4), rel=1e-5)
    assert not domain.outside(structures[:2])
    assert len(domain.outside(structures[2:])) == 2


def test_a_training_set_of_both_kinds_takes_both(tmp_path: Path) -> None:
    structures = crystals.structures()
    domain = Domain(**domain_of(crystal_data(tmp_path, structures, list(range(len(structures))))))
    assert domain.periodic is None
    assert not domain.outside(structures)
    whole = [a.get_volume() / len(a) for a in structures if a.pbc.all()]
    assert domain.volume_per_atom == pytest.approx((min(whole), max(whole)), rel=1e-5)
