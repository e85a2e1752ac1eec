"""Raw files that are not what they should be: refused by name, or their records set aside."""

from __future__ import annotations

import bz2
import contextlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import handmade
import numpy as np
import pyarrow.parquet as pq
import pytest
from handmade import MEMBERS, Molecule

from molcryst_bench.base.errors import MolcrystError, SourceError
from molcryst_bench.graphs.store import GraphStore, open_store
from molcryst_bench.sources.record import Source

SMALL = handmade.make_molecules(6, seed=7)
FIRST, BAD = SMALL[0], SMALL[3]


@pytest.fixture
def raw(project: Path) -> Path:
    return project / "datasets" / "qm9" / "raw"


@pytest.fixture
def build_over(
    tiny_store: GraphStore, raw: Path, build: Callable[..., GraphStore]
) -> Iterator[Callable[..., GraphStore]]:
    """Build from a bad source to where a good store already is, which must stay as it was."""
    yield lambda source, **options: build(source, raw, Path(tiny_store.path), **options)
    store = open_store(tiny_store.path)
    store.verify()
    assert store.digest == tiny_store.digest
    assert len(store) == 80


def truncate(path: Path, fraction: float) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: int(fraction * len(content))])
    return path


def flip(path: Path, fraction: float) -> Path:
    content = bytearray(path.read_bytes())
    content[int(fraction * len(content))] ^= 0xFF
    path.write_bytes(content)
    return path


def members() -> dict[str, bytes]:
    return handmade.wheel_members([molecule.csv_row() for molecule in SMALL])


def without_column(name: str) -> dict[str, bytes]:
    return {k: v.replace(name.encode(), b"Other", 1) for k, v in members().items()}


def latin_1() -> dict[str, bytes]:
    return members() | {MEMBERS[1]: members()[MEMBERS[1]].replace(b"InChI=", b"\xe9")}


def too_large_a_field() -> dict[str, bytes]:
    return members() | {MEMBERS[2]: members()[MEMBERS[2]] + b'"' + b"0," * 100_000 + b'"\n'}


WRONG_WHEELS: dict[str, Callable[[Path], Path]] = {
    "empty": lambda path: truncate(handmade.write_wheel(path, SMALL), 0),
    "truncated in the middle": lambda path: truncate(handmade.write_wheel(path, SMALL), 0.5),
    "truncated at the end": lambda path: truncate(handmade.write_wheel(path, SMALL), 0.99),
    "one byte changed": lambda path: flip(handmade.write_wheel(path, SMALL), 0.3),
    "first byte of the data changed": lambda path: flip(handmade.write_wheel(path, SMALL), 0.05),
    "not a zip": lambda path: Path(shutil.copy(__file__, path)),
    "missing member": lambda path: handmade.write_zip(path, dict(list(members().items())[:2])),
    "member without a header": lambda path: handmade.write_zip(path, members() | {MEMBERS[1]: b""}),
    "missing ids": lambda path: handmade.write_zip(path, without_column("XYZ_file")),
    "missing elements": lambda path: handmade.write_zip(path, without_column("Elements")),
    "missing target": lambda path: handmade.write_zip(path, without_column("ZPVE_au")),
    "not UTF-8": lambda path: handmade.write_zip(path, latin_1()),
    "a field without an end": lambda path: handmade.write_zip(path, too_large_a_field()),
    "no records": lambda path: handmade.write_wheel_rows(path, []),
    "a molecule twice": lambda path: handmade.write_wheel(path, [*SMALL, FIRST]),
}


@pytest.mark.parametrize("make", WRONG_WHEELS.values(), ids=WRONG_WHEELS.keys())
def test_a_wrong_wheel_is_refused_by_name(
    raw: Path, build_over: Callable[..., GraphStore], make: Callable[[Path], Path]
) -> None:
    wheel = make(raw / handmade.WHEEL_NAME)
    with pytest.raises(SourceError, match=handmade.WHEEL_NAME):
        build_over(handmade.wheel_source(wheel), accept_quarantined=True)


