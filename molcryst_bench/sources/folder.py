"""A user's own dataset: a folder of structure files and a CSV table of labels.

Files are found by listing the folder, never by making a path of what a table says.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import ase.io
import numpy as np
from ase import Atoms

from molcryst_bench.base.errors import SourceError
from molcryst_bench.base.files import visible_files
from molcryst_bench.base.project import project_root
from molcryst_bench.sources.card import Card, Folder, Target
from molcryst_bench.sources.fetch import RawFile
from molcryst_bench.sources.record import BadRecordError, Dataset, RawRecord, Record
from molcryst_bench.sources.structures import read_cif

_LARGEST = 50_000_000  # bytes of a structure file
# ASE reads more formats, but some of them can run code.
_FORMATS = {
    ".extxyz": "extxyz",
    ".gen": "gen",
    ".mol": "mol",
    ".pdb": "proteindatabank",
    ".poscar": "vasp",
    ".sdf": "sdf",
    ".vasp": "vasp",
    ".xsf": "xsf",
    ".xyz": "extxyz",
}
_CIF = ".cif"
_VASP_NAMES = ("POSCAR", "CONTCAR")
_EMPTY = ("", "nan", "na", "n/a")


class Row(NamedTuple):
    """A row of the table, and the files that may be its structure."""

    place: str  # for messages: the table and the line
    id: str
    labels: tuple[str, ...] | None  # in the order of the columns; None in a row of another length
    files: tuple[Path, ...]


@dataclass(frozen=True)
class FolderSource:
    """The folder and the table that a card names, read where they lie."""

    folder: Folder
    targets: Mapping[str, Target]
    name: str = "folder"
    files: tuple[RawFile, ...] = ()

    def local_paths(self) -> dict[str, Path]:
        """Return where folder and table lie.

        Raises:
            SourceError: if they are not there.
        """
        structures, labels = (project_root() / p for p in (self.folder.path, self.folder.labels))
        if not structures.is_dir():
            raise SourceError(f"{structures} is not a folder of structures")
        if not labels.is_file():
            raise SourceError(f"{labels} is not a table of labels")
        return {"labels": labels, "structures": structures}

    def raw_records(self, paths: Mapping[str, Path]) -> Iterator[RawRecord]:
        """Yield the rows of the table in their order."""
        columns = [t.raw.column if t.raw else name for name, t in self.targets.items()]
        files = _files_by_name(paths["structures"])
        for row in _rows(paths["labels"], self.folder.id, columns, files):
            yield RawRecord(paths["labels"].name, row.id, row)

    def parse(self, raw: RawRecord) -> Record:
        """Read the structure of one row."""
        row: Row = raw.payload
        try:
            targets: dict[str, float | np.ndarray] = dict(self._targets(row))
            return Record(raw.id, read_structure(_only_file(row)), targets)
        except BadRecordError as error:
            raise BadRecordError(f"{row.place}: {error}") from None

    def check(self, row: Row) -> None:
        """Check all of a row but the content of its structure file.

        Raises:
            BadRecordError: naming table and line.
        """
        try:
            _only_file(row)
            dict(self._targets(row))
        except BadRecordError as error:
            raise BadRecordError(f"{row.place}: {error}") from None

    def _targets(self, row: Row) -> Iterator[tuple[str, float]]:
        if row.labels is None:
            raise BadRecordError("the row has too many or too few columns")
        for (name, target), text in zip(self.targets.items(), row.labels, strict=True):
            factor = target.raw.factor if target.raw else 1.0
            yield name, factor * _label(text, name, optional=target.optional)


def importer(card: Card, folder: Folder) -> Dataset:
    """Return the importer of a dataset whose card names a folder."""
    return Dataset(card.name, (FolderSource(folder, card.targets),))


def _label(text: str, name: str, *, optional: bool) -> float:
    """Return the number that a cell of the table holds; NaN for an empty one that may be."""
    if is_empty(text):
        if optional:
            return math.nan
        raise BadRecordError(f"{name} is empty")
    try:
        value = float(text)
    except ValueError:
        raise BadRecordError(f"{name} is '{text}', not a number") from None
    if not math.isfinite(value):
        raise BadRecordError(f"{name} is not finite")
    return value


def is_empty(text: str) -> bool:
    """Return whether a cell of the table stands for a label that is not known."""
    return text.strip().lower() in _EMPTY


def is_structure_file(path: Path) -> bool:
    """Return whether the name of a file says that it holds structures."""
    return _suffix(path) == _CIF or _format_of(path) is not None


def read_structure(path: Path) -> Atoms:
    """Read a file with one structure, in a format that its name tells.

    Raises:
        BadRecordError: naming the file, if it cannot be read or holds another number of structures.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise BadRecordError(f"the file has over {_LARGEST:,} bytes")
        text = path.read_text(encoding="utf-8")
        return read_cif(text) if _suffix(path) == _CIF else _read_with_ase(text, path)
    except (BadRecordError, OSError, UnicodeDecodeError) as error:
        raise BadRecordError(f"{path}: {error}") from None


