"""CoRE MOF 2019: 12,020 experimental frameworks without solvent (Chung et al. 2019).

The wheel ``core-mof`` holds the structures and their pore geometry. CO2 and CH4 uptakes of two
thirds of them (Moosavi et al. 2020) come from a table that has no public address of its own: where
it cannot be had, the source "wheel" gives the same records without them.
"""

from __future__ import annotations

import csv
import io
import lzma
import math
import re
import tarfile
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from ase import Atoms
from ase.formula import Formula

from molcryst_bench.base.errors import SourceError
from molcryst_bench.sources.card import Target, load_card
from molcryst_bench.sources.fetch import RawFile
from molcryst_bench.sources.record import BadRecordError, Dataset, RawRecord, Record
from molcryst_bench.sources.structures import density, read_cif

_TABLE = "CoRE_MOF/data/2019-ASR.csv"
_ARCHIVE = "CoRE_MOF/data/2019-ASR.tar.xz"
_NAME, _DISORDER, _METALS = "filename", "DISORDER", "All_Metals"
_PORES = ("AV_VF", "PLD", "LCD")
_DENSITY = "cm3_g"  # so the column is called; it holds the density in g/cm³
_LABEL_NAME = "MOFname"
_AGREES, _ATOMS, _FORMULA, _VOLUME = "geometry_agrees", "natoms", "composition", "volume_A3"
_SAME = 1e-3  # relative difference of volumes or densities of one structure
_LARGEST_TABLE, _LARGEST_CIF, _LARGEST_ARCHIVE = 20_000_000, 10_000_000, 1_000_000_000  # bytes
# A symbol with a blank must be quoted; one CIF forgets it.
_UNQUOTED_SYMBOL = re.compile(r"^(_symmetry_space_group_name_H-M\s+)(P 1)\s*$", re.MULTILINE)
# A damaged zip may seem encrypted or compressed in an exotic way: that is a RuntimeError.
_DAMAGE = (
    *(zipfile.BadZipFile, lzma.LZMAError, tarfile.TarError, EOFError, OSError, RuntimeError),
    *(KeyError, UnicodeDecodeError, csv.Error),
)

WHEEL = RawFile(
    name="core_mof-2019.1-py3-none-any.whl",
    checksum="sha256:852af4c604148585eca6cfd75832c4b4967a1bded76381d4b914dcd2317f6823",
    size=45_111_678,
    addresses=("pypi:core-mof==2019.1",),
)
LABELS = RawFile(
    name="core2019_asr_co2_labels_8134.csv",
    checksum="sha256:a319a40b16be8805c6cd01359fb8798e31288d79559a760f598d45a485f601d3",
    size=1_444_417,
    addresses=(),
)

Row = Mapping[str, str]


class Entry(NamedTuple):
    """A structure as it stands in the raw files."""

    cif: bytes | None
    row: Row | None  # of the table of pore geometries
    label: Row | None  # of the table of uptakes


@dataclass(frozen=True)
class CoreMof:
    """The wheel; with a second file, the table of uptakes, its optional targets are known."""

    targets: Mapping[str, Target]
    name: str
    files: tuple[RawFile, ...]

    def raw_records(self, paths: Mapping[str, Path]) -> Iterator[RawRecord]:
        """Yield the structures in the order of the archive, then names that have none."""
        *labels, wheel = (paths[file.name] for file in self.files)
        labelled = _read_labels(labels[0], self._columns(optional=True)) if labels else {}
        with _opened(wheel) as members:
            rows = _geometries(members, self._columns(optional=False))
            missing = dict.fromkeys(rows)
            for name, cif in _structures(members):
                missing.pop(name, None)
                yield RawRecord(_ARCHIVE, name, Entry(cif, rows.get(name), labelled.get(name)))
            for name in missing:
                yield RawRecord(_TABLE, name, Entry(None, rows[name], None))

    def parse(self, raw: RawRecord) -> Record:
        """Parse one CIF, and check that its row and its label are of this very structure."""
        entry: Entry = raw.payload
        row = _checked_row(raw.id, entry)
        atoms = read_cif(_text(entry.cif or b""))
        if not _same(density(atoms), _number(row, _DENSITY)):
            found = f"{density(atoms):.4g} g/cm³ where the table has {row[_DENSITY]}"
            raise BadRecordError(f"the row is of another structure: the CIF's density is {found}")
        label = entry.label if entry.label and _is_of(atoms, entry.label) else None
        targets: dict[str, float | np.ndarray] = {
            name: _value(label if target.optional else row, target)
            for name, target in self.targets.items()
        }
        _check_pores(*(_number(row, column) for column in _PORES))
        return Record(raw.id, atoms, targets)

    def published_splits(self, paths: Mapping[str, Path]) -> dict[str, dict[str, str]]:
        """Test on the rarest sets of metals, of which no structure is in the training set."""
        with _opened(paths[self.files[-1].name]) as wheel:
            rows = _geometries(wheel, {_METALS})
        metals = {name: _sorted_words(row[_METALS]) for name, row in rows.items()}
        rare = _rarest(Counter(metals.values()))
        subsets = {name: "test" if metal in rare else "train" for name, metal in metals.items()}
        return {"rare_metals": subsets}

    def _columns(self, *, optional: bool) -> set[str]:
        chosen = (target for target in self.targets.values() if target.optional == optional)
        return {target.raw.column for target in chosen if target.raw}


def importer() -> Dataset:
    """Return the importer of CoRE MOF 2019: with uptakes where their table is at hand."""
    targets = load_card("coremof").targets
    return Dataset(
        "coremof",
        (CoreMof(targets, "labelled", (LABELS, WHEEL)), CoreMof(targets, "wheel", (WHEEL,))),
    )


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as wheel:
            yield wheel
    except _DAMAGE as error:
        raise SourceError(f"{path} is not a complete core-mof wheel: {error}") from error


