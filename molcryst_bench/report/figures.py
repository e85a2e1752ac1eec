"""The figures of the site. Every axis shows its unit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from molcryst_bench.base.theme import ACCENT, INK
from molcryst_bench.bench import figures
from molcryst_bench.report.formatting import number, shortened
from molcryst_bench.report.results import Cell, History, Predictions
from molcryst_bench.report.tables import TaskTable


def parity(table: TaskTable, cell: Cell, predictions: Predictions) -> Figure:
    """Draw predicted against true values of one cell on the test subset.

    Args:
        table: says how many digits numbers are shown with.
        cell: whose predictions these are.
        predictions: in the target's unit.
    """
    mae, r2 = number(cell.mae, table.error_decimals), number(cell.r2, table.r2_decimals)
    return figures.parity(
        predictions.target,
        predictions.prediction,
        quantity=f"{cell.target} ({cell.unit})",
        name=f"{shortened(cell.model)}, seed {cell.seed}",
        facts=[f"MAE {mae} {cell.error_unit}", f"R² {r2}"],
    )


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
    figures.choose_scale(axes, "x", np.array([entry.mae.mean for entry in table.entries]))
    return figure


def learning_curves(cells: Sequence[Cell], histories: Sequence[History]) -> Figure:
    """Draw the validation error of every seed against the epoch; a dot marks the epoch kept."""
    curves = [
        figures.Curve(f"seed {cell.seed}", history.epoch, history.valid_mae, cell.best_epoch)
        for cell, history in zip(cells, histories, strict=True)
    ]
    return figures.learning_curves(curves, f"validation MAE ({cells[0].error_unit})")


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
