"""Isotherms as MOFX-DB records them, each with units of its own, as uptakes in mmol/g."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from pydantic import BaseModel, ConfigDict, Field

from molcryst_bench.sources.hmof_record import CH4, CO2, PRESSURES, number, uptake_name
from molcryst_bench.sources.record import BadRecordError

_GASES = {"CURLTUGMZLYLDI-UHFFFAOYSA-N": CO2, "VNWKTOKETHGBQD-UHFFFAOYSA-N": CH4}
_MOLAR_MASS = {CO2: 44.0095, CH4: 16.0425}  # g/mol
_MOLAR_VOLUME = 22.41396954  # cm³ of an ideal gas per mmol at 273.15 K and 1 atm (CODATA 2018)
_BAR = {
    "bar": 1.0,
    "mbar": 1e-3,
    "Pa": 1e-5,
    "kPa": 1e-2,
    "MPa": 10.0,
    "atm": 1.01325,
    "Torr": 1.01325 / 760,
    "torr": 1.01325 / 760,
    "mmHg": 1.01325 / 760,
}
_TEMPERATURE, _SAME_TEMPERATURE = 298.0, 0.2  # K
_SAME = 1e-4  # relative: rounding by conversions of units


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False)


class _Adsorbate(_Strict):
    inchikey: str | None = Field(alias="InChIKey")


class _Adsorbent(_Strict):
    id: int


class _Point(_Strict):
    pressure: float
    total_adsorption: float | None


class Isotherm(_Strict):
    """Uptakes of one gas or mixture at one temperature, under the keys of MOFX-DB."""

    adsorbates: list[_Adsorbate]
    adsorbent: _Adsorbent
    temperature: float | None
    adsorption_unit: str | None = Field(alias="adsorptionUnits")
    pressure_unit: str | None = Field(alias="pressureUnits")
    points: list[_Point] = Field(alias="isotherm_data")

    @property
    def gas(self) -> str | None:
        """CO2 or CH4, if it is an isotherm of this gas alone at 298 K."""
        temperature = self.temperature or 0.0
        if len(self.adsorbates) != 1 or abs(temperature - _TEMPERATURE) > _SAME_TEMPERATURE:
            return None
        return _GASES.get(self.adsorbates[0].inchikey or "")


def read_uptakes(isotherms: Sequence[Isotherm], framework: int, density: float) -> dict[str, float]:
    """Return the uptakes of the pure gases at 298 K in mmol/g, by the names of the targets.

    A pressure that was not simulated is not there; nothing is interpolated.

    Args:
        isotherms: of all gases at all temperatures.
        framework: id of the framework, which each isotherm must be of.
        density: of the framework in g/cm³, for uptakes by volume.

    Raises:
        BadRecordError: if an isotherm is of another framework, has a unit that is not known, or
            contradicts another one.
    """
    uptakes: dict[str, float] = {}
    for isotherm in isotherms:
        if isotherm.adsorbent.id != framework:
            raise BadRecordError(f"an isotherm is of the framework {isotherm.adsorbent.id}")
        for name, uptake in _points(isotherm, density):
            if not math.isclose(uptakes.setdefault(name, uptake), uptake, rel_tol=_SAME):
                raise BadRecordError(f"{name} is {uptakes[name]:g} and {uptake:g} mmol/g")
    return uptakes


def _points(isotherm: Isotherm, density: float) -> Iterator[tuple[str, float]]:
    """Yield the uptakes in mmol/g at the pressures that have a target, by its name."""
    gas = isotherm.gas
    if gas is None:
        return
    per_gram = _known(_mmol_per_gram(gas, density), isotherm.adsorption_unit, "uptake", gas)
    bar = _known(_BAR, isotherm.pressure_unit, "pressure", gas)
    for point in isotherm.points:
        name = _name_at(gas, point.pressure * bar)
        if name is not None and point.total_adsorption is not None:
            yield name, per_gram * number(point.total_adsorption, name)


def _mmol_per_gram(gas: str, density: float) -> Mapping[str, float]:
    """Return by unit the mmol of gas per gram of framework; mol/kg is the same as mmol/g."""
    mass = _MOLAR_MASS[gas]
    return {
        "mol/kg": 1.0,
        "mmol/g": 1.0,
        "mg/g": 1 / mass,
        "g/l": 1 / (mass * density),
        "cm3(STP)/g": 1 / _MOLAR_VOLUME,
        "cm3(STP)/cm3": 1 / (_MOLAR_VOLUME * density),
    }


def _known(factors: Mapping[str, float], unit: str | None, quantity: str, gas: str) -> float:
    if unit is None or unit not in factors:
        message = f"the {quantity} of {gas} is in '{unit}'"
        raise BadRecordError(f"{message}; known units: {', '.join(factors)}")
    return factors[unit]


def _name_at(gas: str, pressure: float) -> str | None:
    """Return the target for a pressure in bar, if there is one."""
    matches = (p for p in PRESSURES[gas] if math.isclose(float(p), pressure, rel_tol=_SAME))
    return next((uptake_name(gas, p) for p in matches), None)
