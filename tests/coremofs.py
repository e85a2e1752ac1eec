"""CoRE MOF 2019 made by hand: small crystals in the formats of the wheel and of the labels."""

from __future__ import annotations

import csv
import io
import lzma
import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from ase import Atoms
from ase.build import bulk
from handmade import raw_file

from molcryst_bench.sources.card import load_card
from molcryst_bench.sources.coremof import CoreMof
from molcryst_bench.sources.structures import density

WHEEL_NAME = "core_mof-2019.1-py3-none-any.whl"
LABELS_NAME = "core2019_asr_co2_labels_8134.csv"
TABLE, ARCHIVE = "CoRE_MOF/data/2019-ASR.csv", "CoRE_MOF/data/2019-ASR.tar.xz"
Rows = dict[str, dict[str, str]]
_HEAD = (
    "data_image0\n_cell_length_a {:.5f}\n_cell_length_b {:.5f}\n_cell_length_c {:.5f}\n"
    "_cell_angle_alpha {:.5f}\n_cell_angle_beta {:.5f}\n_cell_angle_gamma {:.5f}\n\n"
    "_symmetry_space_group_name_H-M    'P 1'\n_symmetry_int_tables_number       1\n\n"
    "loop_\n  _symmetry_equiv_pos_as_xyz\n  'x, y, z'\n\nloop_\n  _atom_site_label\n"
    "  _atom_site_occupancy\n  _atom_site_fract_x\n  _atom_site_fract_y\n  _atom_site_fract_z\n"
    "  _atom_site_thermal_displace_type\n  _atom_site_B_iso_or_equiv\n  _atom_site_type_symbol\n"
)


def frameworks() -> dict[str, Atoms]:
    """Return ten crystals by name; every one has a density of its own."""
    sides = [5.0 + 0.1 * number for number in range(10)]
    crystals = [bulk("ZnO", "zincblende", a=side, cubic=True) for side in sides]
    return {f"AB{chr(65 + n)}VIJ_clean": crystal for n, crystal in enumerate(crystals)}


def cif(atoms: Atoms) -> str:
    """Write a CIF as the package has them."""
    sites = [
        f"  {symbol}{number} 1.0000 {x:.5f} {y:.5f} {z:.5f} Biso 1.000 {symbol}\n"
        for number, (symbol, (x, y, z)) in enumerate(
            zip(atoms.symbols, atoms.get_scaled_positions(), strict=True), start=1
        )
    ]
    return _HEAD.format(*atoms.cell.cellpar()) + "".join(sites)


def cifs(structures: Mapping[str, Atoms]) -> list[tuple[str, bytes]]:
    return [(f"{name}.cif", cif(atoms).encode()) for name, atoms in structures.items()]


def geometry_rows(structures: Mapping[str, Atoms]) -> Rows:
    """Return the rows of 2019-ASR.csv, whose column cm3_g holds the density."""
    return {
        name: {
            "filename": name,
            "LCD": f"{4 + 0.25 * number}",
            "PLD": f"{3 + 0.25 * number}",
            "LFPD": "4.5",
            "cm3_g": f"{density(atoms):.6g}",
            "AV_VF": f"{0.25 + 0.0625 * number}",
            "All_Metals": "Zn",
            "DISORDER": "",
            "Note": "1 SI, 1 Structure",
            "": "",
        }
        for number, (name, atoms) in enumerate(structures.items())
    }


def label_rows(structures: Mapping[str, Atoms]) -> Rows:
    return {
        name: {
            "MOFname": name,
            "CO2_uptake_0.15bar_298K_mol_kg": f"{0.5 * number}",
            "CH4_uptake_65bar_298K_mol_kg": f"{10 + number}",
            "log10_KH_CO2_mol_kg_Pa": f"{-3 - number}",
            "natoms": str(len(atoms)),
            "composition": str(atoms.symbols.formula.format("hill")),
            "volume_A3": str(atoms.get_volume()),
            "geometry_agrees": "True",
            "dup_comp_volume": "False",
        }
        for number, (name, atoms) in enumerate(structures.items())
    }


def table(rows: Iterable[Mapping[str, str]]) -> bytes:
    rows, text = list(rows), io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def tar_xz(files: Iterable[tuple[str, bytes]]) -> bytes:
    packed = io.BytesIO()
    with lzma.open(packed, "w") as stream, tarfile.open(fileobj=stream, mode="w") as tar:
        for name, content in files:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def write_wheel(path: Path, geometry: bytes, archive: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        wheel.writestr("CoRE_MOF/__init__.py", "")
        wheel.writestr(TABLE, geometry)
        wheel.writestr(ARCHIVE, archive)
    return path


def source(wheel: Path, labels: Path | None = None) -> CoreMof:
    """Return the source for hand-made files, with the targets of the real card."""
    files = (*([raw_file(labels)] if labels else []), raw_file(wheel))
    return CoreMof(load_card("coremof").targets, "labelled" if labels else "wheel", files)