def _sorted_words(text: str) -> str:
    return ",".join(sorted(text.replace(",", " ").split()))


def _rarest(counts: Counter[str]) -> set[str]:
    """Return the rarest sets of metals that together make up at most a tenth of the structures."""
    order = sorted(counts, key=lambda metals: (counts[metals], metals))
    total = accumulate(counts[metals] for metals in order)
    return {m for m, size in zip(order, total, strict=True) if 10 * size <= counts.total()}


def _geometries(wheel: zipfile.ZipFile, columns: set[str]) -> dict[str, Row]:
    member = wheel.getinfo(_TABLE)
    if member.file_size > _LARGEST_TABLE:
        raise zipfile.BadZipFile(f"{_TABLE} would unpack to {member.file_size:,} bytes")
    needed = [_NAME, _DISORDER, _DENSITY, *sorted({*_PORES, *columns})]
    return _by_name(io.StringIO(wheel.read(member).decode(), newline=""), needed, _TABLE)


def _read_labels(path: Path, columns: set[str]) -> dict[str, Row]:
    needed = [_LABEL_NAME, _AGREES, _ATOMS, _FORMULA, _VOLUME, *sorted(columns)]
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            return _by_name(lines, needed, path.name)
    except (csv.Error, UnicodeDecodeError) as error:
        raise SourceError(f"{path} is not the table of uptakes: {error}") from error


def _by_name(lines: Iterable[str], needed: list[str], where: str) -> dict[str, Row]:
    """Return the needed columns of each row by the first of them."""
    reader = csv.DictReader(lines)
    if absent := [column for column in needed if column not in (reader.fieldnames or ())]:
        raise csv.Error(f"{where} lacks the column {', '.join(absent)}")
    rows: dict[str, Row] = {}
    for row in reader:
        name = row[needed[0]]
        if name in rows:
            raise csv.Error(f"{where} has the name '{name}' more than once")
        rows[name] = {column: row[column] or "" for column in needed}
    return rows


def _structures(wheel: zipfile.ZipFile) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of each CIF; the names are words here, never paths."""
    with wheel.open(_ARCHIVE) as packed, lzma.open(packed) as unpacked:
        bounded = _Bounded(unpacked, _LARGEST_ARCHIVE)
        with tarfile.open(fileobj=bounded, mode="r|") as tar:  # type: ignore[call-overload]
            for member in tar:
                if not member.isfile():
                    continue
                if member.size > _LARGEST_CIF:
                    raise tarfile.TarError(f"{member.name} has {member.size:,} bytes")
                content = tar.extractfile(member)
                if content is not None:
                    yield member.name.removesuffix(".cif"), content.read()


class _Bounded:
    """A stream that ends with an error where an archive unpacks to more than it may."""

    def __init__(self, stream: IO[bytes], limit: int) -> None:
        self._stream, self._left, self._limit = stream, limit, limit

    def read(self, size: int) -> bytes:
        content = self._stream.read(size)
        self._left -= len(content)
        if self._left < 0:
            raise OSError(f"{_ARCHIVE} unpacks to over {self._limit:,} bytes")
        return content


def _checked_row(name: str, entry: Entry) -> Row:
    # A slash would make a group of a name, and a line break two ids.
    if not name or not name.isprintable() or "/" in name:
        raise BadRecordError("the name is not a plain word")
    if entry.row is None:
        raise BadRecordError(f"no row in {_TABLE}")
    if entry.cif is None:
        raise BadRecordError(f"no CIF in {_ARCHIVE}")
    if entry.row[_DISORDER]:
        raise BadRecordError("disorder: alternative positions of the same atoms are all filled")
    return entry.row


def _text(cif: bytes) -> str:
    try:
        return _UNQUOTED_SYMBOL.sub(r"\1'\2'", cif.decode())
    except UnicodeDecodeError:
        raise BadRecordError("the CIF is not UTF-8") from None


def _is_of(atoms: Atoms, label: Row) -> bool:
    """Say whether a label is of this structure, by atoms, composition, volume and pores."""
    return (
        label[_AGREES] == "True"
        and _number(label, _ATOMS) == len(atoms)
        and _composition(label) == atoms.symbols.formula.count()
        and _same(atoms.get_volume(), _number(label, _VOLUME))
    )


def _composition(label: Row) -> dict[str, int]:
    try:
        counts: dict[str, int] = Formula(label[_FORMULA]).count()
    except ValueError:
        raise BadRecordError(f"{_FORMULA} is '{label[_FORMULA]}', not a formula") from None
    return counts


def _same(found: float, expected: float) -> bool:
    return math.isclose(found, expected, rel_tol=_SAME)


def _value(row: Row | None, target: Target) -> float:
    if row is None or target.raw is None:
        return math.nan
    return _number(row, target.raw.column) * target.raw.factor


def _number(row: Row, column: str) -> float:
    try:
        value = float(row[column])
    except ValueError:
        raise BadRecordError(f"{column} is '{row[column]}', not a number") from None
    if not math.isfinite(value):
        raise BadRecordError(f"{column} is not finite")
    return value


def _check_pores(void_fraction: float, limit: float, largest: float) -> None:
    """Refuse pores that no structure can have."""
    if not 0 <= void_fraction <= 1:
        raise BadRecordError(f"a void fraction of {void_fraction:g}")
    if not 0 < limit <= largest:
        raise BadRecordError(f"a pore {largest:g} Å wide that lets {limit:g} Å through")
