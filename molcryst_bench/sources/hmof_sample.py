"""hMOF as a zip of CIFs with a table of uptakes, pore geometry and the JARVIS split."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from molcryst_bench.base.errors import SourceError
from molcryst_bench.sources.cif_archive import Entry, decoded, read_entries, read_table
from molcryst_bench.sources.fetch import RawFile
from molcryst_bench.sources.hmof_record import (
    GEOMETRY,
    PRESSURES,
    make_record,
    number,
    uptake_name,
)
from molcryst_bench.sources.record import BadRecordError, RawRecord, Record
from molcryst_bench.sources.structures import read_cif

_TABLE, _NAME, _SPLIT = "labels.csv", "name", "split"
_COLUMNS = {  # column -> target
    f"{gas}_{pressure}bar": uptake_name(gas, pressure)
    for gas, pressures in PRESSURES.items()
    for pressure in pressures
}
_SUBSETS = {"train": "train", "val": "valid", "test": "test"}


@dataclass(frozen=True)
class HmofSample:
    """Structures in ``*.cif``, labels in ``labels.csv``, in mol/kg, which is mmol/g."""

    files: tuple[RawFile, ...]
    name: str = "sample"

    def raw_records(self, paths: Mapping[str, Path]) -> Iterator[RawRecord]:
        """Yield the rows of the table with their CIFs, then CIFs without a row."""
        path = paths[self.files[0].name]
        for entry in read_entries(path, _TABLE, _NAME, [*_COLUMNS, *GEOMETRY]):
            yield RawRecord(path.name, entry.name, entry)

    def parse(self, raw: RawRecord) -> Record:
        """Parse one CIF and its row."""
        entry: Entry = raw.payload
        if entry.problem:
            raise BadRecordError(entry.problem)
        uptakes = {name: number(entry.row[column], column) for column, name in _COLUMNS.items()}
        geometry = {name: number(entry.row[name], name) for name in GEOMETRY}
        return make_record(raw.id, read_cif(decoded(entry.cif)), uptakes, geometry)

    def published_splits(self, paths: Mapping[str, Path]) -> dict[str, dict[str, str]]:
        """Return the split of JARVIS-ALIGNN.

        Raises:
            SourceError: for a subset that is not ``train``, ``val`` or ``test``.
        """
        path = paths[self.files[0].name]
        table = read_table(path, _TABLE, (_NAME, _SPLIT))
        subsets = {name: rows[0][_SPLIT] for name, rows in table.items() if len(rows) == 1}
        if wrong := {name: s for name, s in subsets.items() if s and s not in _SUBSETS}:
            name, subset = next(iter(wrong.items()))
            raise SourceError(f"{path}: {_TABLE} has {name} in the subset '{subset}'")
        return {"jarvis": {name: _SUBSETS[s] for name, s in subsets.items() if s}}
