"""A folder of structure files in several formats, with a table of labels, made by hand."""

from __future__ import annotations

from pathlib import Path

from ase import Atoms
from ase.build import bulk, molecule
from ase.io import write

FORMATS = {"cif": "cif", "extxyz": "extxyz", "xyz": "xyz", "vasp": "vasp", "pdb": "proteindatabank"}
COLUMNS = ("name", "gap", "bulk modulus (GPa)")


def structures() -> dict[str, Atoms]:
    """Return twelve structures by the names of their files, one of them in a subfolder."""
    made: dict[str, Atoms] = {}
    for number in range(12):
        suffix = list(FORMATS)[number % len(FORMATS)]
        periodic = suffix in ("cif", "extxyz", "vasp")
        atoms = bulk("Cu", a=3.6 + 0.01 * number, cubic=True) if periodic else molecule("CH3OH")
        made[f"{'deep/' if number == 7 else ''}s{number}.{suffix}"] = atoms
    made["POSCAR_first"] = made.pop("s3.vasp")
    return made


def make(folder: Path) -> Path:
    """Write all structures into ``folder`` and return the path of the table beside it."""
    lines = [",".join(COLUMNS)]
    for number, (name, atoms) in enumerate(structures().items()):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, atoms, format=FORMATS.get(path.suffix[1:], "vasp"))
        identity = name if number % 2 else name.removesuffix(path.suffix)
        lines.append(f"{identity},{0.5 * number},{'' if number == 4 else 100 + number}")
    table = folder.with_name("labels.csv")
    table.write_text("\n".join(lines) + "\n")
    return table


def with_cell(table: Path, line: int, column: str, text: str) -> None:
    """Replace one cell of the table; the first row of labels is line 2."""
    lines = table.read_text().splitlines()
    cells = lines[line - 1].split(",")
    cells[COLUMNS.index(column)] = text
    lines[line - 1] = ",".join(cells)
    table.write_text("\n".join(lines) + "\n")
