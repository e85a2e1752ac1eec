"""Structures as small pictures: a molecule's formula, or a crystal's cell seen along an axis."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols, covalent_radii
from ase.data.colors import jmol_colors
from matplotlib.colors import to_hex, to_rgb
from rdkit import Chem, rdBase
from rdkit.Chem import rdDepictor
from rdkit.Chem.Draw import rdMolDraw2D

from molcryst_bench.base.theme import INK, MUTED, SERIES, save_svg
from molcryst_bench.graphs.similarity.molecules import perceive
from molcryst_bench.interpret.draw import Picture, lay_out, seen_from

_SIZE = 220  # px
_FORMULA = (200, 150)  # px
_MARGIN = 6
_LINE = 20  # px, of the names of elements
_DISC = 0.5  # of the covalent radius, so that what lies behind can be seen
_BLUE, _ORANGE, _GREEN, _PURPLE, _YELLOW, _GREY = map(to_rgb, SERIES)
_COLOURS = {7: _BLUE, 8: _ORANGE, 9: _GREEN, 17: _GREEN, 16: _YELLOW, 15: _PURPLE, 35: _GREY}


def draw_structure(atoms: Atoms, path: Path, flat: bool = True) -> str:
    """Draw a structure as SVG, with a twin for dark screens.

    Args:
        atoms: a molecule or a crystal.
        path: of the file.
        flat: draw the formula of a molecule, not the places of its atoms.

    Returns:
        what the picture shows, for those who cannot see it.
    """
    formula = atoms.get_chemical_formula("hill")
    if atoms.pbc.any():
        save_svg(_discs_and_lines(atoms, lay_out(atoms)), path)
        return f"{formula}: {seen_from(atoms)}"
    if not flat:
        save_svg(_discs_and_lines(atoms, _seen_broadly(atoms)), path)
        return f"{formula}: atoms and bonds, seen where the molecule is broadest"
    save_svg(_molecule(atoms), path)
    return f"structural formula of {formula}"


def _molecule(atoms: Atoms) -> str:
    """Return the formula as RDKit draws it, with bonds perceived from the geometry."""
    with rdBase.BlockLogs():
        molecule = _without_hydrogens(perceive(atoms))
        Chem.KekulizeIfPossible(molecule, clearAromaticFlags=True)
        rdDepictor.Compute2DCoords(molecule)
        canvas = rdMolDraw2D.MolDraw2DSVG(*_FORMULA)
        options: Any = canvas.drawOptions()  # RDKit's type hints of its fields are wrong
        options.clearBackground = False
        options.prepareMolsBeforeDrawing = False
        options.fixedBondLength = 30
        options.setAtomPalette({-1: to_rgb(INK), **_COLOURS})
        canvas.DrawMolecule(molecule)
        canvas.FinishDrawing()
    # The theme's colours are in small letters.
    return re.sub("#[0-9A-F]{6}", lambda found: found[0].lower(), canvas.GetDrawingText())


def _without_hydrogens(molecule: Chem.Mol) -> Chem.Mol:
    """Leave hydrogens to the names of their atoms, where there are any other atoms."""
    if all(atom.GetAtomicNum() == 1 for atom in molecule.GetAtoms()):
        return molecule
    return Chem.RemoveHs(molecule, updateExplicitCount=True, sanitize=False)


def _seen_broadly(atoms: Atoms) -> Picture:
    """Look at a molecule along the axis in which it is thinnest."""
    centred = atoms.positions - atoms.positions.mean(0)
    axes = np.linalg.svd(centred, full_matrices=False)[2]  # (3, 3) from the broadest on
    axes *= np.where(axes.sum(1, keepdims=True) < 0, -1, 1)  # either sign would do
    place = centred @ axes.T
    bonds = perceive(atoms).GetBonds()
    lines = [place[[bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()], :2] for bond in bonds]
    return Picture(place[:, :2], lines, place[:, 2], 1.0)


def _discs_and_lines(atoms: Atoms, picture: Picture) -> str:
    elements = np.unique(atoms.numbers)
    shape, scale = _fitted(picture, _DISC * covalent_radii[elements].max())
    height = shape[1] + _LINE
    body = [*_lines(picture, scale), *_discs(atoms, picture, scale), *_names(elements, height)]
    size = f'width="{_SIZE}" height="{height:.0f}" viewBox="0 0 {_SIZE} {height:.0f}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>\n{"".join(body)}</svg>\n'


def _fitted(picture: Picture, radius: float) -> tuple[np.ndarray, _Scale]:
    """Return the size of the picture in px, and what turns Å into px.

    Args:
        picture: where atoms and cell lie, in Å.
        radius: of the largest disc, in Å.
    """
    points = np.concatenate([picture.place, *picture.lines])
    low, high = points.min(0) - radius, points.max(0) + radius
    factor = (_SIZE - 2 * _MARGIN) / float((high - low).max())
    return (high - low) * factor + 2 * _MARGIN, _Scale(low, high, factor)


class _Scale:
    def __init__(self, low: np.ndarray, high: np.ndarray, factor: float) -> None:
        self.factor = factor
        self.start = np.array([low[0], high[1]])

    def __call__(self, point: np.ndarray) -> tuple[float, float]:
        """Turn a point (2,) in Å into px, with y downwards."""
        x, y = (point - self.start) * (self.factor, -self.factor) + _MARGIN
        return round(float(x), 1), round(float(y), 1)


def _lines(picture: Picture, scale: _Scale) -> Iterator[str]:
    for ends in picture.lines:
        (x1, y1), (x2, y2) = scale(ends[0]), scale(ends[1])
        yield f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{MUTED}"/>\n'


def _discs(atoms: Atoms, picture: Picture, scale: _Scale) -> Iterator[str]:
    for atom in np.argsort(picture.depth, kind="stable"):
        number = atoms.numbers[atom]
        radius = _DISC * covalent_radii[number] * scale.factor
        yield _disc(*scale(picture.place[atom]), radius, number)


def _disc(x: float, y: float, radius: float, number: int) -> str:
    colour = to_hex(jmol_colors[number])
    style = f'fill="{colour}" stroke="{INK}" stroke-width="0.6"'
    return f'<circle cx="{x}" cy="{y}" r="{radius:.1f}" {style}/>\n'


def _names(elements: np.ndarray, height: float) -> Iterator[str]:
    """Say which colour is which element."""
    for place, number in enumerate(elements):
        x = _MARGIN + 30 * place
        name = escape(chemical_symbols[number])
        yield _disc(x, height - 8, 5, number)
        style = f'font-size="11" font-family="sans-serif" fill="{INK}"'
        yield f'<text x="{x + 8}" y="{height - 4:.0f}" {style}>{name}</text>\n'
