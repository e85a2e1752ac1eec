"""Crystal structures from CIF, with gemmi, which is fast enough for hundreds of thousands."""

from __future__ import annotations

from collections.abc import Iterable

import gemmi
import numpy as np
from ase import Atoms

from molcryst_bench.sources.record import BadRecordError

_FULL = 1e-3  # occupancies this close to 1 are rounded
_SMALLEST_VOLUME = 1e-3  # Å³
_GRAMS_PER_CM3 = 1.66053906892  # u/Å³ in g/cm³ (CODATA 2022)


def read_cif(text: str) -> Atoms:
    """Return the unit cell of a CIF with one structure, all symmetry-equivalent atoms in it.

    Raises:
        BadRecordError: if it cannot be parsed, has no cell, no atoms or an unknown element, or if a
            site is only partly occupied.
    """
    try:
        structure = gemmi.make_small_structure_from_block(gemmi.cif.read_string(text).sole_block())
        sites = structure.get_all_unit_cell_sites()
    except (ValueError, RuntimeError, IndexError) as error:
        raise BadRecordError(f"the CIF cannot be parsed: {error}") from None
    if not structure.cell.is_crystal() or not structure.cell.volume > _SMALLEST_VOLUME:
        raise BadRecordError("the CIF has no unit cell of finite volume")
    if not sites:
        raise BadRecordError("the CIF has no atoms")
    _check_sites(sites)
    fractional = np.array([site.fract.tolist() for site in sites])
    cell = np.array(structure.cell.orth.mat.tolist()).T  # rows are vectors
    numbers = [site.element.atomic_number for site in sites]
    return Atoms(numbers, positions=fractional @ cell, cell=cell, pbc=True)


def density(atoms: Atoms) -> float:
    """Return the density of a periodic structure in g/cm³."""
    return float(atoms.get_masses().sum() / atoms.get_volume() * _GRAMS_PER_CM3)


def _check_sites(sites: Iterable[gemmi.SmallStructure.Site]) -> None:
    for site in sites:
        if site.element.atomic_number == 0:
            raise BadRecordError(f"unknown element '{site.type_symbol}' of atom {site.label}")
        if abs(site.occ - 1) > _FULL:
            raise BadRecordError(f"partial occupancy {site.occ:g} of atom {site.label}")
