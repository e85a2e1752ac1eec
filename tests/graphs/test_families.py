"""Splits that keep families of like records together."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from alike import InMemory, crystal, disguised, embedded, supercell
from ase import Atoms

from molcryst_bench.base.errors import SettingsError, StoreError
from molcryst_bench.base.executors import InlineExecutor
from molcryst_bench.graphs.draw import draw_split
from molcryst_bench.graphs.similarity.families import find_families
from molcryst_bench.graphs.similarity.portraits import portray_records
from molcryst_bench.graphs.split import SUBSETS, UNUSED, Split, load_split, save_split
from molcryst_bench.sources.card import Card, ClusterSplit, ScaffoldSplit

SCAFFOLD = ScaffoldSplit(method="scaffold", train=0.6, valid=0.2, seed=1, description="")
CLUSTER = ClusterSplit(method="cluster", train=0.6, valid=0.2, seed=1, description="")
SMILES = {
    "ethanol": "CCO",
    "propane": "CCC",
    "acid": "CC(=O)O",
    "isobutane": "CC(C)C",
    "phenol": "Oc1ccccc1",
    "cyclohexanol": "OC1CCCCC1",
    "oxirane": "C1CO1",
    "right": "C[C@H]1CO1",
    "left": "C[C@@H]1CO1",
    "cyclopropane": "C1CC1",
}


def random_families(records: int, sizes: list[int], seed: int = 0) -> dict[str, int]:
    """Return families of the given sizes and many of one member, in any order."""
    labels = np.repeat(np.arange(len(sizes)), sizes).tolist()
    labels += range(len(sizes), len(sizes) + records - len(labels))
    ids = np.random.default_rng(seed).permutation(records)
    return {f"r{number:04d}": label for number, label in zip(ids.tolist(), labels, strict=True)}


def subsets_of(split: Split) -> dict[str, int]:
    return dict(zip(split.ids.tolist(), split.subset.tolist(), strict=True))


@pytest.mark.parametrize("seed", range(5))
def test_families_stay_whole_and_sizes_are_as_asked(seed: int) -> None:
    families = random_families(500, [120, 30, *range(2, 20)], seed)
    recipe = CLUSTER.model_copy(update={"train": 0.8, "valid": 0.1, "seed": seed})
    split = draw_split("cluster", recipe, list(families), {}, families)
    subsets = subsets_of(split)
    homes = {(family, subsets[record]) for record, family in families.items()}
    assert len(homes) == len(set(families.values()))
    assert [len(split.rows(subset)) for subset in SUBSETS] == [400, 50, 50]
    for record, family in families.items():
        if family < 2:  # over a fifth of a test set
            assert subsets[record] == SUBSETS.index("train")
    assert any(family < 20 and subsets[record] == 2 for record, family in families.items())


def test_a_draw_depends_on_the_seed_and_not_on_order_or_numbers_of_families() -> None:
    families = random_families(200, [20, 10, 5, 5])
    ids = list(families)
    split = draw_split("cluster", CLUSTER, ids, {}, families)
    renumbered = {record: 1000 - family for record, family in families.items()}
    assert draw_split("cluster", CLUSTER, ids[::-1], {}, renumbered).digest == split.digest
    other = CLUSTER.model_copy(update={"seed": 2})
    assert draw_split("cluster", other, ids, {}, families).digest != split.digest


def test_records_without_a_family_are_in_no_subset() -> None:
    families = random_families(50, [5, 3])
    ids = [*families, "unreadable"]
    split = draw_split("cluster", CLUSTER, ids, {}, families)
    assert subsets_of(split)["unreadable"] == UNUSED
    assert sum(len(split.rows(subset)) for subset in SUBSETS) == 50


def test_families_that_are_too_large_are_refused() -> None:
    families = {f"r{number}": number % 3 for number in range(90)}
    with pytest.raises(StoreError, match=r"the split 'cluster': no family .* for the valid set"):
        draw_split("cluster", CLUSTER, list(families), {}, families)


def families_of(structures: dict[str, Atoms | None], recipe: ScaffoldSplit | ClusterSplit) -> set:
    """Return the sets of records that belong together."""
    described = portray_records(InMemory(structures), {}, InlineExecutor())
    families = find_families(described, recipe, recipe.method)
    numbers = set(families.values())
    return {frozenset(i for i, family in families.items() if family == n) for n in numbers}


def test_molecules_of_one_scaffold_belong_together() -> None:
    structures = {name: embedded(smiles) for name, smiles in SMILES.items()}
    assert families_of(structures, SCAFFOLD) == {
        frozenset({"ethanol", "propane"}),
        frozenset({"acid", "isobutane"}),
        frozenset({"phenol", "cyclohexanol"}),
        frozenset({"oxirane", "right", "left"}),
        frozenset({"cyclopropane"}),
    }


def test_near_duplicates_and_similar_frameworks_belong_together() -> None:
    zinc = crystal()
    structures = {
        "zinc": zinc,
        "in another cell": disguised(supercell(zinc, [[2, 0, 0], [0, 1, 0], [1, 0, 1]])),
        "wider": crystal(size=5.5),  # equal surroundings
        "cadmium": crystal("Cd"),
        "other bonds, one volume": Atoms(
            "Cd4O4",
            scaled_positions=np.random.default_rng(0).random((8, 3)),
            cell=crystal("Cd").cell,
            pbc=True,
        ),
        "magnesium": crystal("Mg"),
        "unreadable": None,
    }
    assert families_of(structures, CLUSTER) == {
        frozenset({"zinc", "in another cell", "wider"}),
        frozenset({"cadmium", "other bonds, one volume"}),
        frozenset({"magnesium"}),
    }


def test_families_do_not_depend_on_workers() -> None:
    structures = {f"c{n:03d}": crystal(size=5 + 0.01 * (n % 7), seed=n % 3) for n in range(300)}
    with ThreadPoolExecutor(3) as executor:
        many = portray_records(InMemory(structures), {}, executor)
    one = portray_records(InMemory(structures), {}, InlineExecutor())
    assert many.ids == one.ids
    assert find_families(many, CLUSTER, "") == find_families(one, CLUSTER, "")


@pytest.mark.parametrize(
    ("recipe", "atoms", "kind"),
    [(CLUSTER, embedded("CCO"), "crystals"), (SCAFFOLD, crystal(), "molecules")],
)
def test_a_recipe_for_other_records_is_refused(
    recipe: ScaffoldSplit | ClusterSplit, atoms: Atoms, kind: str
) -> None:
    described = portray_records(InMemory({"one": atoms}), {}, InlineExecutor())
    with pytest.raises(StoreError, match=f"the split 'mine' is for {kind}"):
        find_families(described, recipe, "mine")


def test_a_split_of_families_survives_its_file(tmp_path: Path) -> None:
    families = random_families(60, [6])
    split = draw_split("cluster", CLUSTER, [*families, "x"], {}, families)
    save_split(split, tmp_path / "cluster.parquet")
    assert load_split(tmp_path / "cluster.parquet").digest == split.digest


def test_a_wrong_recipe_on_a_card_is_explained() -> None:
    values = {"splits": {"s": {"method": "cluster", "train": 0.8, "valid": 0.1, "seed": 1}}}
    with pytest.raises(SettingsError, match=r"splits\.s\.cluster\.description"):
        Card.parse(values, "card.yaml")
