"""Figures of single cells: how well predictions agree, and how training went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from molcryst_bench.base.theme import ACCENT, DENSITY, MUTED, SERIES

_PLAIN = StrMethodFormatter("{x:,g}")
_MANY = 600  # more points than this are shown as a density
_LONG = 20.0  # size of numbers over their range from which they need many digits
_WIDE_RANGE = 10.0  # largest over smallest value from which a logarithmic axis is clearer


@dataclass(frozen=True)
class Curve:
    """The validation error after each epoch of one training."""

    label: str
    epoch: np.ndarray  # (epochs,)
    error: np.ndarray  # (epochs,)
    best_epoch: int


def parity(
    target: np.ndarray, prediction: np.ndarray, quantity: str, name: str, facts: Sequence[str]
) -> Figure:
    """Draw predicted against true values.

    The frame holds all true values, so that it is the same for all models of a task.

    Args:
        target: (items,).
        prediction: (items,), in the same unit.
        quantity: what they are, with the unit.
        name: of the model, above the figure.
        facts: a word each on the errors, below the name.
    """
    limits = _frame(target)
    figure = Figure(figsize=(3.0, 3.2))
    axes = figure.add_subplot(aspect="equal", xlim=limits, ylim=limits)
    axes.plot(limits, limits, color=MUTED, linewidth=0.9, dashes=(4, 3), zorder=1)
    _draw_points(axes, target, prediction, limits)
    axes.set_title(f"{name}\n{', '.join([*facts, *_outside(prediction, limits)])}", linespacing=1.4)
    axes.set_xlabel(f"reference {quantity}")
    axes.set_ylabel(f"predicted {quantity}")
    axes.xaxis.set_major_locator(MaxNLocator(5 if _are_short(limits) else 3))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    return figure


def _are_short(limits: tuple[float, float]) -> bool:
    """Whether the numbers along an axis leave room for several of them."""
    low, high = limits
    return max(abs(low), abs(high)) < _LONG * (high - low)


def _frame(target: np.ndarray) -> tuple[float, float]:
    low, high = float(target.min()), float(target.max())
    margin = 0.06 * (high - low) or 1.0
    return low - margin, high + margin


def _draw_points(
    axes: Axes, target: np.ndarray, prediction: np.ndarray, limits: tuple[float, float]
) -> None:
    shown = np.isfinite(prediction)
    x, y = target[shown], prediction[shown]
    if len(x) <= _MANY:
        axes.plot(x, y, "o", color=ACCENT, markersize=2.6, alpha=0.55, markeredgewidth=0)
        return
    hexagons = axes.hexbin(
        x,
        y,
        gridsize=44,
        extent=(*limits, *limits),
        mincnt=1,
        cmap=ListedColormap(DENSITY),
        norm=LogNorm(1, 10),
        linewidths=0.2,
    )
    hexagons.set_clim(1, max([10, *np.asarray(hexagons.get_array())]))
    scale = axes.inset_axes((0.56, 0.13, 0.38, 0.03))
    bar = axes.figure.colorbar(hexagons, scale, orientation="horizontal", format=_PLAIN)
    bar.outline.set_visible(False)
    scale.set_title("items per hexagon", fontsize=7, pad=3)
    scale.tick_params(labelsize=7, length=2)
    scale.minorticks_off()


def _outside(prediction: np.ndarray, limits: tuple[float, float]) -> list[str]:
    """Say how many predictions the frame does not show."""
    inside = (prediction >= limits[0]) & (prediction <= limits[1])
    hidden = int((~inside).sum())
    return [f"{hidden:,} outside"] if hidden else []


def learning_curves(curves: Sequence[Curve], label: str) -> Figure:
    """Draw the validation error against the epoch; a dot marks the epoch kept.

    Args:
        curves: of one model, a line each.
        label: what the error is, with its unit.
    """
    figure = Figure(figsize=(4.4, 2.9))
    axes = figure.add_subplot()
    for index, curve in enumerate(curves):
        color = SERIES[index % len(SERIES)]
        axes.plot(curve.epoch, curve.error, color=color, lw=1.3, label=curve.label)
        best = curve.epoch == curve.best_epoch
        axes.plot(curve.epoch[best], curve.error[best], "o", color=color, markersize=4.5)
    axes.set_xlabel("epoch")
    axes.set_ylabel(label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    choose_scale(axes, "y", np.concatenate([curve.error for curve in curves]))
    axes.legend(ncols=1 + len(curves) // 6)
    return figure


def choose_scale(axes: Axes, name: Literal["x", "y"], values: np.ndarray) -> None:
    """Make an axis logarithmic if values differ widely; label it with plain numbers."""
    usable = values[np.isfinite(values) & (values > 0)]
    if not len(usable) or usable.max() <= _WIDE_RANGE * usable.min():
        return
    axes.set(**{f"{name}scale": "log"})
    axis = axes.xaxis if name == "x" else axes.yaxis
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(_PLAIN)
    axis.set_minor_formatter(NullFormatter())