def _read_with_ase(text: str, path: Path) -> Atoms:
    try:
        frames = ase.io.read(io.StringIO(text), index=":", format=_format_of(path))
    except Exception as error:  # ASE's readers raise whatever comes their way
        raise BadRecordError(f"cannot be read: {type(error).__name__}: {error}") from None
    if len(frames) != 1:
        raise BadRecordError(f"holds {len(frames)} structures instead of one")
    atoms = frames[0]
    if len(atoms) == 0 or not atoms.numbers.all():
        raise BadRecordError("has no atoms, or one of an unknown element")
    return Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)


def _only_file(row: Row) -> Path:
    if not row.id.isprintable() or ".." in row.id.split("/") or row.id.startswith("/"):
        raise BadRecordError(f"'{row.id}' is not the name of a file in the folder")
    if not row.files:
        known = ", ".join([_CIF, *_FORMATS, *_VASP_NAMES])
        raise BadRecordError(f"no file named '{row.id}' in the folder (read are {known})")
    if len(row.files) > 1:
        names = ", ".join(path.name for path in row.files)
        raise BadRecordError(f"'{row.id}' may be any of {names}: write the whole name")
    return row.files[0]


def _files_by_name(folder: Path) -> dict[str, list[Path]]:
    """Return the structure files under their names in the folder, with and without suffix."""
    names: dict[str, list[Path]] = {}
    for path in visible_files(folder):
        if is_structure_file(path):
            whole = path.relative_to(folder).as_posix()
            for name in {whole, whole.removesuffix(path.suffix)}:
                names.setdefault(name, []).append(path)
    return names


def _rows(
    table: Path, key: str, columns: list[str], files: Mapping[str, list[Path]]
) -> Iterator[Row]:
    try:
        with table.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines)
            check_columns(reader.fieldnames or (), [key, *columns], table)
            for row in reader:
                place = f"{table} line {reader.line_num}"
                identity = (row[key] or "").strip() or f"line {reader.line_num} (no name)"
                whole = None not in row and None not in row.values()
                labels = tuple(row[column] for column in columns) if whole else None
                yield Row(place, identity, labels, tuple(files.get(identity, ())))
    except (csv.Error, UnicodeDecodeError, OSError) as error:
        raise SourceError(f"{table} is not a table in CSV: {error}") from error


def check_columns(found: object, needed: list[str], table: Path) -> None:
    """Check that a table has all columns, and each once.

    Raises:
        SourceError: naming those that it lacks, and those that it has.
    """
    names = [str(name) for name in found] if isinstance(found, list | tuple) else []
    if absent := [column for column in needed if column not in names]:
        has = ", ".join(names) or "none"
        raise SourceError(f"{table} lacks the column {', '.join(absent)}; it has {has}")
    if twice := [column for column in needed if names.count(column) > 1]:
        raise SourceError(f"{table} has the column {', '.join(twice)} more than once")


def _suffix(path: Path) -> str:
    return path.suffix.lower()


def _format_of(path: Path) -> str | None:
    if path.stem.upper().startswith(_VASP_NAMES) and _suffix(path) not in _FORMATS:
        return "vasp"
    return _FORMATS.get(_suffix(path))
