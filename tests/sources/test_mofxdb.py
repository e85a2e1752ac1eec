"""MOFX-DB: isotherms with units of their own, and names that are not unique."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import handmade
import mofs
import pytest
from mofs import CH4_KEY, CO2_KEY, build, read

from molcryst_bench.sources.isotherms import Isotherm, read_uptakes
from molcryst_bench.sources.mofxdb import Mofxdb

# Each deep enough for any parser's stack, none of them long.
DEEP = b'{"id": 7, "name": "hMOF-7", "mofid": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = mofs.make_project(tmp_path / "project")
    monkeypatch.chdir(root)
    return root


def mofxdb(path: Path) -> Mofxdb:
    return Mofxdb((handmade.raw_file(path),))


@pytest.mark.parametrize("bulk_names", [True, False])
def test_mofxdb_gives_uptakes_by_pressure_whatever_their_order(
    tmp_path: Path, bulk_names: bool
) -> None:
    made = [mofs.mofxdb_record(7, "hMOF-7"), mofs.mofxdb_record(8, "hMOF-8", size=11)]
    path = mofs.write_records(tmp_path / "m.zip", made, bulk_names)
    records, reasons = read(mofxdb(path), path)
    assert not reasons
    assert list(records) == ["hMOF-7", "hMOF-8"]
    targets = records["hMOF-7"].targets
    assert [targets[f"co2_{p}bar"] for p in ("0.01", "0.05", "0.1", "0.5", "2.5")] == [
        *(0.1, 0.4, 0.8, 2.0, 4.0)
    ]
    assert targets["co2_working_capacity"] == pytest.approx(3.2)
    assert (targets["ch4_0.5bar"], targets["ch4_2.5bar"]) == (0.3, 1.5)
    missing = [name for name, value in targets.items() if math.isnan(float(value))]
    assert missing == ["ch4_0.05bar", "ch4_0.9bar", "ch4_4.5bar"], "nothing is interpolated"
    assert records["hMOF-8"].features == mofs.geometry(mofs.framework(11))
    assert len(build(mofxdb(path), path)) == 2


def uptake(gas: str, unit: str, value: float, density: float = 0.5, **changes: Any) -> float:
    changes = {"adsorptionUnits": unit, **changes}
    made = mofs.isotherm(gas, {changes.pop("pressure", 2.5): value}, 1, **changes)
    uptakes = read_uptakes([Isotherm.model_validate(made)], 1, density)
    return uptakes[f"{'co2' if gas == CO2_KEY else 'ch4'}_2.5bar"]


@pytest.mark.parametrize(
    ("gas", "unit", "value"),
    [
        (CO2_KEY, "mol/kg", 2.0),
        (CO2_KEY, "mmol/g", 2.0),
        (CO2_KEY, "mg/g", 88.019),  # 2 mmol of 44.0095 g/mol
        (CH4_KEY, "mg/g", 32.085),
        (CH4_KEY, "cm3(STP)/g", 44.82794),  # 22.41397 cm³ each
        (CO2_KEY, "cm3(STP)/cm3", 22.41397),  # 0.5 g of framework in 1 cm³ hold 1 mmol
        (CO2_KEY, "g/l", 44.0095),  # 500 g of framework in 1 l hold 1 mol
    ],
)
def test_uptakes_are_converted_from_the_unit_of_their_isotherm(
    gas: str, unit: str, value: float
) -> None:
    assert uptake(gas, unit, value) == pytest.approx(2.0, rel=1e-6)


@pytest.mark.parametrize(
    ("unit", "pressure"),
    [("bar", 2.5), ("Pa", 250_000), ("kPa", 250), ("MPa", 0.25), ("mbar", 2500), ("atm", 2.467308)],
)
def test_pressures_are_converted_from_the_unit_of_their_isotherm(
    unit: str, pressure: float
) -> None:
    assert uptake(CO2_KEY, "mol/kg", 3.0, pressureUnits=unit, pressure=pressure) == 3.0


RECORD = mofs.mofxdb_record(7, "hMOF-7")
MIXTURE = [{"InChIKey": CO2_KEY}, {"InChIKey": CH4_KEY}]
OTHER_ISOTHERMS: dict[str, dict[str, Any]] = {
    "mixture": {"adsorbates": MIXTURE, "adsorptionUnits": "cups"},
    "nitrogen": {"adsorbates": [{"InChIKey": "IJGRMHOSHXDMSA-UHFFFAOYSA-N"}]},
    "another temperature": {"temperature": 273.0},
    "no temperature": {"temperature": None},
    "another pressure": {"pressureUnits": "atm"},
}


@pytest.mark.parametrize("changes", OTHER_ISOTHERMS.values(), ids=OTHER_ISOTHERMS.keys())
def test_other_isotherms_give_no_targets(tmp_path: Path, changes: dict[str, Any]) -> None:
    path = mofs.write_records(tmp_path / "m.zip", [mofs.with_isotherm(RECORD, 0, **changes)])
    targets = read(mofxdb(path), path)[0]["hMOF-7"].targets
    assert math.isnan(targets["co2_2.5bar"])
    assert math.isnan(targets["co2_working_capacity"])
    assert targets["ch4_2.5bar"] == 1.5


def second_isotherm(uptake_at_half_a_bar: float) -> mofs.JsonObject:
    extra = mofs.isotherm(CH4_KEY, {0.5: uptake_at_half_a_bar}, 7)
    return RECORD | {"isotherms": [*RECORD["isotherms"], extra]}


BAD_RECORDS: dict[str, tuple[bytes, str]] = {
    name: (content if isinstance(content, bytes) else json.dumps(content).encode(), reason)
    for name, (content, reason) in {
        "unknown unit": (mofs.with_isotherm(RECORD, 0, adsorptionUnits="kj/mol"), "'kj/mol'"),
        "no unit": (mofs.with_isotherm(RECORD, 0, adsorptionUnits=None), "uptake of CO2 is in"),
        "unknown pressure unit": (mofs.with_isotherm(RECORD, 1, pressureUnits="psi"), "'psi'"),
        "another's isotherm": (
            mofs.with_isotherm(RECORD, 1, adsorbent={"id": 8}),
            "of the framework 8",
        ),
        "contradiction": (second_isotherm(0.4), "ch4_0.5bar is 0.3 and 0.4"),
        "negative uptake": (second_isotherm(-0.3), "ch4_0.5bar is -0.3"),
        "text for a pressure": (
            mofs.with_isotherm(RECORD, 0, isotherm_data=[{"pressure": "low"}]),
            "isotherms.0.isotherm_data.0.pressure",
        ),
        "another density": (RECORD | {"surface_area_m2g": 800.0}, "density"),
        "no CIF": ({k: v for k, v in RECORD.items() if k != "cif"}, "cif: Field required"),
        "null for a CIF": (RECORD | {"cif": None}, "cif"),
        "another name": (RECORD | {"name": "hMOF-9"}, "it holds hMOF-9 with the id 7"),
        "another id": (RECORD | {"id": 9}, "it holds hMOF-7 with the id 9"),
        "a list": ([], "object"),
        "cut short": (json.dumps(RECORD).encode()[:-9], "JSON"),
        "NaN": (json.dumps(RECORD | {"lcd": math.nan}).encode(), "finite"),
        "not UTF-8": (json.dumps(RECORD).encode().replace(b"made", b"m\xe9de"), "JSON"),
        "too deep": (DEEP, "recursion"),
        "a bomb": (b" " * 21_000_000, "would unpack to 21,000,000 bytes"),
    }.items()
}


@pytest.mark.parametrize(("content", "reason"), BAD_RECORDS.values(), ids=BAD_RECORDS.keys())
def test_a_record_that_cannot_be_right_is_set_aside(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    good = json.dumps(mofs.mofxdb_record(8, "hMOF-8")).encode()
    members = {"hMOF-7-(id:7).json": content, "hMOF-8-(id:8).json": good, "hMOF-8.cif": b"data_"}
    path = handmade.write_zip(tmp_path / "m.zip", members)
    records, reasons = read(mofxdb(path), path)
    assert list(records) == ["hMOF-8"]
    assert list(reasons) == ["hMOF-7"]
    assert reason in reasons["hMOF-7"]


def test_frameworks_of_one_name_are_told_apart_by_their_ids(tmp_path: Path) -> None:
    made = [mofs.mofxdb_record(7, "hMOF-7"), mofs.mofxdb_record(8, "hMOF-8")]
    made.append(mofs.mofxdb_record(9, "hMOF-7", size=12))
    path = mofs.write_records(tmp_path / "m.zip", made)
    records, _ = read(mofxdb(path), path)
    assert list(records) == ["hMOF-7#7", "hMOF-8", "hMOF-7#9"]
    assert records["hMOF-7#9"].atoms.cell[0, 0] == 12


def test_records_that_share_an_id_are_all_set_aside(tmp_path: Path) -> None:
    twice = [mofs.mofxdb_record(7, name) for name in ("hMOF-7", "hMOF-9", "hMOF-7")]
    path = mofs.write_records(
        tmp_path / "m.zip", [*twice, mofs.mofxdb_record(8, "hMOF-8")], bulk_names=False
    )
    records, reasons = read(mofxdb(path), path)
    assert list(records) == ["hMOF-8"]
    assert set(reasons) == {"hMOF-7#7 (1)", "hMOF-9", "hMOF-7#7 (3)"}
    assert set(reasons.values()) == {"3 records have the MOFX-DB id 7"}
