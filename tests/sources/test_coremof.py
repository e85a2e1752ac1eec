"""CoRE MOF 2019: the wheel, the table of uptakes, and what cannot be right in them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import coremofs
import numpy as np
import pyarrow.parquet as pq
import pytest
from ase import Atoms
from handmade import REPOSITORY

from molcryst_bench.base.errors import MolcrystError, SourceError
from molcryst_bench.base.executors import InlineExecutor, local_executor
from molcryst_bench.graphs.build import BuildRequest, DatasetSettings, build_store
from molcryst_bench.graphs.draw import draw_split
from molcryst_bench.graphs.similarity.families import find_families
from molcryst_bench.graphs.similarity.portraits import portray_records
from molcryst_bench.graphs.split import load_split
from molcryst_bench.graphs.store import GraphStore, open_store
from molcryst_bench.sources import coremof
from molcryst_bench.sources.card import FamilySplit, load_card
from molcryst_bench.sources.fetch import fetch, verify
from molcryst_bench.sources.registry import get_dataset, obtain

FRAMEWORKS = coremofs.frameworks()
FIRST, BAD = "ABAVIJ_clean", "ABDVIJ_clean"
UPTAKES = ("co2_0.15bar", "ch4_65bar", "log_henry_co2")


@pytest.fixture
def raw(project: Path) -> Path:
    """The folder of raw files of a project that has the card of CoRE MOF."""
    folder = project / "datasets" / "coremof"
    folder.mkdir()
    shutil.copy(REPOSITORY / "datasets" / "coremof" / "card.yaml", folder)
    return folder / "raw"


@pytest.fixture
def wheel(raw: Path) -> Path:
    return write(raw)


@pytest.fixture
def labels(wheel: Path) -> Path:
    return write_labels(wheel.parent)


def write(
    raw: Path,
    rows: coremofs.Rows | None = None,
    files: list[tuple[str, bytes]] | None = None,
) -> Path:
    geometry = coremofs.table((rows or coremofs.geometry_rows(FRAMEWORKS)).values())
    archive = coremofs.tar_xz(files or coremofs.cifs(FRAMEWORKS))
    return coremofs.write_wheel(raw / coremofs.WHEEL_NAME, geometry, archive)


def write_labels(raw: Path, rows: coremofs.Rows | None = None) -> Path:
    path = raw / coremofs.LABELS_NAME
    path.write_bytes(coremofs.table((rows or coremofs.label_rows(FRAMEWORKS)).values()))
    return path


def build(wheel: Path, labels: Path | None = None, accept: bool = True) -> GraphStore:
    source = coremofs.source(wheel, labels)
    paths = {file.name: wheel.parent / file.name for file in source.files}
    request = BuildRequest(load_card("coremof"), source, paths, DatasetSettings())
    store = wheel.parent.parent / "store.zarr"
    build_store(request, store, InlineExecutor(), accept_quarantined=accept)
    return open_store(store)


def quarantined(store: GraphStore) -> dict[str, str]:
    table = pq.read_table(Path(store.path).with_name("quarantine.parquet"))
    return {row["id"]: row["reason"] for row in table.to_pylist()}


def test_structures_have_the_values_of_the_table(wheel: Path) -> None:
    store = build(wheel)
    assert store.ids.tolist() == list(FRAMEWORKS)
    assert store.read("targets/lcd").tolist() == [4 + 0.25 * n for n in range(10)]
    assert store.read("targets/pld").tolist() == [3 + 0.25 * n for n in range(10)]
    assert store.read("targets/void_fraction").tolist() == [0.25 + 0.0625 * n for n in range(10)]
    for number, atoms in enumerate(FRAMEWORKS.values()):
        graph = store[number]
        np.testing.assert_array_equal(graph.z, atoms.numbers)
        np.testing.assert_allclose(graph.pos, atoms.positions, atol=1e-4)
        np.testing.assert_allclose(np.squeeze(graph.cell), atoms.cell.array, atol=1e-4)


def test_uptakes_are_missing_without_their_table(wheel: Path) -> None:
    store = build(wheel)
    for name in UPTAKES:
        assert np.isnan(store.read(f"targets/{name}")).all()
    assert store.attributes["provenance"]["source"] == "wheel"


def test_uptakes_are_joined_by_name(wheel: Path, raw: Path) -> None:
    rows = coremofs.label_rows(FRAMEWORKS)
    del rows[BAD]
    rows["ABEVIJ_neutral"] = {**rows.pop("ABEVIJ_clean"), "MOFname": "ABEVIJ_neutral"}
    store = build(wheel, write_labels(raw, dict(reversed(rows.items()))))
    expected = [np.nan if n in (3, 4) else 0.5 * n for n in range(10)]
    np.testing.assert_array_equal(store.read("targets/co2_0.15bar"), expected)
    assert store.attributes["provenance"]["source"] == "labelled"


def test_sources_differ_in_the_uptakes_alone(wheel: Path, labels: Path) -> None:
    bare = build(wheel).attributes["array_digests"]
    full = build(wheel, labels).attributes["array_digests"]
    assert {name for name in bare if bare[name] != full[name]} == {f"targets/{n}" for n in UPTAKES}


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("geometry_agrees", "False"),
        ("natoms", "9"),
        ("composition", "O4Zn3Cd"),
        ("volume_A3", "125.5"),
    ],
)
def test_label_of_another_structure_is_not_used(
    wheel: Path, raw: Path, column: str, text: str
) -> None:
    rows = coremofs.label_rows(FRAMEWORKS)
    rows[BAD][column] = text
    store = build(wheel, write_labels(raw, rows), accept=False)
    for name in UPTAKES:
        assert np.flatnonzero(np.isnan(store.read(f"targets/{name}"))).tolist() == [3]


@pytest.mark.parametrize(
    ("column", "text", "reason"),
    [
        ("DISORDER", "DISORDER", "disorder: alternative positions of the same atoms"),
        ("cm3_g", "7.7", "the row is of another structure: the CIF's density is"),
        ("cm3_g", "", "cm3_g is '', not a number"),
        ("AV_VF", "1.2", "a void fraction of 1.2"),
        ("AV_VF", "nan", "AV_VF is not finite"),
        ("PLD", "wide", "PLD is 'wide', not a number"),
        ("PLD", "99", "a pore 4.75 Å wide that lets 99 Å through"),
        ("LCD", "inf", "LCD is not finite"),
    ],
)
def test_bad_row_is_set_aside(raw: Path, column: str, text: str, reason: str) -> None:
    rows = coremofs.geometry_rows(FRAMEWORKS)
    rows[BAD][column] = text
    store = build(write(raw, rows))
    assert reason in quarantined(store)[BAD]
    assert len(store) == 9


def changed(old: str, new: str) -> Callable[[str], bytes]:
    return lambda text: text.replace(old, new, 1).encode()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: b"", "the CIF cannot be parsed"),
        (lambda text: text[:200].encode(), "the CIF"),
        (lambda text: b"\xff\xfe" + text.encode(), "the CIF is not UTF-8"),
        (lambda text: text.partition("loop_\n  _atom")[0].encode(), "the CIF has no atoms"),
        (changed("1.0000 0", "0.5000 0"), "partial occupancy 0.5 of atom Zn1"),
        (changed("1.000 Zn", "1.000 Qq"), "unknown element 'Qq' of atom Zn1"),
        (changed("1.000 Zn", "1.000 Cd"), "the row is of another structure"),
        (changed("0.25000 0.25000 0.25000", "0.00000 0.00000 0.05000"), "two atoms are 0.265 Å"),
        (changed("0.25000 0.25000 0.25000", "0.00000 0.00000 0.15000"), "under 0.5 of the sum"),
        (changed("0.25000 0.25000 0.25000", "0.25000 ? 0.25000"), "not finite"),
    ],
)
def test_bad_cif_is_set_aside(raw: Path, change: Callable[[str], bytes], reason: str) -> None:
    files = dict(coremofs.cifs(FRAMEWORKS))
    files[f"{BAD}.cif"] = change(files[f"{BAD}.cif"].decode())
    store = build(write(raw, files=list(files.items())))
    assert reason in quarantined(store)[BAD]
    assert store.ids.tolist() == [name for name in FRAMEWORKS if name != BAD]


def test_unquoted_space_group_is_put_right(raw: Path) -> None:
    files = [(name, cif.replace(b"'P 1'", b"P 1")) for name, cif in coremofs.cifs(FRAMEWORKS)]
    assert len(build(write(raw, files=files), accept=False)) == len(FRAMEWORKS)


def test_deuterium_is_hydrogen(raw: Path) -> None:
    water = Atoms("OH2", positions=[[0, 0, 0], [1, 0, 0], [0, 1, 0]], cell=[4, 4, 4], pbc=True)
    structures = {"HEAVY_clean": water}
    files = [(n, c.replace(b"1.000 H", b"1.000 D")) for n, c in coremofs.cifs(structures)]
    store = build(write(raw, coremofs.geometry_rows(structures), files))
    assert store[0].z.tolist() == [8, 1, 1]


def test_names_without_partner_are_set_aside(raw: Path) -> None:
    files = dict(coremofs.cifs(FRAMEWORKS))
    files["../../etc/passwd.cif"] = files["alien.cif"] = files.pop(f"{BAD}.cif")
    reasons = quarantined(build(write(raw, files=list(files.items()))))
    assert reasons == {
        BAD: f"no CIF in {coremofs.ARCHIVE}",
        "alien": f"no row in {coremofs.TABLE}",
        "../../etc/passwd": "the name is not a plain word",
    }


def flip(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]


@pytest.mark.parametrize("damage", [lambda c: c[: len(c) // 2], flip, lambda c: b"not xz"])
def test_damaged_archive_is_refused(raw: Path, damage: Callable[[bytes], bytes]) -> None:
    geometry = coremofs.table(coremofs.geometry_rows(FRAMEWORKS).values())
    archive = damage(coremofs.tar_xz(coremofs.cifs(FRAMEWORKS)))
    path = coremofs.write_wheel(raw / coremofs.WHEEL_NAME, geometry, archive)
    with pytest.raises(SourceError, match="not a complete core-mof wheel"):
        build(path)


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        ("_LARGEST_ARCHIVE", "unpacks to over 500 bytes"),
        ("_LARGEST_CIF", "ABAVIJ_clean.cif has"),
        ("_LARGEST_TABLE", "2019-ASR.csv would unpack to"),
    ],
)
def test_archives_that_unpack_to_too_much_are_refused(
    wheel: Path, monkeypatch: pytest.MonkeyPatch, limit: str, message: str
) -> None:
    monkeypatch.setattr(coremof, limit, 500)
    with pytest.raises(SourceError, match=message):
        build(wheel)


def test_tables_with_faults_are_refused(raw: Path, wheel: Path) -> None:
    rows = coremofs.geometry_rows(FRAMEWORKS)
    without = {name: {k: v for k, v in row.items() if k != "PLD"} for name, row in rows.items()}
    with pytest.raises(SourceError, match="lacks the column PLD"):
        build(write(raw, without))
    with pytest.raises(SourceError, match=f"has the name '{FIRST}' more than once"):
        build(write(raw, {**rows, "again": rows[FIRST]}))
    broken = write_labels(raw)
    broken.write_bytes(b"\xff\xfe")
    with pytest.raises(SourceError, match=f"{coremofs.LABELS_NAME} is not the table of uptakes"):
        build(write(raw), broken)


def test_whole_dataset_comes_without_labels_where_there_is_no_mirror(
    labels: Path, wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, path in (("LABELS", labels), ("WHEEL", wheel)):
        monkeypatch.setattr(coremof, name, coremofs.raw_file(path))
    assert obtain(get_dataset("coremof"), wheel.parent).source.name == "labelled"
    labels.unlink()
    assert obtain(get_dataset("coremof"), wheel.parent).source.name == "wheel"


def test_rare_metals_are_in_the_test_set_alone(raw: Path) -> None:
    metals = ["Zn"] * 6 + ["Cu,Zn", "Zn,Cu", "Ag", "Fe"]
    rows = coremofs.geometry_rows(FRAMEWORKS)
    for row, metal in zip(rows.values(), metals, strict=True):
        row["All_Metals"] = metal
    path = write(raw, rows)
    split = coremofs.source(path).published_splits({path.name: path})["rare_metals"]
    assert [name for name, subset in split.items() if subset == "test"] == [list(rows)[8]]
    assert set(split) == set(FRAMEWORKS)


@pytest.mark.slow
def test_whole_coremof(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    path = _real_wheel(tmp_path)
    card = load_card("coremof")
    source = coremof.CoreMof(card.targets, "wheel", (coremof.WHEEL,))
    request = BuildRequest(card, source, {path.name: path}, DatasetSettings())
    with local_executor(2) as executor:
        digest = build_store(request, tmp_path / "store.zarr", executor)
        described = portray_records(source, {path.name: path}, executor)
    assert digest == "7eca0033c28de71482aa1a9d3416ad51872bd3dd8518e5e7a4f1c6c86ea6357b"
    store = open_store(tmp_path / "store.zarr")
    assert len(store) == card.records
    assert len(quarantined(store)) == card.quarantined
    for name, recipe in card.splits.items():
        split = load_split(REPOSITORY / "datasets" / "coremof" / "splits" / f"{name}.parquet")
        published = source.published_splits({path.name: path}).get(name, {})
        alike = isinstance(recipe, FamilySplit)
        families = find_families(described, recipe, name) if alike else {}
        drawn = draw_split(name, recipe, split.ids.tolist(), published, families)
        assert split.digest == drawn.digest
        assert len(split.checked(store).ids) == card.records
        assert len(split.ids) == card.records + card.quarantined


def _real_wheel(folder: Path) -> Path:
    path = REPOSITORY / "datasets" / "coremof" / "raw" / coremof.WHEEL.name
    if path.exists():
        verify(coremof.WHEEL, path)
        return path
    try:
        return fetch(coremof.WHEEL, folder / "raw")
    except MolcrystError as error:
        pytest.skip(f"the wheel of CoRE MOF cannot be had here: {error}")
