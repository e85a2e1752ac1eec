"""The look of figures: quiet, legible in print, and once more for dark screens."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

INK = "#1f2933"
MUTED = "#75808c"
GRID = "#e3e7eb"
ACCENT = "#1d5fa6"
DENSITY = ("#bdd7ee", "#8fbbe0", "#5f9bcf", "#387ab9", "#1b5a97", "#0b3a6b")  # few to many
SERIES = ("#1d5fa7", "#b4541a", "#2b7a4b", "#8a3f8f", "#8c6d00", "#48606e")

_DENSITY_ON_DARK = ("#234668", "#2f6291", "#4282ba", "#66a3da", "#97c4ee", "#d4e8fb")
_SERIES_ON_DARK = ("#7db8f6", "#f0a06b", "#74cf9a", "#d79be0", "#e2c35a", "#a9bccb")
_DARK = {
    INK: "#e2e8ee",
    MUTED: "#97a4b1",
    GRID: "#2e3a46",
    ACCENT: "#7db8f5",
    **dict(zip(DENSITY, _DENSITY_ON_DARK, strict=True)),
    **dict(zip(SERIES, _SERIES_ON_DARK, strict=True)),
}
_FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "molcryst_bench",
    "text.parse_math": False,  # names are names, whatever signs they contain
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.unicode_minus": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "figure.constrained_layout.use": True,
}


@contextmanager
def figure_style() -> Iterator[None]:
    """Apply the look, whatever the user's own matplotlib settings are."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS)
        yield


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as SVG, and beside it its twin for dark screens, ``<name>-dark.svg``."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    save_svg(buffer.getvalue().replace("'DejaVu Sans'", _FONTS), path)


def save_svg(svg: str, path: Path) -> None:
    """Write an SVG in the colours of this module, and beside it its twin for dark screens."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(svg, encoding="utf-8")
    dark_twin(path).write_text(_darkened(svg), encoding="utf-8")


def dark_twin(path: Path) -> Path:
    """Return where the dark version of a figure lies."""
    return path.with_name(f"{path.stem}-dark{path.suffix}")


def _darkened(svg: str) -> str:
    for light, dark in _DARK.items():
        svg = svg.replace(light, dark)
    return svg
