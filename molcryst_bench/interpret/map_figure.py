"""Maps as figures for print, and as a page to look around in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import numpy as np
from ase import Atoms
from matplotlib.figure import Figure
from rdkit import Chem
from rdkit.Chem import rdDepictor

from molcryst_bench.base.files import whole_file
from molcryst_bench.base.theme import figure_style, save_figure
from molcryst_bench.graphs.similarity.molecules import perceive
from molcryst_bench.interpret.maps import MapQuality

_COLOURS = "viridis"  # its lightness rises evenly: readable in grey and with any colour vision
_DOTS, _SCREEN_DOTS = 200, 120  # per inch
_MOST_ATOMS = 150  # that are drawn of a structure


class MapPicture(NamedTuple):
    """All that figure and page show."""

    title: str
    quantity: str
    unit: str
    ids: Sequence[str]
    values: np.ndarray  # (points,)
    flat: np.ndarray  # (points, 2)
    solid: np.ndarray  # (points, 3)
    quality: Sequence[MapQuality]


def draw_map(picture: MapPicture, paths: Sequence[Path]) -> None:
    """Draw both maps side by side, as SVG, PDF or PNG by the suffixes; dots are pixels in all."""
    with figure_style():
        figure = _figure(picture)
        for path in paths:
            with whole_file(path) as partial:
                form = path.suffix[1:].lower()
                figure.savefig(partial, format=form, dpi=_DOTS, facecolor="white")


def draw_map_for_screens(picture: MapPicture, path: Path) -> None:
    """Draw both as SVG, and beside it its twin for dark screens."""
    with figure_style():
        save_figure(_figure(picture), path)


def _figure(picture: MapPicture) -> Figure:
    figure = Figure(figsize=(9.0, 4.2), dpi=_SCREEN_DOTS)
    flat = figure.add_subplot(1, 2, 1)
    solid = figure.add_subplot(1, 2, 2, projection="3d")
    low, high = np.nanquantile(picture.values, [0.01, 0.99])
    style: dict[str, Any] = {
        "c": picture.values,
        "cmap": _COLOURS,
        "vmin": low,
        "vmax": high,
        "s": max(0.4, 4e4 / len(picture.values) ** 1.15),
        "linewidths": 0,
        "rasterized": True,
    }
    dots = flat.scatter(*picture.flat.T, **style)
    solid.scatter(*picture.solid.T, **style)
    flat.set(xlabel="UMAP 1", ylabel="UMAP 2", title=picture.title)
    solid.set(xlabel="UMAP 1", ylabel="UMAP 2", title=_numbers(picture.quality))
    solid.set_zlabel("UMAP 3")
    for axis in (flat.xaxis, flat.yaxis, solid.xaxis, solid.yaxis, solid.zaxis):
        axis.set_ticklabels([])
    for axis in (solid.xaxis, solid.yaxis, solid.zaxis):
        axis.set_pane_color((0.5, 0.5, 0.5, 0.06))
    bar = figure.colorbar(dots, ax=[flat, solid], shrink=0.8, extend="both", pad=0.08)
    bar.set_label(f"{picture.quantity} ({picture.unit})")
    return figure


def _numbers(quality: Sequence[MapQuality]) -> str:
    lines = [
        f"{q.method} {q.dimensions}D: trust {q.trustworthiness:.3f}, kept {q.preservation:.2f}"
        for q in quality[1:]
    ]
    return "\n".join(lines)


def write_page(picture: MapPicture, structures: Sequence[Atoms], path: Path) -> None:
    """Write a page that shows a structure and its value under the pointer; it loads nothing."""
    points = [
        [*_rounded(flat), *_rounded(solid), _number(value), name, *_sketch(atoms)]
        for flat, solid, value, name, atoms in zip(
            _unit(picture.flat),
            _unit(picture.solid),
            picture.values,
            picture.ids,
            structures,
            strict=True,
        )
    ]
    low, high = np.nanquantile(picture.values, [0.01, 0.99])
    data = {
        "points": points,
        "low": float(low),
        "high": float(high),
        "colours": _palette(),
        "quantity": picture.quantity,
        "unit": picture.unit,
    }
    text = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    source = files("molcryst_bench.interpret").joinpath("map_page.html").read_text("utf-8")
    template = jinja2.Environment(autoescape=True).from_string(source)
    with whole_file(path) as partial:
        page = template.render(picture=picture, data=text)
        partial.write_text(page, encoding="utf-8")


def _unit(place: np.ndarray) -> np.ndarray:
    """Move and shrink a map into the box from -1 to 1."""
    middle = (place.max(0) + place.min(0)) / 2
    moved: np.ndarray = (place - middle) / max(float(np.ptp(place, axis=0).max()) / 2, 1e-9)
    return moved


def _rounded(place: np.ndarray) -> list[float]:
    return [round(float(x), 4) for x in place]


def _number(value: float) -> float | None:
    return float(f"{value:.6g}") if np.isfinite(value) else None


def _sketch(atoms: Atoms) -> tuple[str, list[Any]]:
    """Return a name, and heavy atoms and bonds in a square of 100: SMILES for a molecule."""
    if atoms.pbc.any() or len(atoms) > _MOST_ATOMS:
        place = atoms.get_positions(wrap=bool(atoms.pbc.any()))[:_MOST_ATOMS, :2]
        symbols = atoms.get_chemical_symbols()[:_MOST_ATOMS]
        return atoms.get_chemical_formula(mode="hill"), [_in_square(place), symbols, []]
    molecule = perceive(atoms)
    heavy = Chem.RemoveHs(molecule, sanitize=False) if len(atoms) > 2 else molecule
    Chem.KekulizeIfPossible(heavy, clearAromaticFlags=True)
    rdDepictor.Compute2DCoords(heavy)
    place = heavy.GetConformer().GetPositions()[:, :2]
    bonds = [
        [b.GetBeginAtomIdx(), b.GetEndAtomIdx(), round(b.GetBondTypeAsDouble())]
        for b in heavy.GetBonds()
    ]
    symbols = [atom.GetSymbol() for atom in heavy.GetAtoms()]
    return Chem.MolToSmiles(heavy), [_in_square(place), symbols, bonds]


def _in_square(place: np.ndarray) -> list[list[int]]:
    return [[int(x) for x in row] for row in np.round(50 + 50 * _unit(place))]


def _palette() -> list[str]:
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    return [to_hex(colormaps[_COLOURS](x)) for x in np.linspace(0, 1, 32)]