@pytest.mark.parametrize("column", ["Elements", "ZPVE_au", "Mulliken_pop"])
def test_a_missing_column_is_named(
    raw: Path, build_over: Callable[..., GraphStore], column: str
) -> None:
    wheel = handmade.write_zip(raw / handmade.WHEEL_NAME, without_column(column))
    with pytest.raises(SourceError, match=column):
        build_over(handmade.wheel_source(wheel))


def test_the_molecule_that_is_there_twice_is_named(
    raw: Path, build_over: Callable[..., GraphStore]
) -> None:
    wheel = handmade.write_wheel(raw / handmade.WHEEL_NAME, [*SMALL, BAD])
    with pytest.raises(SourceError, match=BAD.id):
        build_over(handmade.wheel_source(wheel))


WRONG_ARCHIVES: dict[str, Callable[[Path], Path]] = {
    "empty": lambda path: truncate(handmade.write_archive(path, SMALL), 0),
    "not bz2": lambda path: Path(shutil.copy(__file__, path)),
    "bz2 of something else": lambda path: Path(
        path.write_bytes(bz2.compress(b"no tar at all" * 1000)) and path
    ),
    "one byte changed": lambda path: flip(handmade.write_archive(path, SMALL), 0.5),
    "a molecule twice": lambda path: handmade.write_archive(path, [*SMALL, FIRST]),
    "no records": lambda path: handmade.write_tar(path, []),
}


@pytest.mark.parametrize("make", WRONG_ARCHIVES.values(), ids=WRONG_ARCHIVES.keys())
def test_a_wrong_archive_is_refused_by_name(
    raw: Path, build_over: Callable[..., GraphStore], make: Callable[[Path], Path]
) -> None:
    archive = make(raw / handmade.ARCHIVE_NAME)
    source = handmade.figshare_source(archive, raw / handmade.FAILURES_NAME)
    with pytest.raises(SourceError, match=handmade.ARCHIVE_NAME):
        build_over(source, accept_quarantined=True)


@pytest.mark.parametrize("fraction", [0.05, 0.3, 0.6, 0.9, 0.999])
def test_a_truncated_archive_never_passes_for_a_shorter_one(
    raw: Path, build_over: Callable[..., GraphStore], molecules: list[Molecule], fraction: float
) -> None:
    many = [replace(m, index=m.index + 80 * k) for k in range(20) for m in molecules]
    archive = truncate(handmade.write_archive(raw / handmade.ARCHIVE_NAME, many), fraction)
    source = handmade.figshare_source(archive, raw / handmade.FAILURES_NAME)
    with pytest.raises(SourceError, match=handmade.ARCHIVE_NAME):
        build_over(source)


def test_an_unreadable_list_of_failures_is_refused_by_name(
    raw: Path, build_over: Callable[..., GraphStore]
) -> None:
    (raw / handmade.FAILURES_NAME).write_bytes(b"\xff\xfe\x00 21 C")
    source = handmade.figshare_source(raw / handmade.ARCHIVE_NAME, raw / handmade.FAILURES_NAME)
    with pytest.raises(SourceError, match=handmade.FAILURES_NAME):
        build_over(source)


def with_positions(text: str) -> str:
    whole = BAD.csv_row().split('"')
    index = next(i for i, part in enumerate(whole) if part.startswith("[["))
    whole[index] = text
    return '"'.join(whole)


