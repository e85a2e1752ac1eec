"""Structures with the shares of their atoms, to be read in print, in grey and by anybody.

A disc's area is the size of the share; its colour and its rim, whole or dashed, are the sign.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle
from rdkit import Chem
from rdkit.Chem import rdDepictor

from molcryst_bench.base.files import whole_file
from molcryst_bench.base.theme import INK, MUTED, figure_style, save_figure
from molcryst_bench.graphs.similarity.molecules import perceive

if TYPE_CHECKING:
    from molcryst_bench.interpret.explain import Explanation

_COLOURS = "PuOr_r"  # purple below zero, orange above: told apart with any colour vision
_METHODS = {
    "integrated": "integrated gradients",
    "grad_cam": "Grad-CAM",
    "saliency": "saliency",
    "cam": "CAM",
}
_ON_DISC = "#1f2a33"  # names on pale discs, which are pale on dark screens, too
_CROWD = 60  # atoms, from which on there is room for the names of large discs alone
_LARGE = 0.6
_DOTS = 200  # per inch


class Picture(NamedTuple):
    """A structure in the plane."""

    place: np.ndarray  # (atoms, 2)
    lines: list[np.ndarray]  # each (2, 2): bonds, or edges of the cell
    depth: np.ndarray  # (atoms,) what lies behind comes first
    radius: float  # of the largest disc


def draw_explanation(explanation: Explanation, paths: Sequence[Path]) -> None:
    """Draw a molecule as RDKit lays it out, or a crystal's cell seen along one of its axes.

    Args:
        explanation: with the values of the atoms.
        paths: where to, by their suffixes as SVG, PDF or PNG.
    """
    with figure_style():
        figure = _figure(explanation)
        for path in paths:
            form = path.suffix[1:].lower()
            facts = {"Date": None} if form == "svg" else {"CreationDate": None}
            facts = facts if form in ("svg", "pdf") else {}
            with whole_file(path) as partial:
                figure.savefig(partial, format=form, dpi=_DOTS, facecolor="white", metadata=facts)


def draw_for_screens(explanation: Explanation, path: Path) -> None:
    """Draw it as SVG, and beside it its twin for dark screens."""
    with figure_style():
        save_figure(_figure(explanation), path)


def _figure(explanation: Explanation) -> Figure:
    atoms = explanation.atoms
    picture = lay_out(atoms)
    figure = Figure(figsize=(5.4, 4.2))
    axes = figure.subplots()
    axes.set_aspect("equal")
    axes.axis("off")
    for line in picture.lines:
        axes.plot(*line.T, color=MUTED, linewidth=1.2, zorder=1)
    largest = float(np.abs(explanation.values).max()) or 1.0
    _discs(axes, picture, explanation, largest)
    _scale(figure, axes, explanation, largest)
    axes.autoscale_view()
    axes.margins(0.06)
    return figure


def lay_out(atoms: Atoms) -> Picture:
    """Bring a structure into the plane: a molecule flat, a crystal's cell seen along an axis."""
    return _crystal(atoms) if atoms.pbc.any() else _molecule(atoms)


def _discs(axes: Axes, picture: Picture, explanation: Explanation, largest: float) -> None:
    colours = ScalarMappable(TwoSlopeNorm(0, -largest, largest), _COLOURS)
    crowded = len(explanation.values) > _CROWD
    for rank, atom in enumerate(np.argsort(picture.depth)):
        value = explanation.values[atom]
        size = picture.radius * max(np.sqrt(abs(value) / largest), 0.12)
        rim = (0, (2, 1.2)) if value < 0 else "-"
        place, order = tuple(picture.place[atom]), 2 + rank / len(explanation.values)
        disc = Circle(place, size, fc=colours.to_rgba(value), ec=INK, lw=0.9, ls=rim, zorder=order)
        axes.add_patch(disc)
        if not crowded or size > _LARGE * picture.radius:
            strong = abs(value) > 0.6 * largest
            style: dict[str, Any] = {
                "color": "white" if strong else _ON_DISC,
                "fontsize": 8,
                "zorder": order,
            }
            symbol = explanation.atoms.symbols[int(atom)]
            axes.text(place[0], place[1], symbol, ha="center", va="center", **style)


