"""hMOF from a zip of CIFs with a table of labels, by hand and as it really is."""

from __future__ import annotations

import os
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import handmade
import mofs
import numpy as np
import pyarrow.parquet as pq
import pytest
from ase import Atoms
from ase.neighborlist import primitive_neighbor_list
from mofs import build, read

from molcryst_bench.base.errors import SourceError
from molcryst_bench.graphs.build import DatasetSettings
from molcryst_bench.graphs.draw import draw_split
from molcryst_bench.graphs.neighbors import GraphSpec, find_edges
from molcryst_bench.graphs.split import load_split
from molcryst_bench.sources.card import load_card
from molcryst_bench.sources.hmof import importer
from molcryst_bench.sources.hmof_record import GEOMETRY, UPTAKES
from molcryst_bench.sources.hmof_sample import HmofSample
from molcryst_bench.sources.registry import get_source, obtain, published_splits
from molcryst_bench.sources.structures import density
from molcryst_bench.training.task import load_task

SWAPPED = {f"hMOF-{number}" for number in (14, 456, 1233, 1253, 1730, 2010, 2596)}


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = mofs.make_project(tmp_path / "project")
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def mirror() -> Path:
    if "MOLCRYST_MIRROR" not in os.environ:
        pytest.skip("needs the real files: MOLCRYST_MIRROR is not set")
    return Path(os.environ["MOLCRYST_MIRROR"])


def sample(path: Path) -> HmofSample:
    return HmofSample((handmade.raw_file(path),))


def test_a_sample_gives_structures_uptakes_and_pores(tmp_path: Path) -> None:
    path = handmade.write_zip(tmp_path / "s.zip", mofs.sample_members())
    records, reasons = read(sample(path), path)
    assert list(records) == ["hMOF-1", "hMOF-2", "hMOF-3", "hMOF-4"]
    assert not reasons
    second = records["hMOF-2"]
    expected = {name: 11.0 * (n + 1) for n, name in enumerate(UPTAKES)}
    assert second.targets == expected | {"co2_working_capacity": 11.0 * (5 - 3)}
    assert second.features == mofs.geometry(mofs.framework(11.0))
    assert second.atoms.pbc.all()
    np.testing.assert_allclose(second.atoms.positions, mofs.framework(11.0).positions, atol=1e-9)


def test_a_store_has_arrays_and_tasks_with_dots_in_their_names(tmp_path: Path) -> None:
    path = handmade.write_zip(tmp_path / "s.zip", mofs.changed_label("CH4_4.5bar", ""))
    store = build(sample(path), path)
    store.verify()
    np.testing.assert_allclose(store.read("targets/co2_2.5bar"), [50, 55, 60, 65])
    np.testing.assert_array_equal(np.isnan(store.read("targets/ch4_4.5bar")), [1, 0, 0, 0])
    assert store.read("features/lcd").tolist() == [6.25] * 4
    assert store[1].targets["co2_2.5bar"].item() == 55
    task = load_task("hmof/co2_2.5bar")
    assert (task.target, task.definition.unit) == ("co2_2.5bar", "mmol/g")


def test_the_published_split_is_that_of_the_table(tmp_path: Path) -> None:
    path = handmade.write_zip(tmp_path / "s.zip", mofs.changed_label("split", ""))
    subsets = sample(path).published_splits({"s.zip": path})["jarvis"]
    assert subsets == {"hMOF-2": "train", "hMOF-3": "valid", "hMOF-4": "test"}
    wrong = handmade.write_zip(tmp_path / "s.zip", mofs.changed_label("split", "tset", row=3))
    with pytest.raises(SourceError, match=r"s\.zip.*hMOF-3 in the subset 'tset'"):
        sample(wrong).published_splits({"s.zip": wrong})


def bomb(path: Path) -> Path:
    """Write a sample one of whose CIFs would unpack to 21 MB, from a few kilobytes."""
    members = mofs.sample_members()
    return handmade.write_zip(path, members | {"cifs/hMOF-1.cif": b" " * 21_000_000})


def with_cif(content: bytes) -> dict[str, bytes]:
    return mofs.sample_members() | {"cifs/hMOF-1.cif": content}


def without(member: str) -> dict[str, bytes]:
    return {name: content for name, content in mofs.sample_members().items() if name != member}


def with_row(line: str) -> dict[str, bytes]:
    members = mofs.sample_members()
    return members | {"labels.csv": members["labels.csv"] + line.encode() + b"\n"}


def changed_cif(old: str, new: str) -> dict[str, bytes]:
    return with_cif(mofs.cif(mofs.framework(10.0)).replace(old, new, 1).encode())


