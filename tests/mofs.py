"""Small frameworks made by hand, in the three formats in which hMOF is to be had."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import handmade
from ase import Atoms

from molcryst_bench.base.executors import InlineExecutor
from molcryst_bench.graphs.build import BuildRequest, DatasetSettings, build_store
from molcryst_bench.graphs.store import GraphStore, open_store
from molcryst_bench.sources.card import load_card
from molcryst_bench.sources.hmof_record import GEOMETRY, PRESSURES
from molcryst_bench.sources.record import BadRecordError, Record, Source
from molcryst_bench.sources.structures import density

CO2_KEY, CH4_KEY = "CURLTUGMZLYLDI-UHFFFAOYSA-N", "VNWKTOKETHGBQD-UHFFFAOYSA-N"
LABELS = [f"{gas}_{p}bar" for gas, pressures in PRESSURES.items() for p in pressures]
HEADER = ["name", *LABELS, "split", *GEOMETRY]
JsonObject = dict[str, Any]


def framework(size: float = 10.0) -> Atoms:
    """Return six atoms in a cubic cell, some of them within 5 Å."""
    fractional = [[0, 0, 0], [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5], [0.5, 0.5, 0], [0.5, 0.5, 0.3]]
    return Atoms("ZnO2C2H", scaled_positions=fractional, cell=[size] * 3, pbc=True)


def cif(atoms: Atoms, occupancy: str = "1.0") -> str:
    """Write a CIF as hMOF has them; the first atom has the occupancy."""
    lengths = zip("abc", atoms.cell.lengths(), strict=True)
    angles = zip(("alpha", "beta", "gamma"), atoms.cell.angles(), strict=True)
    columns = ("label", "type_symbol", "fract_x", "fract_y", "fract_z", "occupancy")
    rows = [
        f"{symbol}{number} {symbol} {x:.6f} {y:.6f} {z:.6f} {occupancy if number == 1 else '1.0'}"
        for number, (symbol, (x, y, z)) in enumerate(
            zip(atoms.symbols, atoms.get_scaled_positions(), strict=True), start=1
        )
    ]
    lines = [
        *("data_made", "_symmetry_space_group_name_H-M 'P1'"),
        *(f"_cell_length_{axis} {length:.6f}" for axis, length in lengths),
        *(f"_cell_angle_{angle} {degrees:.6f}" for angle, degrees in angles),
        *("loop_", *(f"_atom_site_{column}" for column in columns), *rows, ""),
    ]
    return "\n".join(lines)


def geometry(atoms: Atoms) -> dict[str, float]:
    """Return pores whose surface areas agree with the density."""
    areas = {"surface_area_m2g": 1000.0, "surface_area_m2cm3": 1000.0 * density(atoms)}
    return {"lcd": 6.25, "pld": 4.75, "void_fraction": 0.6, **areas}


def label(name: str, atoms: Atoms, scale: float = 1.0, split: str = "train") -> dict[str, str]:
    """Return a row of the table; uptakes rise with the pressure and with ``scale``."""
    uptakes = {column: f"{scale * (number + 1):.3f}" for number, column in enumerate(LABELS)}
    pores = {key: repr(value) for key, value in geometry(atoms).items()}
    return {"name": name, **uptakes, "split": split, **pores}


def table(rows: Sequence[Mapping[str, str]]) -> bytes:
    lines = [",".join(HEADER), *(",".join(row[column] for column in HEADER) for row in rows)]
    return ("\n".join(lines) + "\n").encode()


def sample_members() -> dict[str, bytes]:
    """Return the members of a sample with the frameworks hMOF-1 to hMOF-4."""
    sizes = {f"hMOF-{number}": 9.0 + number for number in range(1, 5)}
    subsets = ["train", "train", "val", "test"]
    rows = [
        label(name, framework(size), size, split)
        for (name, size), split in zip(sizes.items(), subsets, strict=True)
    ]
    cifs = {f"cifs/{name}.cif": cif(framework(size)).encode() for name, size in sizes.items()}
    return {"labels.csv": table(rows), **cifs}


def changed_label(column: str, value: str, row: int = 1) -> dict[str, bytes]:
    """Return the members of a sample with one value of a row replaced."""
    members = sample_members()
    lines = members["labels.csv"].decode().splitlines()
    values = lines[row].split(",")
    values[HEADER.index(column)] = value
    lines[row] = ",".join(values)
    return members | {"labels.csv": ("\n".join(lines) + "\n").encode()}


def isotherm(
    gas: str, points: Mapping[float, float | None], framework_id: int, **changes: Any
) -> JsonObject:
    """Return an isotherm as MOFX-DB writes it, in mol/kg and bar at 298 K."""
    species = {"InChIKey": gas, "name": "made"}
    data = [
        {"pressure": pressure, "total_adsorption": uptake, "species_data": [species]}
        for pressure, uptake in points.items()
    ]
    return {
        "adsorbates": [{**species, "formula": "?"}],
        "temperature": 298.0,
        "category": "exp",
        "adsorbent": {"id": framework_id, "name": "made"},
        "isotherm_data": data,
        "adsorptionUnits": "mol/kg",
        "pressureUnits": "bar",
        "compositionType": "wt%",
        **changes,
    }


def mofxdb_record(identity: int, name: str, size: float = 10.0, **changes: Any) -> JsonObject:
    """Return a record of MOFX-DB with CO2 at five pressures in its order, and CH4 at two."""
    atoms = framework(size)
    co2 = isotherm(CO2_KEY, {0.01: 0.1, 0.1: 0.8, 2.5: 4.0, 0.05: 0.4, 0.5: 2.0}, identity)
    ch4 = isotherm(CH4_KEY, {2.5: 1.5, 0.5: 0.3}, identity)
    record = {"id": identity, "name": name, "cif": cif(atoms), **geometry(atoms)}
    return {**record, "isotherms": [co2, ch4], "mofid": "made", **changes}


def with_isotherm(record: JsonObject, position: int, **changes: Any) -> JsonObject:
    """Return a copy of a record with keys of one isotherm replaced."""
    record = copy.deepcopy(record)
    record["isotherms"][position].update(changes)
    return record


def write_records(path: Path, records: Sequence[JsonObject], bulk_names: bool = True) -> Path:
    """Write records as the bulk download does, or under other file names."""
    members = {
        f"{r['name']}-(id:{r['id']}).json" if bulk_names else f"records/{number}.json": r
        for number, r in enumerate(records)
    }
    return handmade.write_zip(path, {k: json.dumps(r).encode() for k, r in members.items()})


def jarvis_item(name: str, size: float = 10.0, **changes: Any) -> JsonObject:
    """Return an item of the JARVIS file, in fractional coordinates."""
    atoms = framework(size)
    structure = {
        "lattice_mat": atoms.cell.array.tolist(),
        "coords": atoms.get_scaled_positions().tolist(),
        "elements": [f"{symbol} " for symbol in atoms.symbols],
        "abc": [size] * 3,
        "angles": [90.0] * 3,
        "cartesian": False,
        "props": [""] * 6,
    }
    isotherm = {"co2_absp": [0.1, 0.4, 0.8, 2.0, 4.0], "max_co2_adsp": 4.0, "min_co2_adsp": 0.1}
    return {"id": name, "atoms": structure, **isotherm, **geometry(atoms), **changes}


def make_project(root: Path) -> Path:
    """Make the folder of a project with nothing but the card and splits of hMOF."""
    folder = root / "datasets" / "hmof"
    folder.mkdir(parents=True)
    (root / "params.yaml").write_text("")
    shutil.copy(handmade.REPOSITORY / "datasets" / "hmof" / "card.yaml", folder)
    shutil.copytree(handmade.REPOSITORY / "datasets" / "hmof" / "splits", folder / "splits")
    return root


def read(source: Source, path: Path) -> tuple[dict[str, Record], dict[str, str]]:
    """Return the records and the reasons why others are set aside, by id."""
    records, reasons = {}, {}
    for raw in source.raw_records({source.files[0].name: path}):
        assert raw.id not in records | reasons
        try:
            records[raw.id] = source.parse(raw)
        except BadRecordError as error:
            reasons[raw.id] = str(error)
    return records, reasons


def build(source: Source, path: Path, **options: Any) -> GraphStore:
    """Build a store beside the raw file."""
    settings = options.pop("settings", DatasetSettings())
    paths = {source.files[0].name: path}
    request = BuildRequest(load_card("hmof"), source, paths, settings)
    store = path.with_name("store.zarr")
    build_store(request, store, InlineExecutor(), **options)
    return open_store(store)
