"""What the audit finds in splits of small sets, and in the published ones."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from alike import InMemory, crystal, disguised, embedded, supercell
from ase import Atoms
from ase.build import molecule
from handmade import REPOSITORY

from molcryst_bench.base.errors import SettingsError, StoreError
from molcryst_bench.base.executors import InlineExecutor
from molcryst_bench.graphs.audit.findings import Audit, SplitAudit, load_audit, save_audit
from molcryst_bench.graphs.audit.run import audit_split
from molcryst_bench.graphs.draw import draw_split, random_split
from molcryst_bench.graphs.layout import id_digest
from molcryst_bench.graphs.similarity.families import find_families
from molcryst_bench.graphs.similarity.kinds import Thresholds, kinds_of_likeness
from molcryst_bench.graphs.similarity.portraits import Portraits, portray_records
from molcryst_bench.graphs.split import SUBSETS, Split, load_split
from molcryst_bench.sources.card import TimeBlockSplit, load_card
from molcryst_bench.sources.registry import get_dataset, obtain

Subsets = dict[str, dict[str, Atoms | None]]  # subset -> id -> structure


def split_of(subsets: Subsets) -> Split:
    ids = [identity for members in subsets.values() for identity in members]
    numbers = [SUBSETS.index(name) for name, members in subsets.items() for _ in members]
    return Split("made", np.array(ids), np.array(numbers, np.int8), id_digest(ids))


def audited(subsets: Subsets, thresholds: Thresholds | None = None) -> SplitAudit:
    structures = {i: atoms for members in subsets.values() for i, atoms in members.items()}
    described = portray_records(InMemory(structures), {}, InlineExecutor())
    kinds = kinds_of_likeness(described, thresholds or Thresholds())
    return audit_split(split_of(subsets), described, kinds, "memory")


def counts(audit: SplitAudit) -> dict[str, list[int]]:
    """Return how many were found: valid in train, test in train, test in valid."""
    return {kind.name: [finding.found for finding in kind.overall] for kind in audit.kinds}


def nothing_in(audit: SplitAudit) -> bool:
    return not any(finding.found for kind in audit.kinds for finding in kind.findings)


def test_molecules_that_leak_are_counted_by_kind() -> None:
    alcohol = embedded("C[C@H](O)C#N")
    audit = audited(
        {
            "train": {"a": alcohol, "cis": embedded("C/C=C\\C"), "ring": embedded("C1CC1C")},
            "valid": {"turned": disguised(alcohol, 3), "trans": embedded("C/C=C/C")},
            "test": {
                "mirrored": disguised(alcohol, 4, mirror=True),
                "isomer": embedded("CC(O)=CC"),
                "other ring": embedded("C1CC1CC"),
                "unreadable": None,
            },
        }
    )
    assert (audit.records, audit.unreadable) == (8, 1)
    assert counts(audit) == {
        "same geometry": [1, 1, 1],
        "same constitution": [2, 1, 1],
        "same molecule": [1, 0, 0],
        "stereoisomer": [1, 1, 1],
        "same scaffold": [2, 3, 2],  # of chains that of isopentane, which is the alcohol's too
    }
    (geometry, *_) = audit.kinds
    assert geometry.overall[0].examples == (("turned", "a"),)
    assert geometry.overall[1].share == 1 / 3


def test_molecules_whose_stereo_is_not_known_are_counted() -> None:
    radical = molecule("CH3")
    audit = audited({"train": {"a": radical}, "valid": {}, "test": {"b": disguised(radical)}})
    unknown = {kind.name: kind.unknown for kind in audit.kinds}
    assert unknown["same molecule"] == unknown["stereoisomer"] == 2
    assert unknown["same constitution"] == 0
    assert counts(audit)["same constitution"] == [0, 1, 0]
    assert counts(audit)["same molecule"] == [0, 0, 0]


def test_crystals_that_leak_are_counted_by_kind() -> None:
    zinc = crystal(seed=1)
    audit = audited(
        {
            "train": {"zinc": zinc, "magnesium": crystal("Mg", 4.6)},
            "valid": {"cadmium": crystal("Cd", 5.1)},
            "test": {
                "in another cell": disguised(supercell(zinc, [[1, 1, 0], [0, 2, 0], [0, 0, 1]])),
                "shaken": crystal(seed=2),
                "wider": crystal("Mg", 4.7),
            },
        }
    )
    assert counts(audit) == {
        "same geometry": [0, 1, 0],
        "same composition and volume": [0, 2, 0],
        "similar framework": [0, 3, 0],
    }


def test_frames_close_in_time_are_counted_by_group() -> None:
    def frame(group: str, time: int) -> tuple[str, Atoms]:
        atoms = molecule("H2O" if group == "water" else "NH3")
        atoms.rattle(0.1, seed=time)
        return f"{group}/{time:06d}", atoms

    audit = audited(
        {
            "train": dict(frame("water", time) for time in (0, 100, 5000)),
            "valid": dict(frame("ammonia", time) for time in (0, 100)),
            "test": dict([frame("water", 95), frame("water", 60), frame("ammonia", 149)]),
        },
        Thresholds(gaps=(50, 10)),
    )
    assert counts(audit) == {
        "same geometry": [0, 0, 0],
        "less than 10 frames apart": [0, 1, 0],
        "less than 50 frames apart": [0, 2, 1],
    }
    groups = audit.kinds[2].by_group
    assert [(f.found, f.records) for f in groups["water"]] == [(0, 0), (2, 2), (0, 2)]
    assert [(f.found, f.records) for f in groups["ammonia"]] == [(0, 2), (0, 1), (1, 1)]


def described_by_name(ids: list[str]) -> Portraits:
    """Return records of which nothing is compared but their place in time."""
    (one,) = portray_records(InMemory({"": Atoms("He")}), {}, InlineExecutor()).portraits
    unlike = [
        one._replace(geometry=one.geometry._replace(distances=np.array([row], np.float32)))
        for row in range(len(ids))
    ]
    return Portraits(tuple(ids), tuple(unlike))


def test_published_splits_have_neighbours_in_time_and_time_blocks_have_none() -> None:
    folder = REPOSITORY / "datasets" / "rmd17" / "splits"
    splits = {name: load_split(folder / f"{name}.parquet") for name in ("01", "time_block")}
    described = described_by_name(splits["01"].ids.tolist())
    kinds = kinds_of_likeness(described, Thresholds(gaps=(10, 100, 2000)))
    audits = {n: audit_split(split, described, kinds, "npz") for n, split in splits.items()}
    share = {kind.name: kind.overall[1].share for kind in audits["01"].kinds}
    assert share["less than 10 frames apart"] == 723 / 10_000
    assert share["less than 100 frames apart"] == 4_982 / 10_000
    assert share["less than 2,000 frames apart"] > 0.99
    assert nothing_in(audits["time_block"])
    assert len(audits["time_block"].kinds[1].by_group) == 10


def test_a_time_block_keeps_its_gap_and_a_random_split_does_not() -> None:
    ids = [f"water/{time:06d}" for time in range(0, 4000, 10)]
    recipe = TimeBlockSplit(method="time_block", train=0.5, valid=0.2, gap=50, description="")
    described = described_by_name(ids)
    kinds = kinds_of_likeness(described, Thresholds(gaps=(50,)))
    blocks = audit_split(draw_split("b", recipe, ids, {}), described, kinds, "memory")
    mixed = audit_split(random_split(ids, (200, 80), 0), described, kinds, "memory")
    assert counts(blocks)["less than 50 frames apart"] == [0, 0, 0]
    assert min(counts(mixed)["less than 50 frames apart"]) > 60


def test_an_audit_of_other_records_is_refused() -> None:
    structures: Subsets = {"train": {"a": crystal()}, "test": {"b": crystal("Cd")}}
    described = portray_records(InMemory({"a": crystal()}), {}, InlineExecutor())
    with pytest.raises(StoreError, match="made for other records than the source 'memory'"):
        audit_split(split_of(structures), described, [], "memory")


def test_an_audit_survives_its_file(tmp_path: Path) -> None:
    assert load_audit(tmp_path) == Audit(splits={})
    zinc = crystal(seed=1)
    found = audited({"train": {"a": zinc}, "valid": {}, "test": {"b": disguised(zinc)}})
    path = save_audit(Audit(splits={"made": found}), tmp_path)
    assert load_audit(tmp_path).splits["made"] == found
    path.write_text(path.read_text().replace('"found"', '"fuond"'))
    with pytest.raises(SettingsError, match="did you mean 'found'"):
        load_audit(tmp_path)


@pytest.mark.slow
@pytest.mark.skipif("MOLCRYST_MIRROR" not in os.environ, reason="needs the mirror of hMOF")
def test_the_cluster_split_of_hmof_is_as_drawn_and_parts_nothing_alike(tmp_path: Path) -> None:
    obtained = obtain(get_dataset("hmof"), tmp_path)
    described = portray_records(obtained.source, obtained.paths, InlineExecutor())
    recipe = load_card("hmof").splits["cluster"]
    families = find_families(described, recipe, "cluster")
    drawn = draw_split("cluster", recipe, described.ids, {}, families)
    folder = REPOSITORY / "datasets" / "hmof" / "splits"
    assert drawn.digest == load_split(folder / "cluster.parquet").digest
    assert [len(drawn.rows(subset)) for subset in SUBSETS] == [240, 30, 30]
    kinds = kinds_of_likeness(described, Thresholds())
    assert nothing_in(audit_split(drawn, described, kinds, "sample"))
    random = audit_split(load_split(folder / "random.parquet"), described, kinds, "sample")
    assert counts(random)["similar framework"][1] > 0
