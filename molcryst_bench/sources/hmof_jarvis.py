"""hMOF as JARVIS distributes it: a list of dictionaries with structure, CO2 isotherm and pores.

``max_co2_adsp`` is the largest uptake of the isotherm, which in 222 records is not the one at the
highest pressure: the uptakes come from ``co2_absp``, and the maximum checks that they belong.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
from ase import Atoms
from pydantic import BaseModel, ConfigDict, ValidationError

from molcryst_bench.sources.fetch import RawFile
from molcryst_bench.sources.hmof_record import (
    CO2,
    GEOMETRY,
    PRESSURES,
    make_record,
    number,
    uptake_name,
)
from molcryst_bench.sources.json_list import read_json_list
from molcryst_bench.sources.record import BadRecordError, RawRecord, Record

_SMALLEST_VOLUME = 1e-3  # Å³
_SAME = 1e-3  # relative: the isotherm and its maximum are rounded


class _Structure(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    lattice_mat: list[list[float]]
    coords: list[list[float]]
    elements: list[str]
    cartesian: bool


@dataclass(frozen=True)
class HmofJarvis:
    """The JSON list of JARVIS, in a zip or not; uptakes in mol/kg, which is mmol/g."""

    files: tuple[RawFile, ...]
    name: str = "jarvis"

    def raw_records(self, paths: Mapping[str, Path]) -> Iterator[RawRecord]:
        """Yield the items; the second of a name is called ``name (2)`` and set aside."""
        path = paths[self.files[0].name]
        seen: Counter[str] = Counter()
        for position, item in enumerate(read_json_list(path)):
            identity = item.get("id") if isinstance(item, dict) else None
            name = identity if _is_plain(identity) else f"item {position}"
            seen[name] += 1
            suffix = f" ({seen[name]})" if seen[name] > 1 else ""
            yield RawRecord(path.name, f"{name}{suffix}", item)

    def parse(self, raw: RawRecord) -> Record:
        """Parse one item."""
        item: Any = raw.payload
        if not isinstance(item, dict) or not _is_plain(item.get("id")):
            raise BadRecordError("the item is not a dictionary with a name under 'id'")
        if raw.id != item["id"]:
            raise BadRecordError(f"another item before it is called {item['id']}")
        geometry = {name: number(item.get(name), name) for name in GEOMETRY}
        return make_record(raw.id, _atoms(item.get("atoms")), _uptakes(item), geometry)


def _is_plain(name: Any) -> TypeGuard[str]:
    return isinstance(name, str) and bool(name) and name.isprintable() and "/" not in name


def _uptakes(item: Mapping[str, Any]) -> dict[str, float]:
    """Return the CO2 uptakes, which are in the order of the pressures."""
    isotherm = item.get("co2_absp")
    if isotherm is None:
        return {}
    if not isinstance(isotherm, list) or len(isotherm) != len(PRESSURES[CO2]):
        raise BadRecordError(f"co2_absp is not {len(PRESSURES[CO2])} numbers")
    values = [number(value, "co2_absp") for value in isotherm]
    largest = number(item.get("max_co2_adsp"), "max_co2_adsp")
    if not math.isnan(largest) and not math.isclose(max(values), largest, rel_tol=_SAME):
        raise BadRecordError(f"the largest of co2_absp is {max(values):g}, not {largest:g}")
    names = [uptake_name(CO2, pressure) for pressure in PRESSURES[CO2]]
    return dict(zip(names, values, strict=True))


def _atoms(structure: Any) -> Atoms:
    try:
        checked = _Structure.model_validate(structure)
        cell = np.array(checked.lattice_mat).reshape(3, 3)
        coordinates = np.array(checked.coords).reshape(len(checked.elements), 3)
        positions = coordinates if checked.cartesian else coordinates @ cell
        symbols = [element.strip() for element in checked.elements]
        atoms = Atoms(symbols, positions=positions, cell=cell, pbc=True)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(map(str, ("atoms", *problem["loc"])))
        raise BadRecordError(f"{place}: {problem['msg']}") from None
    except ValueError:
        raise BadRecordError("cell, coordinates and elements differ in number") from None
    except KeyError as error:
        raise BadRecordError(f"unknown element {error}") from None
    return _checked(atoms)


def _checked(atoms: Atoms) -> Atoms:
    if not len(atoms) or not atoms.numbers.all():
        raise BadRecordError("there are no atoms, or one of an unknown element 'X'")
    if not abs(np.linalg.det(atoms.cell.array)) > _SMALLEST_VOLUME:
        raise BadRecordError("the unit cell has no finite volume")
    return atoms
