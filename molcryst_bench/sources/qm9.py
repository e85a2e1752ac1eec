"""QM9: 130,831 small organic molecules at B3LYP/6-31G(2df,p) (Ramakrishnan et al. 2014).

The wheel ``qm9pack`` holds the characterised molecules as CSV; the original release holds one xyz
file for each of 133,885 molecules, of which 3,054 failed the authors' consistency check. Both give
the same records.
"""

from __future__ import annotations

import bz2
import csv
import io
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from molcryst_bench.base.errors import SourceError
from molcryst_bench.sources.card import load_card
from molcryst_bench.sources.fetch import RawFile
from molcryst_bench.sources.record import BadRecordError, Dataset, RawRecord, Record

_CSV_MEMBERS = tuple(f"qm9pack/data/qm9_part{part}.csv" for part in (1, 2, 3))
_IDS, _ELEMENTS, _POSITIONS = "XYZ_file", "Elements", "XYZ_Ang"
_WITHOUT_BRACKETS = str.maketrans("", "", "[]' ")
# Order of the properties in the second line of the original xyz files, under the wheel's names.
_XYZ_COLUMNS = (
    *("RotA_GHz", "RotB_GHz", "RotC_GHz", "Dipole_debye", "Polarizability_bohr3", "HOMO_au"),
    *("LUMO_au", "HOMO_LUMO_gap_au", "R2_bohr2", "ZPVE_au", "InternalEnergy_0K_au"),
    *("InternalEnergy_298K_au", "Enthalphy_298K_au", "GibbsFreeEnergy_298K_au"),
    "Heatcapacity_Cv_cal_mol_K",
)
_CHARGES = "Mulliken_pop"
_NEEDED = (_IDS, _ELEMENTS, _POSITIONS, _CHARGES, *_XYZ_COLUMNS)
# A damaged zip may seem encrypted or compressed in an exotic way: that is a RuntimeError.
_NOT_A_WHEEL = (
    *(zipfile.BadZipFile, zlib.error, KeyError, EOFError, OSError, RuntimeError),
    *(UnicodeDecodeError, csv.Error),
)

Conversions = dict[str, tuple[str, float]]  # target -> (raw column, factor)


@dataclass(frozen=True)
class Qm9Wheel:
    """The PyPI wheel ``qm9pack`` 1.0.3."""

    conversions: Conversions
    name: str = "wheel"
    files: tuple[RawFile, ...] = (
        RawFile(
            name="qm9pack-1.0.3-py3-none-any.whl",
            checksum="sha256:1d88c2988007c6778e717ee3224cf511bd60e10732ebe3b7ed500ea5af05c9f0",
            size=103_712_597,
            addresses=("pypi:qm9pack==1.0.3",),
        ),
    )

    def raw_records(self, paths: Mapping[str, Path]) -> Iterator[RawRecord]:
        """Yield the CSV rows in the order of the molecules' indices."""
        path = paths[self.files[0].name]
        try:
            with zipfile.ZipFile(path) as wheel:
                for member in _CSV_MEMBERS:
                    with wheel.open(member) as file:
                        yield from _csv_rows(member, io.TextIOWrapper(file, "utf-8"))
        except _NOT_A_WHEEL as error:
            raise SourceError(f"{path} is not a complete qm9pack wheel: {error}") from error

    def parse(self, raw: RawRecord) -> Record:
        """Parse one CSV row."""
        row: dict[str, str | None] = raw.payload
        if None in row or None in row.values():
            raise BadRecordError("the row has too many or too few columns")
        if not row[_IDS]:
            raise BadRecordError("the row has no id")
        symbols = str(row[_ELEMENTS]).translate(_WITHOUT_BRACKETS).split(",")
        positions = _numbers(row, _POSITIONS, 3 * len(symbols)).reshape(-1, 3)
        properties = {column: _numbers(row, column, 1)[0] for column in _XYZ_COLUMNS}
        charges = _numbers(row, _CHARGES, len(symbols))
        return _record(raw.id, symbols, positions, {**properties, _CHARGES: charges}, self)


