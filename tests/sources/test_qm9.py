from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path

import handmade
import numpy as np
import pytest
from handmade import Molecule

from molcryst_bench.graphs.store import GraphStore
from molcryst_bench.sources.record import Dataset, Record, Source
from molcryst_bench.sources.registry import get_source

Build = Callable[..., GraphStore]


def records_of(source: Source, folder: Path) -> list[Record]:
    paths = {file.name: folder / file.name for file in source.files}
    return [source.parse(raw) for raw in source.raw_records(paths)]


@pytest.fixture
def raw(project: Path) -> Path:
    return project / "datasets" / "qm9" / "raw"


@pytest.mark.parametrize("name", ["wheel", "figshare"])
def test_records_hold_the_numbers_of_the_file(
    tiny_dataset: Dataset, raw: Path, molecules: list[Molecule], name: str
) -> None:
    records = records_of(get_source(tiny_dataset, name), raw)
    assert [record.id for record in records] == [molecule.id for molecule in molecules]
    for record, molecule in zip(records, molecules, strict=True):
        assert tuple(record.atoms.symbols) == molecule.symbols
        np.testing.assert_array_equal(record.atoms.positions, np.float64(molecule.positions))
        np.testing.assert_array_equal(record.targets["charge"], np.float64(molecule.charges))


def test_targets_are_the_values_of_the_file_times_the_factor_of_the_card(
    tiny_store: GraphStore, molecules: list[Molecule]
) -> None:
    for name, (column, factor) in handmade.conversions().items():
        stored = tiny_store.read(f"targets/{name}")
        if tiny_store.targets[name].level == "node":
            expected = [float(charge) for molecule in molecules for charge in molecule.charges]
        else:
            expected = [float(molecule.properties[column]) * factor for molecule in molecules]
        np.testing.assert_array_equal(stored, expected, err_msg=name)


def test_energies_on_the_card_are_in_electronvolts(tiny_store: GraphStore) -> None:
    """Anchors the factors of the card to a known value: methane's HOMO, -0.3877 hartree."""
    factors = handmade.conversions()
    in_hartree = [name for name, (column, _) in factors.items() if column.endswith("_au")]
    assert in_hartree == ["homo", "lumo", "gap", "zpve", "u0", "u298", "h298", "g298"]
    for name in in_hartree:
        assert tiny_store.targets[name].unit == "eV"
        assert -0.3877 * factors[name][1] == pytest.approx(-10.5498, abs=1e-4)


def test_positions_are_stored_as_the_nearest_float32(
    tiny_store: GraphStore, molecules: list[Molecule]
) -> None:
    expected = np.float64([row for molecule in molecules for row in molecule.positions])
    np.testing.assert_array_equal(tiny_store.read("nodes/position"), expected.astype(np.float32))


def test_both_sources_give_the_same_digest(
    tiny_dataset: Dataset, raw: Path, tiny_store: GraphStore, build: Build, tmp_path: Path
) -> None:
    text = b"".join(member.encode() for member in _members_of(raw / handmade.ARCHIVE_NAME))
    assert b"*^-" in text, "the archive must exercise the exponents of the original release"
    other = build(get_source(tiny_dataset, "figshare"), raw, tmp_path / "store")
    assert other.attributes["provenance"]["source"] == "figshare"
    assert other.digest == tiny_store.digest


def test_molecules_on_the_list_of_failures_are_left_out(
    raw: Path, molecules: list[Molecule]
) -> None:
    handmade.write_failures(raw / handmade.FAILURES_NAME, [2, 30])
    source = handmade.figshare_source(raw / handmade.ARCHIVE_NAME, raw / handmade.FAILURES_NAME)
    expected = [molecule.id for molecule in molecules if molecule.index not in (2, 30)]
    assert [record.id for record in records_of(source, raw)] == expected


def test_other_files_in_the_archive_do_not_pass_for_molecules(
    raw: Path, molecules: list[Molecule], build: Build, tmp_path: Path
) -> None:
    files = [(f"{molecule.id}.xyz", molecule.xyz().encode()) for molecule in molecules[:3]]
    archive = handmade.write_tar(raw / handmade.ARCHIVE_NAME, [("README", b"read me\n"), *files])
    source = handmade.figshare_source(archive, raw / handmade.FAILURES_NAME)
    store = build(source, raw, tmp_path / "store", accept_quarantined=True)
    assert store.ids.tolist() == [molecule.id for molecule in molecules[:3]]


def _members_of(archive: Path) -> list[str]:
    with tarfile.open(archive) as tar:
        return [tar.extractfile(member).read().decode() for member in tar]  # type: ignore[union-attr]