BAD_ROWS: dict[str, tuple[str, str]] = {
    "missing coordinate": (BAD.moved(0, 0, "").csv_row(), "XYZ_Ang"),
    "too few coordinates": (with_positions("[[0.1,0.2,0.3]]"), "XYZ_Ang has 3 numbers"),
    "not a number": (BAD.moved(0, 1, "1.0.0").csv_row(), "unreadable"),
    "nan": (BAD.moved(1, 2, "nan").csv_row(), "not finite"),
    "infinity": (BAD.moved(1, 2, "-inf").csv_row(), "not finite"),
    "a coordinate out of this world": (BAD.moved(0, 0, "1e10").csv_row(), "coordinate"),
    "a coordinate beyond float32": (BAD.moved(0, 0, "1e300").csv_row(), "coordinate"),
    "unknown element": (replace(BAD, symbols=("Qq", *BAD.symbols[1:])).csv_row(), "Qq"),
    "an element that is none": (replace(BAD, symbols=("X", *BAD.symbols[1:])).csv_row(), "X"),
    "no atoms": (replace(BAD, symbols=(), positions=(), charges=()).csv_row(), "XYZ_Ang"),
    "too few charges": (replace(BAD, charges=BAD.charges[1:]).csv_row(), "Mulliken_pop has"),
    "target not finite": (
        replace(BAD, properties=BAD.properties | {"HOMO_au": "NaN"}).csv_row(),
        "HOMO_au",
    ),
    "target missing": (
        replace(BAD, properties=BAD.properties | {"ZPVE_au": ""}).csv_row(),
        "ZPVE_au",
    ),
    "too few columns": (BAD.csv_row().rpartition(",")[0], "columns"),
    "too many columns": (BAD.csv_row() + ",1.0", "columns"),
    "no id": (BAD.csv_row().replace(f"{BAD.id}.xyz", ""), "no id"),
    "overlapping atoms": (
        replace(BAD, positions=(BAD.positions[1], *BAD.positions[1:])).csv_row(),
        "0.000 Å apart",
    ),
}


@pytest.mark.parametrize(("row", "reason"), BAD_ROWS.values(), ids=BAD_ROWS.keys())
def test_a_bad_row_stops_the_build_and_is_listed(
    raw: Path, build_over: Callable[..., GraphStore], row: str, reason: str
) -> None:
    rows = [molecule.csv_row() for molecule in SMALL]
    rows[3] = row
    wheel = handmade.write_wheel_rows(raw / handmade.WHEEL_NAME, rows)
    with pytest.raises(SourceError, match="--accept-quarantined") as caught:
        build_over(handmade.wheel_source(wheel))
    (listed,) = pq.read_table(raw.parent / "quarantine.parquet").to_pylist()
    assert listed["file"] == MEMBERS[1]
    assert listed["id"] == BAD.id or reason == "no id"
    assert reason in listed["reason"]
    assert f"{listed['file']}, {listed['id']}: {listed['reason']}" in str(caught.value)


def lines_of(molecule: Molecule) -> list[str]:
    return molecule.xyz().splitlines()


def joined(lines: list[str]) -> bytes:
    return "\n".join(lines).encode()


BAD_FILES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "truncated"),
    "too few lines": (joined(lines_of(BAD)[:-4]), "truncated"),
    "one line": (joined(lines_of(BAD)[:1]), "truncated"),
    "no number of atoms": (joined(["many", *lines_of(BAD)[1:]]), "truncated"),
    "a number of atoms in superscript": (joined(["²", *lines_of(BAD)[1:]]), "truncated"),
    "no atoms": (joined(["0", *lines_of(BAD)[1:]]), "XYZ_Ang"),
    "too few properties": (
        joined([lines_of(BAD)[0], "gdb 4\t1.0\t2.0", *lines_of(BAD)[2:]]),
        "RotC_GHz",
    ),
    "an atom without a charge": (
        joined([*lines_of(BAD)[:2], "C 1.0 2.0 3.0", *lines_of(BAD)[3:]]),
        "numbers",
    ),
    "an empty line for an atom": (
        joined([*lines_of(BAD)[:2], "", *lines_of(BAD)[3:]]),
        "numbers",
    ),
    "unknown element": (
        joined([*lines_of(BAD)[:2], "Qq 9. 9. 9. 0.1", *lines_of(BAD)[3:]]),
        "Qq",
    ),
    "bad exponent": (
        joined([*lines_of(BAD)[:2], "C 1.*^x 9. 9. 0.1", *lines_of(BAD)[3:]]),
        "unreadable",
    ),
    "not UTF-8": (b"\xff\xfe" + BAD.xyz().encode(), "UTF-8"),
}