FIRST_ROW = mofs.sample_members()["labels.csv"].decode().splitlines()[1]
BAD_ENTRIES: dict[str, tuple[dict[str, bytes], str]] = {
    "another structure's label": (with_cif(mofs.cif(mofs.framework(12)).encode()), "density of"),
    "label without CIF": (without("cifs/hMOF-1.cif"), "the label has no CIF"),
    "name twice in the table": (with_row(FIRST_ROW), "2 rows of this name"),
    "two CIFs": (
        mofs.sample_members() | {"../../other/hMOF-1.cif": b"data_"},
        "2 CIFs of this name",
    ),
    "unreadable number": (mofs.changed_label("CO2_0.1bar", "3,1"), "too many or too few columns"),
    "word for a number": (mofs.changed_label("CO2_0.1bar", "high"), "CO2_0.1bar is not a number"),
    "infinite uptake": (mofs.changed_label("CH4_0.5bar", "inf"), "CH4_0.5bar is inf"),
    "negative uptake": (mofs.changed_label("CO2_0.01bar", "-1"), "CO2_0.01bar is -1"),
    "negative pores": (mofs.changed_label("lcd", "-4.25"), "lcd is -4.25"),
    "more void than volume": (mofs.changed_label("void_fraction", "1.5"), "void fraction is 1.5"),
    "uptake that falls": (mofs.changed_label("CO2_2.5bar", "20"), "falls from 30 at 0.1 bar to 20"),
    "not UTF-8": (with_cif(b"data_\xff\xfe"), "not UTF-8"),
    "empty CIF": (with_cif(b""), "CIF"),
    "text": (with_cif(b"not a CIF at all"), "cannot be parsed"),
    "no atoms": (changed_cif("loop_", "loop_broken"), "CIF"),
    "no cell": (changed_cif("_cell_length_a 10.000000", ""), "no unit cell of finite volume"),
    "a flat cell": (changed_cif("_cell_length_a 10.000000", "_cell_length_a 0"), "unit cell"),
    "an unknown element": (changed_cif("Zn1 Zn", "Qq1 Qq"), "unknown element 'Qq'"),
    "partial occupancy": (
        with_cif(mofs.cif(mofs.framework(10.0), occupancy="0.5").encode()),
        "partial occupancy 0.5 of atom Zn1",
    ),
}


@pytest.mark.parametrize(("members", "reason"), BAD_ENTRIES.values(), ids=BAD_ENTRIES.keys())
def test_an_entry_that_cannot_be_right_is_set_aside(
    tmp_path: Path, members: dict[str, bytes], reason: str
) -> None:
    path = handmade.write_zip(tmp_path / "s.zip", members)
    records, reasons = read(sample(path), path)
    assert list(records) == ["hMOF-2", "hMOF-3", "hMOF-4"]
    assert list(reasons) == ["hMOF-1"]
    assert reason in reasons["hMOF-1"]
    store = build(sample(path), path, accept_quarantined=True)
    assert store.ids.tolist() == ["hMOF-2", "hMOF-3", "hMOF-4"]


def test_atoms_on_top_of_each_other_are_set_aside(tmp_path: Path) -> None:
    crowded = changed_cif("0.500000 0.500000 0.300000", "0.500000 0.500000 0.010000")
    path = handmade.write_zip(tmp_path / "s.zip", crowded)
    store = build(sample(path), path, accept_quarantined=True)
    assert store.ids.tolist() == ["hMOF-2", "hMOF-3", "hMOF-4"]
    (row,) = pq.read_table(tmp_path / "quarantine.parquet").to_pylist()
    assert (row["file"], row["id"]) == ("s.zip", "hMOF-1")
    assert "0.100 Å apart" in row["reason"]


def test_both_densities_are_named(tmp_path: Path) -> None:
    path = handmade.write_zip(tmp_path / "s.zip", BAD_ENTRIES["another structure's label"][0])
    reason = read(sample(path), path)[1]["hMOF-1"]
    for size in (10, 12):
        assert f"{density(mofs.framework(size)):.3f}" in reason


def test_a_label_of_a_nonporous_framework_says_nothing_about_its_density(tmp_path: Path) -> None:
    path = handmade.write_zip(tmp_path / "s.zip", mofs.changed_label("surface_area_m2g", "0.0"))
    assert len(read(sample(path), path)[0]) == 4


def test_a_cif_without_a_label_is_set_aside_under_its_own_name(tmp_path: Path) -> None:
    members = mofs.sample_members() | {"../../etc/stray.cif": b"data_"}
    path = handmade.write_zip(tmp_path / "s.zip", members)
    records, reasons = read(sample(path), path)
    assert len(records) == 4
    assert reasons == {"stray": "the CIF has no row in the table of labels"}
    assert not list(tmp_path.rglob("stray.cif")), "members are never unpacked to a path"


