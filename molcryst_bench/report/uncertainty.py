"""Figures of uncertainty: spread over seeds, coverage of intervals, errors against deviations."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from molcryst_bench.base.theme import ACCENT, MUTED, SERIES
from molcryst_bench.bench.figures import choose_scale
from molcryst_bench.report.entries import Entry, Summary
from molcryst_bench.report.formatting import number, shortened
from molcryst_bench.report.tables import TaskTable
from molcryst_bench.training.coverage import NOMINAL, coverage_at, miscalibration_area
from molcryst_bench.training.ensemble import EnsembleErrors

_PLAIN = StrMethodFormatter("{x:,g}")
_PARTS = range(0, 101, 20)  # %, where axes of coverage have ticks
_AREA = 3  # decimals of miscalibration areas


def spread(table: TaskTable) -> Figure | None:
    """Draw the error of each model with its standard deviation over seeds, and each seed.

    Forces, where there are any, stand beneath. A table without a second seed has no figure.
    """
    if all(len(entry.cells) < 2 for entry in table.entries):
        return None
    first = table.first
    panels: list[tuple[str, Callable[[Entry], Summary], str]] = [
        ("mae", lambda entry: entry.mae, f"MAE ({first.error_unit})")
    ]
    if table.has_forces:
        label = f"force MAE ({first.forces_unit})"
        panels.append(("forces_mae", lambda entry: entry.forces_mae, label))
    height = 0.75 + 0.28 * len(table.entries)
    figure = Figure(figsize=(4.8, height * len(panels)))
    drawn = figure.subplots(len(panels), squeeze=False)[:, 0]
    for axes, (error, summary, label) in zip(drawn, panels, strict=True):
        _draw_spread(axes, table.entries, error, summary)
        axes.set_xlabel(label)
    return figure


def _draw_spread(
    axes: Axes, entries: Sequence[Entry], error: str, summary: Callable[[Entry], Summary]
) -> None:
    """Draw a row for each model, with the best on top."""
    for row, entry in enumerate(entries):
        seeds = [getattr(cell, error) for cell in entry.cells]
        axes.plot(seeds, [row] * len(seeds), "o", color=MUTED, markersize=4, alpha=0.6)
        found = summary(entry)
        bar = None if found.spread is None else [found.spread]
        axes.errorbar(
            found.mean, row, xerr=bar, fmt="D", color=ACCENT, ms=4, capsize=4, elinewidth=1.4
        )
    axes.set_yticks(range(len(entries)), [shortened(entry.model) for entry in entries])
    axes.set_ylim(len(entries) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    choose_scale(axes, "x", np.array([summary(entry).mean for entry in entries]))


def calibration(entry: Entry, levels: Sequence[np.ndarray]) -> Figure:
    """Draw how often intervals of each level hold the truth against how often they promise.

    Args:
        entry: a model.
        levels: of each seed, from which on the conformal interval of each test item holds.
    """
    figure = Figure(figsize=(3.0, 3.2))
    axes = figure.add_subplot(aspect="equal", xlim=(0, 100), ylim=(0, 100))
    axes.plot((0, 100), (0, 100), color=MUTED, linewidth=0.9, dashes=(4, 3), zorder=1)
    areas = []
    if levels:
        curve = np.mean([coverage_at(each, NOMINAL) for each in levels], axis=0)
        _draw_curve(axes, curve, "conformal", ACCENT, "o-")
        areas.append(float(np.mean([miscalibration_area(each) for each in levels])))
    if entry.ensemble is not None:
        curve = coverage_at(entry.ensemble.levels, NOMINAL)
        _draw_curve(axes, curve, f"deviation of {entry.ensemble.members} seeds", SERIES[1], "s--")
        areas.append(entry.ensemble.miscalibration)
    shown = " and ".join(number(area, _AREA) for area in areas)
    axes.set_title(f"{shortened(entry.model)}\nmiscalibration area {shown}", linespacing=1.4)
    axes.set_xlabel("promised coverage (%)")
    axes.set_ylabel("observed coverage (%)")
    axes.set_xticks(_PARTS)
    axes.set_yticks(_PARTS)
    axes.legend(loc="upper left", fontsize=7.5, handlelength=1.8)
    return figure


def _draw_curve(axes: Axes, coverage: np.ndarray, label: str, color: str, style: str) -> None:
    axes.plot(100 * NOMINAL, 100 * coverage, style, color=color, label=label, lw=1.2, markersize=3)


def deviation(entry: Entry, found: EnsembleErrors, unit: str) -> Figure:
    """Draw errors of an ensemble's mean against the deviation of its members, in bins.

    Args:
        entry: a model.
        found: of its seeds.
        unit: of both.
    """
    limits = _frame(np.concatenate([found.binned_deviation, found.binned_error]))
    figure = Figure(figsize=(3.0, 3.2))
    axes = figure.add_subplot(aspect="equal", xscale="log", yscale="log", xlim=limits, ylim=limits)
    axes.plot(limits, limits, color=MUTED, linewidth=0.9, dashes=(4, 3), zorder=1)
    axes.plot(found.binned_deviation, found.binned_error, "o-", color=SERIES[1], lw=1, ms=4)
    title = f"{shortened(entry.model)}, {found.members} seeds"
    correlation = number(found.correlation, 2)
    axes.set_title(f"{title}\nrank correlation {correlation}", linespacing=1.4)
    axes.set_xlabel(f"standard deviation ({unit})")
    axes.set_ylabel(f"root mean square error ({unit})")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=7))
        axis.set_major_formatter(_PLAIN)
        axis.set_minor_formatter(NullFormatter())
    axes.tick_params(which="minor", length=0)
    return figure


def _frame(values: np.ndarray) -> tuple[float, float]:
    """Return limits of a logarithmic axis around positive values."""
    usable = values[values > 0]
    return float(usable.min()) / 1.4, float(usable.max()) * 1.4
