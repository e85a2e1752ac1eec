"""Distributions of bond lengths and angles, a row for each model, with the reference drawn in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from molcryst_bench.base.theme import ACCENT, INK, MUTED
from molcryst_bench.dynamics.coordinates import Kind
from molcryst_bench.dynamics.record import ClassScore, Curve, TransferScore

_DEVIATIONS = 5.0  # of the reference that are shown to either side
_HEADROOM = 1.3  # above the highest curve, for the number there
_CORNER: dict[str, Any] = {"ha": "right", "va": "top", "fontsize": 7, "color": INK}
_AXES = {"length": "bond length (Å)", "angle": "bond angle (°)", "torsion": "torsion (°)"}
_PRECISION = {"Å": 4, "°": 2}


def draw_distributions(scores: Sequence[TransferScore], kind: Kind) -> Figure | None:
    """Draw the distributions of one kind for one molecule.

    The reference is a grey area, the model a line with a band, its 95 % interval over replicas.
    Hydrogens are left out where there are others, since they tell models apart least.

    Args:
        scores: of several models on one molecule.
        kind: of the classes.

    Returns:
        nothing if there is no such class.
    """
    names = _names(scores, kind)
    if not names:
        return None
    figure = Figure(figsize=(0.9 + 1.75 * len(names), 0.6 + 0.85 * len(scores)))
    panels = figure.subplots(len(scores), len(names), squeeze=False, sharex="col", sharey="col")
    for score, row in zip(scores, panels, strict=True):
        classes = {(each.kind, each.name): each for each in score.classes}
        for name, axes in zip(names, row, strict=True):
            _draw(axes, classes.get((kind, name)))
        row[0].set_ylabel(_label(score), rotation=0, ha="right", va="center")
    for name, column in zip(names, panels.T, strict=True):
        of_name = [c for s in scores for c in s.classes if (c.kind, c.name) == (kind, name)]
        _finish(column, name, of_name)
    return figure


def shown_name(name: str) -> str:
    """Return the name of a class with dashes that look like bonds."""
    return name.replace("-", "\N{EN DASH}")


def _names(scores: Sequence[TransferScore], kind: Kind) -> list[str]:
    found = sorted({each.name for s in scores for each in s.classes if each.kind == kind})
    heavy = [name for name in found if "H" not in name.split(" ")[0].split("-")]
    return heavy or found


def _draw(axes: Axes, each: ClassScore | None) -> None:
    if each is not None and each.reference_curve is not None:
        _draw_reference(axes, each, each.reference_curve)
    if each is not None and each.curve is not None:
        _draw_run(axes, each, each.curve)
    else:
        axes.text(0.98, 0.97, "no frame", transform=axes.transAxes, **_CORNER)
    if each is not None and each.distance is not None:
        text = f"{each.distance:.{_PRECISION[each.unit]}f} {each.unit}"
        axes.text(0.98, 0.97, text, transform=axes.transAxes, **_CORNER)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.grid(visible=False)


def _draw_reference(axes: Axes, each: ClassScore, curve: Curve) -> None:
    axes.stairs(curve.density, each.edges, fill=True, color=MUTED, alpha=0.35, linewidth=0)
    axes.stairs(curve.density, each.edges, color=MUTED, linewidth=0.6)


def _draw_run(axes: Axes, each: ClassScore, curve: Curve) -> None:
    middle = (np.array(each.edges[1:]) + np.array(each.edges[:-1])) / 2
    axes.fill_between(middle, curve.low, curve.high, color=ACCENT, alpha=0.25, linewidth=0)
    axes.plot(middle, curve.density, color=ACCENT, linewidth=1.3)


def _label(score: TransferScore) -> str:
    failed = f"\n{score.failed} of {score.replicas} fail" if score.failed else ""
    return f"{score.model}{failed}" + ("\ncannot run" if score.problem else "")


def _finish(column: np.ndarray, name: str, classes: Sequence[ClassScore]) -> None:
    """Give a column its title, its axis and limits that all of its panels share."""
    column[0].set_title(shown_name(name))
    column[-1].set_xlabel(_AXES[classes[0].kind])
    curves = [c for each in classes for c in (each.curve, each.reference_curve) if c is not None]
    column[0].set_ylim(0, _HEADROOM * max((max(c.density) for c in curves), default=1.0))
    known = [each for each in classes if each.reference_mean is not None]
    if known and known[0].reference_deviation and known[0].kind != "torsion":
        mean, width = known[0].reference_mean, _DEVIATIONS * known[0].reference_deviation
        assert mean is not None
        column[0].set_xlim(mean - width, mean + width)