def test_a_row_without_a_name_and_one_with_a_path_are_set_aside(tmp_path: Path) -> None:
    members = with_row(FIRST_ROW.replace("hMOF-1", "") + "\n" + FIRST_ROW.replace("hMOF-1", "../x"))
    path = handmade.write_zip(tmp_path / "s.zip", members | {"cifs/x.cif": b"data_"})
    assert set(read(sample(path), path)[1]) == {"labels.csv line 6", "../x", "x"}


def test_a_bomb_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = bomb(tmp_path / "s.zip")
    assert path.stat().st_size < 100_000
    opened = []
    unpack = zipfile.ZipFile.read
    monkeypatch.setattr(
        zipfile.ZipFile,
        "read",
        lambda archive, member: opened.append(member.filename) or unpack(archive, member),
    )
    records, reasons = read(sample(path), path)
    assert len(records) == 3
    assert "would unpack to 21,000,000 bytes" in reasons["hMOF-1"]
    assert "cifs/hMOF-1.cif" not in opened
    assert "cifs/hMOF-2.cif" in opened


def test_a_member_cannot_be_larger_than_it_says(tmp_path: Path) -> None:
    path = bomb(tmp_path / "s.zip")
    size = (21_000_000).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(size, (21_000).to_bytes(4, "little")))
    with pytest.raises(SourceError, match=r"s\.zip is not a complete zip archive"):
        read(sample(path), path)


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def flipped(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        offset = archive.getinfo("cifs/hMOF-3.cif").header_offset
    content = bytearray(path.read_bytes())
    content[offset + 80] ^= 0xFF
    path.write_bytes(content)


def rewritten(members: Mapping[str, bytes]) -> Callable[[Path], object]:
    return lambda path: handmade.write_zip(path, dict(members))


def with_table(content: bytes) -> Callable[[Path], object]:
    return rewritten(mofs.sample_members() | {"labels.csv": content})


WRONG_ARCHIVES: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda path: path.write_bytes(b""), "not a complete zip"),
    "text": (lambda path: path.write_text("<html>404</html>"), "not a complete zip"),
    "truncated": (truncated, "not a complete zip"),
    "one byte changed": (flipped, "not a complete zip"),
    "no table": (rewritten(without("labels.csv")), "has no labels.csv"),
    "table without a target": (
        with_table(mofs.sample_members()["labels.csv"].replace(b"CO2_2.5bar", b"CO2_2.5")),
        "lacks the column CO2_2.5bar",
    ),
    "empty table": (with_table(b""), "lacks the column name"),
    "table in Latin-1": (with_table(b"name\n\xe9\n"), "labels.csv cannot be read"),
    "a field without an end": (
        with_table(mofs.sample_members()["labels.csv"] + b'"' + b"0" * 200_000),
        "labels.csv cannot be read",
    ),
}


@pytest.mark.parametrize(("spoil", "reason"), WRONG_ARCHIVES.values(), ids=WRONG_ARCHIVES.keys())
def test_a_wrong_archive_is_refused_by_name(
    tmp_path: Path, spoil: Callable[[Path], object], reason: str
) -> None:
    path = handmade.write_zip(tmp_path / "s.zip", mofs.sample_members())
    spoil(path)
    with pytest.raises(SourceError, match=rf"s\.zip.*{reason}"):
        read(sample(path), path)