@dataclass(frozen=True)
class Qm9Figshare:
    """The original release on figshare: a tar archive of xyz files and a list of failures."""

    conversions: Conversions
    name: str = "figshare"
    files: tuple[RawFile, ...] = (
        RawFile(
            name="dsgdb9nsd.xyz.tar.bz2",
            checksum="sha256:3a63848ac80691bdb8d41834b575afad345b9300d7a2db0c38adb7f6eaa8360c",
            size=86_144_227,
            addresses=("https://ndownloader.figshare.com/files/3195389",),
        ),
        RawFile(
            name="uncharacterized.txt",
            checksum="md5:a361887bacb427b8a0ce7903d92a53b4",
            size=486_752,
            addresses=("https://ndownloader.figshare.com/files/3195404",),
        ),
    )

    def raw_records(self, paths: Mapping[str, Path]) -> Iterator[RawRecord]:
        """Yield the xyz files in archive order, which is the order of the indices."""
        archive, failures = (paths[file.name] for file in self.files)
        failed = _failed_ids(failures)
        try:
            # tarfile takes a truncated stream for the end of the archive; bz2 does not.
            with bz2.open(archive) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
                for member in tar:
                    identity = Path(member.name).stem
                    content = tar.extractfile(member)
                    if content is not None and identity not in failed:
                        yield RawRecord(archive.name, identity, content.read())
        except (tarfile.TarError, EOFError, OSError) as error:
            raise SourceError(f"{archive} is not a complete archive: {error}") from error

    def parse(self, raw: RawRecord) -> Record:
        """Parse one xyz file, whose exponents are written as ``*^``."""
        lines = _decoded(raw.payload).replace("*^", "e").splitlines()
        if len(lines) < 2 or not lines[0].strip().isdecimal() or len(lines) < 2 + int(lines[0]):
            raise BadRecordError("the file is truncated")
        values = lines[1].split()[2:]
        properties: dict[str, Any] = dict(zip(_XYZ_COLUMNS, values, strict=False))
        properties = {name: _numbers(properties, name, 1)[0] for name in _XYZ_COLUMNS}
        atoms = [line.split() for line in lines[2 : 2 + int(lines[0])]]
        text = ",".join(word for atom in atoms for word in atom[1:5])
        table = _numbers({_POSITIONS: text}, _POSITIONS, 4 * len(atoms)).reshape(-1, 4)
        properties[_CHARGES] = table[:, 3]
        return _record(raw.id, [atom[0] for atom in atoms], table[:, :3], properties, self)


def importer() -> Dataset:
    """Return the importer of QM9, with the conversions that its card states."""
    targets = load_card("qm9").targets
    conversions = {
        name: (target.raw.column, target.raw.factor)
        for name, target in targets.items()
        if target.raw
    }
    return Dataset("qm9", (Qm9Wheel(conversions), Qm9Figshare(conversions)))


def _failed_ids(path: Path) -> set[str]:
    """Read which molecules failed the consistency check."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise SourceError(f"{path} is not a list of molecules: {error}") from error
    first_words = (line.split()[0] for line in lines if line.strip())
    return {f"dsgdb9nsd_{int(word):06d}" for word in first_words if word.isdecimal()}


def _decoded(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise BadRecordError("the file is not UTF-8") from None


def _csv_rows(member: str, lines: Iterable[str]) -> Iterator[RawRecord]:
    reader = csv.DictReader(lines)
    if missing := [column for column in _NEEDED if column not in (reader.fieldnames or ())]:
        raise csv.Error(f"{member} lacks the column {', '.join(missing)}")
    for number, row in enumerate(reader, start=2):
        identity = row[_IDS] or f"{member} line {number}"
        yield RawRecord(member, identity.removesuffix(".xyz"), row)


def _numbers(row: Mapping[str, Any], column: str, count: int) -> np.ndarray:
    """Parse the ``count`` numbers of a column, in brackets or not."""
    text = str(row.get(column, "")).translate(_WITHOUT_BRACKETS)
    try:
        values = np.array([float(word) for word in text.split(",")])
    except ValueError:
        raise BadRecordError(f"{column} has an empty or unreadable number") from None
    if len(values) != count:
        raise BadRecordError(f"{column} has {len(values)} numbers instead of {count}")
    if not np.isfinite(values).all():
        raise BadRecordError(f"{column} is not finite")
    return values


def _record(
    identity: str,
    symbols: list[str],
    positions: np.ndarray,
    properties: Mapping[str, Any],
    source: Qm9Wheel | Qm9Figshare,
) -> Record:
    try:
        atoms = Atoms(symbols, positions=positions)
    except KeyError as error:
        raise BadRecordError(f"unknown element {error}") from None
    if not atoms.numbers.all():
        raise BadRecordError("unknown element 'X'")
    targets = {
        name: properties[column] * factor for name, (column, factor) in source.conversions.items()
    }
    return Record(identity, atoms, targets)
