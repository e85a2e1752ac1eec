"""MOFX-DB's bulk download: one JSON record for each framework, with its CIF and isotherms.

Structure and labels come from the same record, so nothing is joined by name. Names are not unique
in MOFX-DB, its ids are: a name that occurs once is the record's id here, a name that occurs more
often becomes ``name#id``. Records that share an id are all set aside: one of them must be wrong.
"""

from __future__ import annotations

import re
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from molcryst_bench.sources.fetch import RawFile
from molcryst_bench.sources.hmof_record import GEOMETRY, make_record, number
from molcryst_bench.sources.isotherms import Isotherm, read_uptakes
from molcryst_bench.sources.record import BadRecordError, RawRecord, Record
from molcryst_bench.sources.structures import density, read_cif
from molcryst_bench.sources.zips import opened_zip, read_member, stem_of

_Model = TypeVar("_Model", bound=BaseModel)
_BULK_NAME = re.compile(r"(?P<name>.+)-\(id:(?P<id>[0-9]{1,15})\)")


class _Identity(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    id: int
    name: str


class _Framework(_Identity):
    cif: str
    isotherms: list[Isotherm]
    lcd: float | None
    pld: float | None
    void_fraction: float | None
    surface_area_m2g: float | None
    surface_area_m2cm3: float | None


class _Entry(NamedTuple):
    """A member of the archive, the name and id that it goes by, and what is wrong with it."""

    name: str
    id: int | None
    content: bytes = b""
    problem: str = ""


@dataclass(frozen=True)
class Mofxdb:
    """A zip of records of MOFX-DB, under any file names that end in ``.json``."""

    files: tuple[RawFile, ...]
    name: str = "mofxdb"

    def raw_records(self, paths: Mapping[str, Path]) -> Iterator[RawRecord]:
        """Yield the JSON members in the order of the archive."""
        with opened_zip(paths[self.files[0].name]) as archive:
            members = [m for m in archive.infolist() if m.filename.lower().endswith(".json")]
            known = [_identify(archive, member) for member in members]
            owners = Counter(entry.id for entry in known)
            for member, identity, entry in zip(members, _record_ids(known), known, strict=True):
                whole = _with_content(archive, member, _disputed(entry, owners))
                yield RawRecord(member.filename, identity, whole)

    def parse(self, raw: RawRecord) -> Record:
        """Parse one record, whose structure and labels need no join."""
        entry: _Entry = raw.payload
        if entry.problem:
            raise BadRecordError(entry.problem)
        framework = _validated(_Framework, entry.content)
        if (framework.name, framework.id) != (entry.name, entry.id):
            message = f"the file is named after {entry.name} with the id {entry.id}, it holds"
            raise BadRecordError(f"{message} {framework.name} with the id {framework.id}")
        atoms = read_cif(framework.cif)
        uptakes = read_uptakes(framework.isotherms, framework.id, density(atoms))
        geometry = {name: number(getattr(framework, name), name) for name in GEOMETRY}
        return make_record(raw.id, atoms, uptakes, geometry)


def _identify(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> _Entry:
    """Take name and id from a file name of the bulk download, else from the record itself."""
    if match := _BULK_NAME.fullmatch(stem_of(member)):
        return _Entry(match["name"], int(match["id"]))
    try:
        identity = _validated(_Identity, read_member(archive, member))
    except BadRecordError as error:
        return _Entry(stem_of(member), None, problem=str(error))
    if not identity.name.isprintable() or "/" in identity.name:
        return _Entry(stem_of(member), None, problem=f"{identity.name!r} is not a plain word")
    return _Entry(identity.name, identity.id)


def _record_ids(entries: list[_Entry]) -> list[str]:
    """Return an id for each member, the name if no other member has it."""
    names = Counter(entry.name for entry in entries)
    ids = [e.name if names[e.name] == 1 else f"{e.name}#{e.id}" for e in entries]
    repeated = Counter(ids)
    return [
        identity if repeated[identity] == 1 else f"{identity} ({position})"
        for position, identity in enumerate(ids, start=1)
    ]


def _disputed(entry: _Entry, owners: Mapping[int | None, int]) -> _Entry:
    if entry.id is None or owners[entry.id] == 1:
        return entry
    return entry._replace(problem=f"{owners[entry.id]} records have the MOFX-DB id {entry.id}")


def _with_content(archive: zipfile.ZipFile, member: zipfile.ZipInfo, entry: _Entry) -> _Entry:
    if entry.problem:
        return entry
    try:
        return entry._replace(content=read_member(archive, member))
    except BadRecordError as error:
        return entry._replace(problem=str(error))


def _validated(model: type[_Model], content: bytes) -> _Model:
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(map(str, problem["loc"]))
        raise BadRecordError(f"{place}: {problem['msg']}" if place else problem["msg"]) from None