@pytest.mark.parametrize(("content", "reason"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_a_bad_xyz_file_stops_the_build_and_is_listed(
    raw: Path, build_over: Callable[..., GraphStore], content: bytes, reason: str
) -> None:
    files = {f"{molecule.id}.xyz": molecule.xyz().encode() for molecule in SMALL}
    files[f"{BAD.id}.xyz"] = content
    archive = handmade.write_tar(raw / handmade.ARCHIVE_NAME, files.items())
    source = handmade.figshare_source(archive, raw / handmade.FAILURES_NAME)
    with pytest.raises(SourceError, match=BAD.id):
        build_over(source)
    (listed,) = pq.read_table(raw.parent / "quarantine.parquet").to_pylist()
    assert (listed["file"], listed["id"]) == (handmade.ARCHIVE_NAME, BAD.id)
    assert reason in listed["reason"]


@pytest.fixture
def half_bad(raw: Path) -> Source:
    """Six molecules, of which the second and the fourth are unusable."""
    bad = [m.moved(0, 0, "nan") if m.index in (2, 4) else m for m in SMALL]
    return handmade.wheel_source(handmade.write_wheel(raw / handmade.WHEEL_NAME, bad))


def test_accepted_bad_records_are_left_out_and_the_others_are_not_shifted(
    half_bad: Source, raw: Path, build: Callable[..., GraphStore]
) -> None:
    (raw.parent / "splits" / "random.parquet").unlink()  # it is of other records
    store = build(half_bad, raw, raw.parent / "store.zarr", accept_quarantined=True)
    good = [molecule for molecule in SMALL if molecule.index not in (2, 4)]
    assert store.ids.tolist() == [molecule.id for molecule in good]
    charges = [float(charge) for molecule in good for charge in molecule.charges]
    np.testing.assert_array_equal(store.read("targets/charge"), charges)
    assert store[2].targets["charge"].tolist() == [float(c) for c in good[2].charges]


def test_many_bad_records_are_counted_and_the_first_are_shown(
    raw: Path, build_over: Callable[..., GraphStore], molecules: list[Molecule]
) -> None:
    bad = [molecules[0], *(molecule.moved(0, 0, "nan") for molecule in molecules[1:])]
    source = handmade.wheel_source(handmade.write_wheel(raw / handmade.WHEEL_NAME, bad))
    with pytest.raises(SourceError, match="79 unusable records") as caught:
        build_over(source)
    assert "and 74 more" in str(caught.value)
    assert pq.read_table(raw.parent / "quarantine.parquet").num_rows == 79


def test_a_store_without_a_single_record_is_refused(
    raw: Path, build_over: Callable[..., GraphStore]
) -> None:
    bad = [molecule.moved(0, 0, "nan") for molecule in SMALL]
    source = handmade.wheel_source(handmade.write_wheel(raw / handmade.WHEEL_NAME, bad))
    with pytest.raises(MolcrystError, match="no usable record"):
        build_over(source, accept_quarantined=True)


def test_whatever_byte_of_a_wheel_is_wrong_it_is_refused_or_does_not_matter(
    project: Path, tmp_path: Path
) -> None:
    wheel = handmade.write_wheel(tmp_path / handmade.WHEEL_NAME, SMALL)
    check_each_byte(wheel, handmade.wheel_source(wheel), {wheel.name: wheel}, step=5)


def test_whatever_byte_of_an_archive_is_wrong_it_is_refused_or_does_not_matter(
    project: Path, tmp_path: Path
) -> None:
    archive = handmade.write_archive(tmp_path / handmade.ARCHIVE_NAME, SMALL)
    failures = handmade.write_failures(tmp_path / handmade.FAILURES_NAME, [])
    source = handmade.figshare_source(archive, failures)
    check_each_byte(archive, source, {archive.name: archive, failures.name: failures}, step=3)


def check_each_byte(path: Path, source: Source, paths: dict[str, Path], step: int) -> None:
    content = path.read_bytes()
    expected = list(source.raw_records(paths))
    for position in range(0, len(content), step):
        damaged = bytearray(content)
        damaged[position] ^= 0xFF
        path.write_bytes(damaged)
        with contextlib.suppress(SourceError):
            assert list(source.raw_records(paths)) == expected, f"byte {position}"
