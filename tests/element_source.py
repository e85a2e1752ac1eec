"""Builds the table of the elements from pymatgen: ``python tests/element_source.py`` rewrites it.

pymatgen is too heavy to depend on for a hundred rows, so that the table is kept as text.
"""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

from pymatgen.analysis.local_env import CovalentRadius
from pymatgen.core import Element

from molcryst_bench.models.components import element_table

NOBLE_GASES = (0, 2, 10, 18, 36, 54, 86)
HIGHEST_IONISATION = 24.6  # eV, of helium: what pymatgen has above it is of ions


def build_table() -> str:
    """Return one line for each element up to 118."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pymatgen warns of each value that nobody has measured
        return "".join(f"{_line(Element.from_Z(number))}\n" for number in range(1, 119))


def _line(element: Element) -> str:
    block = "s" if element.Z == 2 else element.block  # pymatgen files helium under its group
    group = 0 if block == "f" else element.group
    values = [
        f"{element.Z:3d} {element.symbol:2s} {group:2d} {element.row}",
        _number(element.X, 5, 2),
        _number(100 * CovalentRadius.radius.get(element.symbol, math.nan), 3, 0),
        f"{_valence_electrons(element.Z, element.group, block):2d}",
        _number(_ionisation_energy(element), 6, 3),
        _number(element.data.get("Electron affinity"), 6, 3),
        block,
        _number(element.data.get("Molar volume"), 5, 2),
    ]
    return " ".join(values)


def _valence_electrons(number: int, group: int, block: str) -> int:
    """Count the electrons outside the noble-gas core and outside shells that were filled before."""
    if block == "f":
        return number - max(core for core in NOBLE_GASES if core < number)
    return group - 10 if block == "p" else min(group, number)


def _ionisation_energy(element: Element) -> float | None:
    first = next(iter(element.data.get("Ionization energies", [])), None)
    return None if first is None or first > HIGHEST_IONISATION else first


def _number(value: Any, width: int, digits: int) -> str:
    known = isinstance(value, float | int) and math.isfinite(value)
    return f"{value:{width}.{digits}f}" if known else f"{'-':>{width}s}"


if __name__ == "__main__":
    path = Path(element_table.__file__)
    before, quotes, _ = path.read_text(encoding="utf-8").partition('TABLE = """\\\n')
    path.write_text(f'{before}{quotes}{build_table()}"""\n', encoding="utf-8")
