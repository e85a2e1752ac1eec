"""A zip of CIFs with a CSV table of their labels, joined by the name of the structure."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from molcryst_bench.base.errors import SourceError
from molcryst_bench.sources.record import BadRecordError
from molcryst_bench.sources.zips import opened_zip, read_member, stem_of

_LARGEST_TABLE = 500_000_000  # bytes
Row = dict[str, str]


class Entry(NamedTuple):
    """A structure and its label as they stand in the archive."""

    name: str
    row: Row
    cif: bytes = b""
    problem: str = ""  # why they cannot be used, if so


def read_entries(path: Path, table: str, key: str, columns: Sequence[str]) -> Iterator[Entry]:
    """Iterate over all names in the table, in its order, then over CIFs without a row.

    Args:
        path: of the archive; the CIFs may lie in any folder of it.
        table: name of the CSV member.
        key: its column that holds the name, which is that of the CIF without ``.cif``.
        columns: that it must have besides.

    Raises:
        SourceError: if archive or table are damaged, or a column is missing.
    """
    with opened_zip(path) as archive:
        rows = _read_table(archive, path, table, (key, *columns))
        cifs = _find_cifs(archive)
        for name in [*rows, *sorted(cifs.keys() - rows.keys())]:
            yield _entry(archive, name, rows.get(name, []), cifs.get(name, []))


def read_table(path: Path, table: str, columns: Sequence[str]) -> dict[str, list[Row]]:
    """Return the rows of the table by name, which is the first of ``columns``."""
    with opened_zip(path) as archive:
        return _read_table(archive, path, table, columns)


def decoded(content: bytes) -> str:
    """Return the text of a file.

    Raises:
        BadRecordError: if it is not UTF-8.
    """
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise BadRecordError("the file is not UTF-8") from None


def _entry(
    archive: zipfile.ZipFile, name: str, rows: list[Row], cifs: list[zipfile.ZipInfo]
) -> Entry:
    if problem := _mismatch(name, rows, cifs):
        return Entry(name, {}, problem=problem)
    try:
        return Entry(name, rows[0], read_member(archive, cifs[0]))
    except BadRecordError as error:
        return Entry(name, {}, problem=str(error))


def _mismatch(name: str, rows: list[Row], cifs: list[zipfile.ZipInfo]) -> str:
    """Say why a name does not stand for one structure with one label, if so."""
    if not rows:
        return "the CIF has no row in the table of labels"
    if len(rows) > 1:
        return f"the table of labels has {len(rows)} rows of this name"
    if None in rows[0] or None in rows[0].values():
        return "the row has too many or too few columns"
    if not cifs:
        return "the label has no CIF"
    if len(cifs) > 1:
        return f"the archive has {len(cifs)} CIFs of this name"
    # A slash would make a group of it, and a line break two ids.
    return "" if name.isprintable() and "/" not in name else "the name is not a plain word"


def _find_cifs(archive: zipfile.ZipFile) -> dict[str, list[zipfile.ZipInfo]]:
    cifs: dict[str, list[zipfile.ZipInfo]] = {}
    for member in archive.infolist():
        if member.filename.lower().endswith(".cif"):
            cifs.setdefault(stem_of(member), []).append(member)
    return cifs


def _read_table(
    archive: zipfile.ZipFile, path: Path, table: str, columns: Sequence[str]
) -> dict[str, list[Row]]:
    try:
        text = read_member(archive, archive.getinfo(table), _LARGEST_TABLE).decode("utf-8-sig")
        reader = csv.DictReader(io.StringIO(text, newline=""))
        if missing := [name for name in columns if name not in (reader.fieldnames or ())]:
            raise SourceError(f"{path}: {table} lacks the column {', '.join(missing)}")
        return _by_name(reader, table, columns[0])
    except KeyError:
        raise SourceError(f"{path} has no {table}") from None
    except (csv.Error, UnicodeDecodeError, BadRecordError) as error:
        raise SourceError(f"{path}: {table} cannot be read: {error}") from None


def _by_name(reader: csv.DictReader[str], table: str, key: str) -> dict[str, list[Row]]:
    rows: dict[str, list[Row]] = {}
    for row in reader:
        name = row[key] or f"{table} line {reader.line_num}"
        rows.setdefault(name, []).append(row)
    return rows
