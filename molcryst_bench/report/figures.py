"""The figures of the site. Every axis shows its unit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from molcryst_bench.report.formatting import number, shortened
from molcryst_bench.report.results import Cell, History, Predictions
from molcryst_bench.report.tables import TaskTable
from molcryst_bench.report.theme import ACCENT, DENSITY, INK, MUTED, SERIES

_PLAIN = StrMethodFormatter("{x:,g}")
_MANY = 600  # more points than this are shown as a density
_WIDE_RANGE = 10.0  # largest over smallest value from which a logarithmic axis is clearer


def parity(table: TaskTable, cell: Cell, predictions: Predictions) -> Figure:
    """Draw predicted against true values of one cell on the test subset.

    The frame holds all true values, so that it is the same for all models of a task.

    Args:
        table: says how many digits numbers are shown with.
        cell: whose predictions these are.
        predictions: in the target's unit.
    """
    limits = _frame(predictions.target)
    figure = Figure(figsize=(3.0, 3.2))
    axes = figure.add_subplot(aspect="equal", xlim=limits, ylim=limits)
    axes.plot(limits, limits, color=MUTED, linewidth=0.9, dashes=(4, 3), zorder=1)
    _draw_points(axes, predictions, limits)
    mae, r2 = number(cell.mae, table.error_decimals), number(cell.r2, table.r2_decimals)
    facts = [f"MAE {mae} {cell.error_unit}", f"R² {r2}", *_outside(predictions, limits)]
    name = f"{shortened(cell.model)}, seed {cell.seed}"
    axes.set_title(f"{name}\n{', '.join(facts)}", linespacing=1.4)
    axes.set_xlabel(f"reference {cell.target} ({cell.unit})")
    axes.set_ylabel(f"predicted {cell.target} ({cell.unit})")
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    return figure


def _frame(target: np.ndarray) -> tuple[float, float]:
    low, high = float(target.min()), float(target.max())
    margin = 0.06 * (high - low) or 1.0
    return low - margin, high + margin


def _draw_points(axes: Axes, predictions: Predictions, limits: tuple[float, float]) -> None:
    shown = np.isfinite(predictions.prediction)
    x, y = predictions.target[shown], predictions.prediction[shown]
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


def _outside(predictions: Predictions, limits: tuple[float, float]) -> list[str]:
    """Say how many predictions the frame does not show."""
    inside = (predictions.prediction >= limits[0]) & (predictions.prediction <= limits[1])
    hidden = int((~inside).sum())
    return [f"{hidden:,} outside"] if hidden else []


def overview(table: TaskTable) -> Figure:
    """Draw the errors of all models: mean, 95 % interval over test items, and each seed."""
    figure = Figure(figsize=(4.8, 0.75 + 0.28 * len(table.entries)))
    axes = figure.add_subplot()
    rows = np.arange(len(table.entries))
    for row, entry in zip(rows, table.entries, strict=True):
        axes.plot(entry.mae_interval, (row, row), color=ACCENT, linewidth=2.2, alpha=0.45)
        seeds = [cell.mae for cell in entry.cells]
        axes.plot(seeds, [row] * len(seeds), "|", color=INK, markersize=8, markeredgewidth=0.9)
        axes.plot(entry.mae.mean, row, "o", color=ACCENT, markersize=5)
    axes.set_yticks(rows, [shortened(entry.model) for entry in table.entries])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(f"MAE ({table.first.error_unit})")
    _choose_scale(axes, "x", np.array([entry.mae.mean for entry in table.entries]))
    return figure


def learning_curves(cells: Sequence[Cell], histories: Sequence[History]) -> Figure:
    """Draw the validation error of every seed against the epoch; a dot marks the epoch kept."""
    figure = Figure(figsize=(4.4, 2.9))
    axes = figure.add_subplot()
    for index, (cell, history) in enumerate(zip(cells, histories, strict=True)):
        color = SERIES[index % len(SERIES)]
        axes.plot(history.epoch, history.valid_mae, color=color, lw=1.3, label=f"seed {cell.seed}")
        best = history.epoch == cell.best_epoch
        axes.plot(history.epoch[best], history.valid_mae[best], "o", color=color, markersize=4.5)
    axes.set_xlabel("epoch")
    axes.set_ylabel(f"validation MAE ({cells[0].error_unit})")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _choose_scale(axes, "y", np.concatenate([history.valid_mae for history in histories]))
    axes.legend(ncols=1 + len(cells) // 6)
    return figure


def histogram(values: np.ndarray, label: str, records: str) -> Figure:
    """Draw how values are distributed.

    Args:
        values: any shape.
        label: what they are, with the unit.
        records: what is counted.
    """
    figure = Figure(figsize=(4.0, 2.6))
    axes = figure.add_subplot()
    axes.hist(values.ravel(), bins=_bins(values).tolist(), color=ACCENT, alpha=0.8)
    axes.set_xlabel(label)
    axes.set_ylabel(f"number of {records}")
    axes.grid(visible=False, axis="x")
    return figure


def _bins(values: np.ndarray) -> np.ndarray:
    """One bar for each whole number, if there are few; else bars of equal width."""
    low, high = values.min(), values.max()
    if np.issubdtype(values.dtype, np.integer) and high - low < 60:
        return np.arange(low, high + 2) - 0.5
    edges: np.ndarray = np.histogram_bin_edges(values, bins=50)
    return edges


def _choose_scale(axes: Axes, name: Literal["x", "y"], values: np.ndarray) -> None:
    """Make an axis logarithmic if values differ widely; label it with plain numbers."""
    usable = values[np.isfinite(values) & (values > 0)]
    if not len(usable) or usable.max() <= _WIDE_RANGE * usable.min():
        return
    axes.set(**{f"{name}scale": "log"})
    axis = axes.xaxis if name == "x" else axes.yaxis
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(_PLAIN)
    axis.set_minor_formatter(NullFormatter())