def _scale(figure: Figure, axes: Axes, explanation: Explanation, largest: float) -> None:
    colours = ScalarMappable(TwoSlopeNorm(0, -largest, largest), _COLOURS)
    bar = figure.colorbar(colours, ax=axes, shrink=0.75)
    share = f"share of the atom in {explanation.quantity}"
    what = "length of the gradient" if explanation.method == "saliency" else share
    bar.set_label(what + (f" ({explanation.unit})" if explanation.unit != "1" else ""))
    bar.outline.set_linewidth(0.5)
    signs = [
        Line2D([], [], marker="o", ls="", mfc="#f0b060", mec=INK, label="raises, whole rim"),
        Line2D([], [], marker="o", ls="", mfc="#a090c0", mec=MUTED, label="lowers, dashed rim"),
    ]
    note = seen_from(explanation.atoms)
    axes.legend(handles=signs, loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=2, title=note)
    unit = f" {explanation.unit}" if explanation.unit != "1" else ""
    value = f"{explanation.prediction:.4g}{unit}"
    formula = explanation.atoms.get_chemical_formula(mode="hill")
    name = _METHODS.get(explanation.method, explanation.method)
    axes.set_title(f"{formula}: {explanation.quantity} predicted as {value}\n{name}")


def seen_from(atoms: Atoms) -> str:
    """Say from where a crystal is seen; nothing of a molecule."""
    if not atoms.pbc.any():
        return ""
    return f"one cell, {len(atoms):,} atoms, seen along {'abc'[_axis(atoms)]}"


def _molecule(atoms: Atoms) -> Picture:
    molecule = perceive(atoms)
    Chem.KekulizeIfPossible(molecule, clearAromaticFlags=True)
    rdDepictor.SetPreferCoordGen(False)
    rdDepictor.Compute2DCoords(molecule)
    place = molecule.GetConformer().GetPositions()[:, :2]
    lines: list[np.ndarray] = []
    for bond in molecule.GetBonds():
        ends = place[[bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()]]
        lines += _strokes(ends, round(bond.GetBondTypeAsDouble()))
    return Picture(place, lines, np.zeros(len(atoms)), 0.62)


def _strokes(ends: np.ndarray, order: int) -> list[np.ndarray]:
    """Return a line, or parallel ones, between two ends (2, 2)."""
    along = ends[1] - ends[0]
    aside = np.array([-along[1], along[0]]) / max(np.linalg.norm(along), 1e-9) * 0.09
    return [ends + aside * shift for shift in np.arange(order) * 2 - (order - 1)]


def _crystal(atoms: Atoms) -> Picture:
    view = _axis(atoms)
    across, aside = (view + 1) % 3, (view + 2) % 3
    cell = atoms.cell.array
    normal = np.cross(cell[across], cell[aside])
    normal = normal / max(np.linalg.norm(normal), 1e-9)
    first = cell[across] / max(np.linalg.norm(cell[across]), 1e-9)
    plane = np.array([first, np.cross(normal, first)])  # (2, 3)
    place = atoms.get_positions(wrap=True)
    corners = np.array(list(np.ndindex(2, 2, 2)))
    pairs = [(a, b) for a in corners for b in corners if (b - a).sum() == 1 and (b >= a).all()]
    lines = [np.array([a @ cell, b @ cell]) @ plane.T for a, b in pairs]
    radius = float(np.mean(covalent_radii[atoms.numbers]))
    return Picture(place @ plane.T, lines, place @ normal, radius)


def _axis(atoms: Atoms) -> int:
    """Return the axis along which the cell shows the largest face."""
    cell = atoms.cell.array
    faces = [np.linalg.norm(np.cross(cell[(i + 1) % 3], cell[(i + 2) % 3])) for i in range(3)]
    return int(np.argmax(faces))