def test_without_the_mirror_it_is_said_how_to_get_the_sample(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MOLCRYST_MIRROR", raising=False)
    with pytest.raises(SourceError) as refusal:
        obtain(importer(), project / "datasets/hmof/raw")
    message = str(refusal.value)
    assert "no public address: set MOLCRYST_MIRROR to a folder that has hmof/hmof-sample" in message
    assert "--source sample, mofxdb, mofxdb-30, jarvis" in message
    assert "mofxdb-hMOF.zip" not in message, "other records are no substitute"


def reference(atoms: Atoms, cutoff: float) -> dict[tuple[int, ...], float]:
    """Return the distance of every edge in both directions, by ASE, from float32 positions."""
    positions = atoms.positions.astype(np.float32).astype(np.float64)
    i, j, shift, distance = primitive_neighbor_list(
        "ijSd", atoms.pbc, atoms.cell.array, positions, cutoff
    )
    keys = zip(i.tolist(), j.tolist(), *shift.T.tolist(), strict=True)
    return dict(zip(keys, distance.tolist(), strict=True))


def test_of_the_real_sample_exactly_the_swapped_labels_are_set_aside(
    project: Path, mirror: Path
) -> None:
    obtained = obtain(importer(), project / "datasets/hmof/raw")
    path = obtained.paths["hmof-sample.zip"]
    records, reasons = read(obtained.source, path)
    card = load_card("hmof")
    assert set(reasons) == SWAPPED
    assert all("density" in reason for reason in reasons.values())
    assert (len(records), len(reasons)) == (card.records, card.quarantined)
    store = build(obtained.source, path)
    assert store.ids.tolist() == list(records)
    for name in ("random", "jarvis"):
        committed = load_split(handmade.REPOSITORY / f"datasets/hmof/splits/{name}.parquet")
        assert committed.checked(store).rows("test").numel() > 20
        published = published_splits(obtained).get(name, {})
        ids = [*records, *reasons]
        assert draw_split(name, card.splits[name], ids, published).digest == committed.digest


def test_both_real_sources_agree_where_they_have_the_same_framework(mirror: Path) -> None:
    path = mirror / "hmof" / "hmof-sample.zip"
    labelled, _ = read(get_source(importer(), "sample"), path)
    path = mirror / "mofxdb" / "mofxdb-hMOF-30-records.zip"
    own, reasons = read(get_source(importer(), "mofxdb-30"), path)
    assert set(reasons) == {"hMOF-14", "hMOF-25"}, "they have one id"
    both = sorted(labelled.keys() & own.keys())
    assert len(both) == 24
    for name in both:
        assert own[name].atoms == labelled[name].atoms
        assert own[name].targets == pytest.approx(labelled[name].targets, rel=1e-5, abs=1e-9)
        for feature in set(GEOMETRY) - {"lcd", "pld"}:  # of which the card says that they differ
            expected = pytest.approx(labelled[name].features[feature], rel=1e-12)
            assert own[name].features[feature] == expected


def test_the_twelve_nearest_neighbours_are_found_in_every_real_framework(mirror: Path) -> None:
    path = mirror / "hmof" / "hmof-sample.zip"
    settings = DatasetSettings(graph=GraphSpec(cutoff=8.0, max_neighbors=12))
    copied = Path("hmof-sample.zip").absolute()
    copied.write_bytes(path.read_bytes())
    store = build(get_source(importer(), "sample"), copied, settings=settings)
    assert len(store) == 300
    assert len(store.read("edges/sender")) == 12 * len(store.read("nodes/atomic_number"))


@pytest.mark.slow
def test_neighbours_of_fifty_real_frameworks_are_those_of_ase(mirror: Path) -> None:
    """ASE alone is the reference: pymatgen is no dependency."""
    records, _ = read(get_source(importer(), "sample"), mirror / "hmof" / "hmof-sample.zip")
    some = list(records.values())[::6]
    assert len(some) == 50
    for record in some:
        expected = reference(record.atoms, 5.0)
        edges = find_edges(record.atoms, GraphSpec(cutoff=5.0))
        pairs = [*zip(edges.sender, edges.receiver, edges.shift, edges.distance, strict=True)]
        found = {(i, j, *shift): d for i, j, shift, d in pairs}
        found |= {(j, i, *-shift): d for i, j, shift, d in pairs}
        assert len(found) == 2 * len(pairs)
        for key in found.keys() ^ expected.keys():
            assert abs((found | expected)[key] - 5.0) < 1e-6, "but for rounding at the cut-off"
        both = found.keys() & expected.keys()
        np.testing.assert_allclose([found[k] for k in both], [expected[k] for k in both], atol=1e-9)


@pytest.mark.slow
def test_the_twelve_nearest_of_fifty_real_frameworks_are_those_of_ase(mirror: Path) -> None:
    records, _ = read(get_source(importer(), "sample"), mirror / "hmof" / "hmof-sample.zip")
    for record in list(records.values())[::6]:
        expected = reference(record.atoms, 8.0)
        distances: dict[int, list[float]] = {}
        for (_, receiver, *_), distance in expected.items():
            distances.setdefault(receiver, []).append(distance)
        edges = find_edges(record.atoms, GraphSpec(cutoff=8.0, max_neighbors=12))
        for atom, near in distances.items():
            found = np.sort(edges.distance[edges.receiver == atom])
            # Neighbours less than 1e-4 Å apart count as one shell, and shells may chain.
            np.testing.assert_allclose(found, np.sort(near)[:12], atol=1e-3)


@pytest.mark.slow
def test_cif_text_becomes_a_graph_fast_enough(mirror: Path) -> None:
    """At least 225 frameworks a second on two cores, judged by the time of one."""
    source = get_source(importer(), "sample")
    path = mirror / "hmof" / "hmof-sample.zip"
    raws = [r for r in source.raw_records({path.name: path}) if r.id not in SWAPPED]
    start = time.process_time()
    for raw in raws:
        find_edges(source.parse(raw).atoms, GraphSpec())
    assert 2 * len(raws) / (time.process_time() - start) > 225
