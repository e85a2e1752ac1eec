"""LaTeX formulas as SVG, so that pages need neither scripts nor fonts from elsewhere."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.mathtext import MathTextParser

from molcryst_bench.base.theme import INK, save_figure

_SIZE = 12.0  # pt, which stands for 1 em
_POINTS_PER_INCH = 72
_MARGIN = 1.0  # pt; some signs reach over their box
# What authors write that matplotlib spells otherwise.
_SPELLINGS = (
    (r"\\[td]frac", r"\\frac"),
    (r"\\frac\s*(\d)\s*(\d)", r"\\frac{\1}{\2}"),
    (r"\\[bB]igg?l?([(\[])", r"\\left\1"),
    (r"\\[bB]igg?r?([)\]])", r"\\right\1"),
    (r"\\[lr]Vert", r"\\Vert"),
)


@dataclass(frozen=True)
class Formula:
    """A drawn formula. Sizes are in em."""

    path: Path
    width: float
    height: float
    depth: float  # below the baseline


def draw_formula(latex: str, folder: Path) -> Formula | None:
    """Draw a formula into ``folder``; one that matplotlib does not understand gives ``None``."""
    for spelling, understood in _SPELLINGS:
        latex = re.sub(spelling, understood, latex)
    font = FontProperties(size=_SIZE)
    with mpl.rc_context({"mathtext.fontset": "cm", "svg.fonttype": "path"}):
        try:
            parsed = MathTextParser("path").parse(f"${latex}$", _POINTS_PER_INCH, font)
        except ValueError:
            return None
        width, height = parsed.width + 2 * _MARGIN, parsed.height + 2 * _MARGIN
        depth = parsed.depth + _MARGIN
        figure = Figure(figsize=(width / _POINTS_PER_INCH, height / _POINTS_PER_INCH))
        figure.set_layout_engine("none")
        place = (_MARGIN / width, depth / height)
        figure.text(*place, f"${latex}$", font=font, color=INK, parse_math=True)
        path = folder / f"{hashlib.sha256(latex.encode()).hexdigest()[:16]}.svg"
        save_figure(figure, path)
    return Formula(path, width / _SIZE, height / _SIZE, depth / _SIZE)
