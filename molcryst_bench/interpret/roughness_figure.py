"""Roughness beside error: whether rough representations are those that predict badly."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from scipy import stats

from molcryst_bench.base.files import whole_file
from molcryst_bench.base.theme import SERIES, figure_style
from molcryst_bench.interpret.roughness_study import Interval

_MARKERS = "osD^vP"
_RESAMPLES = 2000


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
    found = rank_correlation(results)
    with figure_style():
        figure = Figure(figsize=(5.6, 3.8))
        axes = figure.subplots()
        for number, task in enumerate(sorted({r.task for r in results})):
            of_task = [r for r in results if r.task == task]
            x, y = [r.roughness for r in of_task], [r.relative_error for r in of_task]
            look = {"c": SERIES[number % len(SERIES)], "marker": _MARKERS[number % len(_MARKERS)]}
            axes.scatter(x, y, label=task, **look)  # type: ignore[arg-type]
            for r in of_task:
                at = (r.roughness, r.relative_error)
                axes.annotate(r.model, at, (4, 3), textcoords="offset points", fontsize=7)
        axes.set_xlabel("ROGI-XD of the representation (0 smooth, 1 rough)")
        axes.set_ylabel("error over that of the mean")
        bounds = f"{found.low:.2f} to {found.high:.2f}"
        axes.set_title(f"Rank correlation {found.value:.2f} (95 % interval {bounds})")
        axes.legend()
        for path in paths:
            with whole_file(path) as partial:
                form = path.suffix[1:].lower()
                figure.savefig(partial, format=form, dpi=200, facecolor="white")
    return found


def _spearman(table: np.ndarray) -> float:
    if len(table) < 3 or (np.ptp(table, axis=0) == 0).any():
        return float("nan")
    return float(stats.spearmanr(table[:, 0], table[:, 1]).statistic)
