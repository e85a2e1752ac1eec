"""The figures of searches. Every axis shows its unit."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator

from molcryst_bench.base.theme import ACCENT, INK, MUTED, SERIES
from molcryst_bench.bench.figures import choose_scale
from molcryst_bench.report.searches.front import Front
from molcryst_bench.report.searches.importance import Importance
from molcryst_bench.report.searches.reading import Comparison, Method

_LONG_RANGE = 200.0  # largest over smallest value from which only powers of ten have labels
_JITTER = 0.24  # of points above and below the line of their method


def distributions(comparison: Comparison) -> Figure:
    """Draw the error of every trial of each method: points, quartiles (box) and median (line)."""
    methods = comparison.methods
    figure = Figure(figsize=(4.8, 1.0 + 0.75 * len(methods)))
    axes = figure.add_subplot()
    for row, method in enumerate(methods):
        _draw_trials(axes, row, method)
    axes.set_yticks(range(len(methods)), [_label(method) for method in methods])
    axes.set_ylim(len(methods) - 0.45, -0.55)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(f"validation error of a trial ({comparison.unit})")
    _draw_start(axes, comparison, "x")
    _choose_scale(axes, "x", np.concatenate([method.errors for method in methods]))
    return figure


def _draw_trials(axes: Axes, row: int, method: Method) -> None:
    color, errors = SERIES[row % len(SERIES)], method.errors
    if not len(errors):
        return
    heights = row + np.random.default_rng(0).uniform(-_JITTER, _JITTER, len(errors))
    axes.plot(errors, heights, "o", color=color, markersize=2.8, alpha=0.55, markeredgewidth=0)
    low, median, high = np.quantile(errors, (0.25, 0.5, 0.75))
    box: dict[str, Any] = {"color": color, "linewidth": 1.2, "solid_joinstyle": "miter"}
    edges = [row - 0.36, row + 0.36]
    axes.plot([low, high, high, low, low], [*edges[:1] * 2, *edges[1:] * 2, edges[0]], **box)
    axes.plot([median, median], edges, color=color, linewidth=2.2)


def _label(method: Method) -> str:
    failed = f"\n{method.failed} failed" if method.failed else ""
    return f"{method.name}{failed}"


def best_so_far(comparison: Comparison) -> Figure:
    """Draw the least error after each trial: median over repeats, and from least to largest."""
    figure = Figure(figsize=(4.8, 3.0))
    axes = figure.add_subplot()
    drawn = []
    for number, method in enumerate(comparison.methods):
        curves = _curves(method)  # (repeats, trials)
        known = np.isfinite(curves).all(0)
        if not known.any():
            continue
        trials, curves = np.arange(1, curves.shape[1] + 1)[known], curves[:, known]
        color = SERIES[number % len(SERIES)]
        axes.fill_between(trials, curves.min(0), curves.max(0), color=color, alpha=0.18, lw=0)
        axes.plot(trials, np.median(curves, 0), color=color, lw=1.6, label=method.name)
        drawn.append(curves.ravel())
    axes.set_xlabel("trials of the search")
    axes.set_ylabel(f"least validation error so far ({comparison.unit})")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _draw_start(axes, comparison, "y")
    if drawn:
        _choose_scale(axes, "y", np.concatenate(drawn))
        axes.legend()
    return figure


def _curves(method: Method) -> np.ndarray:
    """Return the curves of all repeats as far as the shortest goes, (repeats, trials)."""
    length = min(len(search.own) for search in method.searches)
    return np.stack([search.best_so_far[:length] for search in method.searches])


def _draw_start(axes: Axes, comparison: Comparison, axis: str) -> None:
    """Mark what the settings to start from come to."""
    if not len(comparison.published):
        return
    value = float(comparison.published.mean())
    style: dict[str, Any] = {
        "color": MUTED,
        "linewidth": 1.0,
        "dashes": (4, 3),
        "label": "settings at the start",
    }
    if axis == "x":
        axes.axvline(value, **style)
        axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.2)
    else:
        axes.axhline(value, **style)


def _choose_scale(axes: Axes, name: Literal["x", "y"], values: np.ndarray) -> None:
    """Choose a scale, with fewer labels where errors of hopeless settings make it long."""
    choose_scale(axes, name, values)
    axis = axes.xaxis if name == "x" else axes.yaxis
    known = values[np.isfinite(values) & (values > 0)]
    if axis.get_scale() == "log" and known.max() > _LONG_RANGE * known.min():
        axis.set_major_locator(LogLocator())


def importance(found: Importance) -> Figure:
    """Draw the importance of each hyperparameter, with its deviation over folds."""
    rows = np.arange(len(found.names))
    figure = Figure(figsize=(4.4, 0.75 + 0.26 * len(rows)))
    axes = figure.add_subplot()
    axes.barh(rows, found.means, color=ACCENT, alpha=0.75, height=0.62)
    axes.errorbar(found.means, rows, xerr=found.deviations, fmt="none", ecolor=INK, elinewidth=0.9)
    axes.set_yticks(rows, found.names)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("importance (growth of squared error, in variances)")
    return figure


def front(found: Front, unit: str) -> Figure:
    """Draw error against cost of all trials, and those that no other beats in both."""
    figure = Figure(figsize=(4.4, 3.0))
    axes = figure.add_subplot()
    axes.plot(found.costs, found.errors, "o", color=MUTED, markersize=3, alpha=0.6)
    best = found.best
    costs, errors = found.costs[best], found.errors[best]
    axes.step(costs, errors, where="post", color=ACCENT, lw=1.2)
    axes.plot(costs, errors, "o", color=ACCENT, markersize=4.5, label="Pareto front")
    axes.set_xlabel(found.label)
    axes.set_ylabel(f"validation error ({unit})")
    _choose_scale(axes, "x", found.costs)
    _choose_scale(axes, "y", found.errors)
    axes.legend()
    return figure
