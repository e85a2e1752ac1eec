"""Roughness beside error: whether rough representations are those that predict badly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from molcryst_bench.base.files import whole_file
from molcryst_bench.base.theme import SERIES, figure_style
from molcryst_bench.interpret.roughness_study import Interval

_MARKERS = "osD^vP"
_RESAMPLES = 2000
_LETTER = 6.0  # pixels of a letter
_Box = tuple[float, float, float, float]  # left, lower, right and upper end


class Roughness(NamedTuple):
    """One model on one task."""

    task: str
    model: str
    roughness: float
    relative_error: float  # mean absolute error over the mean absolute deviation of the values


def rank_correlation(results: Sequence[Roughness], seed: int = 0) -> Interval:
    """Return Spearman's correlation of roughness and error, with 95 % bounds.

    The bounds resample models and tasks, that is the points of the figure (percentiles).
    """
    table = np.array([(r.roughness, r.relative_error) for r in results])
    draw = np.random.default_rng(seed)
    found: list[float] = []
    while len(found) < _RESAMPLES and len(table) > 2:
        rows = draw.integers(0, len(table), len(table))
        if len(set(rows.tolist())) > 2:
            found.append(_spearman(table[rows]))
    low, high = np.nanquantile(found, [0.025, 0.975]) if found else (np.nan, np.nan)
    return Interval(_spearman(table), float(low), float(high))


def draw_roughness(results: Sequence[Roughness], paths: Sequence[Path]) -> Interval:
    """Draw a point for each model and task, and return the rank correlation.

    Tasks have colours and marks of their own, so that they are told apart in grey.
    """
    with figure_style():
        found = rank_correlation(results)
        figure = roughness_figure(results, found)
        for path in paths:
            with whole_file(path) as partial:
                form = path.suffix[1:].lower()
                figure.savefig(partial, format=form, dpi=200, facecolor="white")
    return found


def roughness_figure(results: Sequence[Roughness], found: Interval) -> Figure:
    """Return the figure; its look is the caller's.

    Args:
        results: a point for each.
        found: their rank correlation.
    """
    figure = Figure(figsize=(7.2, 4.8))
    axes = figure.subplots()
    for number, task in enumerate(sorted({r.task for r in results})):
        of_task = [r for r in results if r.task == task]
        x, y = [r.roughness for r in of_task], [r.relative_error for r in of_task]
        look = {"c": SERIES[number % len(SERIES)], "marker": _MARKERS[number % len(_MARKERS)]}
        axes.scatter(x, y, label=task, **look)  # type: ignore[arg-type]
    axes.set_xlabel("ROGI-XD of the representation (0 smooth, 1 rough)")
    axes.set_ylabel("error over that of the mean")
    if math.isfinite(found.value):  # one point has no rank
        bounds = f"{found.low:.2f} to {found.high:.2f}"
        title = f"Rank correlation {found.value:.2f} (95 % interval {bounds})"
        axes.set_title(title.replace("-", "\N{MINUS SIGN}"))
    axes.legend()
    figure.draw_without_rendering()  # so that all has its place
    _name_points(axes, results)
    return figure


def _name_points(axes: Axes, results: Sequence[Roughness]) -> None:
    """Write the model beside each point, to that side where the fewest names and points are."""
    place = axes.transData.transform([(r.roughness, r.relative_error) for r in results])
    taken = [(x - 3, y - 3, x + 3, y + 3) for x, y in place]
    for r, (x, y) in zip(results, place, strict=True):
        width = _LETTER * len(r.model)
        boxes = {
            (right, up): (x + 6, y + up - 5, x + 6 + width, y + up + 5)
            if right
            else (x - 6 - width, y + up - 5, x - 6, y + up + 5)
            for up in (0, 12, -12, 24, -24)
            for right in (True, False)
        }
        right, up = min(boxes, key=lambda side: sum(_overlap(boxes[side], t) for t in taken))
        taken.append(boxes[right, up])
        points = 72 / axes.figure.dpi
        axes.annotate(
            r.model,
            (r.roughness, r.relative_error),
            ((6 if right else -6) * points, up * points),
            textcoords="offset points",
            ha="left" if right else "right",
            va="center",
            fontsize=7,
        )


def _overlap(one: _Box, other: _Box) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(width, 0.0) * max(height, 0.0)


def _spearman(table: np.ndarray) -> float:
    if len(table) < 3 or (np.ptp(table, axis=0) == 0).any():
        return float("nan")
    return float(stats.spearmanr(table[:, 0], table[:, 1]).statistic)
