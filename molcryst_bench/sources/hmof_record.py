"""What every form of hMOF becomes: a framework with its gas uptakes, checked against itself."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Mapping
from typing import Any

from ase import Atoms

from molcryst_bench.sources.record import BadRecordError, Record
from molcryst_bench.sources.structures import density

CO2, CH4 = "CO2", "CH4"
PRESSURES = {  # bar
    CO2: ("0.01", "0.05", "0.1", "0.5", "2.5"),
    CH4: ("0.05", "0.5", "0.9", "2.5", "4.5"),
}
GEOMETRY = ("lcd", "pld", "void_fraction", "surface_area_m2g", "surface_area_m2cm3")
_SAME_DENSITY = 0.05  # of the density that the surface areas imply
_NOISE = 0.1  # of an uptake; simulations of nearly full pores scatter


def uptake_name(gas: str, pressure: str) -> str:
    """Return the name of the target for a gas at a pressure in bar."""
    return f"{gas.lower()}_{pressure}bar"


UPTAKES = tuple(uptake_name(gas, p) for gas, pressures in PRESSURES.items() for p in pressures)


def make_record(
    identity: str, atoms: Atoms, uptakes: Mapping[str, float], geometry: Mapping[str, float]
) -> Record:
    """Return a record after checking that structure and labels can belong together.

    Args:
        identity: its id.
        atoms: the unit cell.
        uptakes: in mmol/g by the names of ``UPTAKES``; what is not there is stored as NaN.
        geometry: by the names of ``GEOMETRY``, in Å, m²/g and m²/cm³, NaN where unknown.

    Raises:
        BadRecordError: if the density contradicts the surface areas, or a value cannot be.
    """
    if geometry["void_fraction"] > 1:
        raise BadRecordError(f"the void fraction is {geometry['void_fraction']:g}")
    _check_density(atoms, geometry)
    targets = {name: uptakes.get(name, math.nan) for name in UPTAKES}
    low, high = targets["co2_0.1bar"], targets["co2_2.5bar"]
    if high < (1 - _NOISE) * low:
        raise BadRecordError(f"CO2 uptake falls from {low:g} at 0.1 bar to {high:g} at 2.5 bar")
    return Record(identity, atoms, {**targets, "co2_working_capacity": high - low}, dict(geometry))


def number(value: Any, name: str) -> float:
    """Return an amount as a float, NaN where it is missing (empty, null or ``nan``).

    Raises:
        BadRecordError: if it is not a number, infinite or negative.
    """
    if value is None or value == "":
        return math.nan
    try:
        amount = float(value)
    except (TypeError, ValueError, OverflowError):
        raise BadRecordError(f"{name} is not a number: {reprlib.repr(value)}") from None
    if amount < 0 or math.isinf(amount):
        raise BadRecordError(f"{name} is {amount:g}, which cannot be")
    return amount


def _check_density(atoms: Atoms, geometry: Mapping[str, float]) -> None:
    """Names are not unique in MOFX-DB: a label found by name may be another structure's."""
    per_gram, per_volume = geometry["surface_area_m2g"], geometry["surface_area_m2cm3"]
    if not (per_gram > 0 and per_volume > 0):
        return  # no pores that nitrogen could enter, or unknown
    found, labelled = density(atoms), per_volume / per_gram
    if abs(found - labelled) > _SAME_DENSITY * labelled:
        message = f"the structure has a density of {found:.3f} g/cm³, the surface areas of its"
        raise BadRecordError(f"{message} label imply {labelled:.3f}: it is another structure's")
