"""Accuracy against cost: what training and inference take, and which models nothing else beats."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from molcryst_bench.base.theme import ACCENT, GRID, INK, MUTED
from molcryst_bench.bench.figures import choose_scale
from molcryst_bench.report.entries import Entry
from molcryst_bench.report.formatting import shortened
from molcryst_bench.report.statistics import pareto_front
from molcryst_bench.report.tables import TaskTable

_CROWDED = 200.0  # largest over smallest value from which there is room for powers of ten alone

_LEADER = {"arrowstyle": "-", "color": MUTED, "linewidth": 0.5, "shrinkB": 0, "relpos": (0, 0.5)}


@dataclass(frozen=True)
class Costs:
    """The cost of each model of a table that has one, and which of them are on the front."""

    label: str  # with the unit
    entries: tuple[Entry, ...]
    values: np.ndarray  # (entries,)
    front: np.ndarray  # places of entries, from the cheapest on

    @property
    def errors(self) -> np.ndarray:
        """Mean absolute errors, (entries,)."""
        return np.array([entry.mae.mean for entry in self.entries])

    @property
    def in_words(self) -> str:
        """Name the models on the front."""
        return ", ".join(self.entries[place].model for place in self.front)


def costs_of(table: TaskTable) -> list[Costs]:
    """Return the costs of training and inference; nothing where no model has told them."""
    found = [
        _costs("training time (s)", table, [entry.train_seconds for entry in table.entries]),
        _costs("inference (ms per graph)", table, [_inference(entry) for entry in table.entries]),
    ]
    return [each for each in found if each.entries]


def _inference(entry: Entry) -> float:
    speed = entry.graphs_per_second
    return 1000 / speed if speed > 0 else math.nan


def _costs(label: str, table: TaskTable, values: Sequence[float]) -> Costs:
    """Keep the models that have a cost and an error; zero is no cost to be drawn."""
    known = [
        (entry, value)
        for entry, value in zip(table.entries, values, strict=True)
        if math.isfinite(value) and value > 0 and math.isfinite(entry.mae.mean)
    ]
    costs = np.array([value for _, value in known])
    errors = np.array([entry.mae.mean for entry, _ in known])
    return Costs(label, tuple(entry for entry, _ in known), costs, pareto_front(costs, errors))


def draw_costs(table: TaskTable, costs: Sequence[Costs]) -> Figure:
    """Draw the error of each model against each cost, with names beside their errors."""
    height = max(2.6, 0.9 + 0.23 * len(table.entries))
    figure = Figure(figsize=(3.1 * len(costs) + 1.6, height))
    panels = figure.subplots(1, len(costs), sharey=True, squeeze=False)[0]
    for axes, each in zip(panels, costs, strict=True):
        _draw_front(axes, each)
    panels[0].set_ylabel(f"MAE ({table.first.error_unit})")
    errors = np.unique(np.concatenate([each.errors for each in costs]))
    choose_scale(panels[0], "y", errors)
    for axes in panels:
        axes.tick_params(which="minor", length=0)
    _name(panels[-1], costs, height)
    return figure


def _draw_front(axes: Axes, costs: Costs) -> None:
    for error in costs.errors:
        axes.axhline(error, color=GRID, linewidth=0.7, zorder=0)
    axes.grid(visible=False, axis="y")
    front = costs.front
    axes.step(
        costs.values[front], costs.errors[front], where="post", color=ACCENT, lw=1.2, alpha=0.6
    )
    axes.plot(costs.values, costs.errors, "o", color=MUTED, markersize=4.5)
    axes.plot(costs.values[front], costs.errors[front], "o", color=ACCENT, markersize=6)
    axes.set_xlabel(costs.label)
    choose_scale(axes, "x", costs.values)
    if costs.values.max() > _CROWDED * costs.values.min():
        axes.xaxis.set_major_locator(LogLocator(subs=(1,)))


def _name(axes: Axes, costs: Sequence[Costs], height: float) -> None:
    """Write each name at the right of the last panel, as near to its error as there is room."""
    entries = {entry.model: entry for each in costs for entry in each.entries}
    ordered = sorted(entries.values(), key=lambda entry: entry.mae.mean)
    axes.autoscale_view()
    to_part = axes.transData + axes.transAxes.inverted()
    wanted = [float(to_part.transform((1.0, entry.mae.mean))[1]) for entry in ordered]
    for entry, part, place in zip(ordered, wanted, _spread(wanted, 0.17 / height), strict=True):
        axes.annotate(
            shortened(entry.model, 20),
            xy=(1.0, part),
            xytext=(1.06, place),
            xycoords="axes fraction",
            textcoords="axes fraction",
            va="center",
            color=INK,
            fontsize=8,
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": MUTED,
                "linewidth": 0.5,
                "shrinkB": 0,
                "relpos": (0, 0.5),
            },
        )


def _spread(wanted: Sequence[float], gap: float) -> list[float]:
    """Move places in rising order apart, so that neighbours are ``gap`` apart, about as before."""
    upwards, downwards = list(wanted), list(wanted)
    for i in range(1, len(wanted)):
        upwards[i] = max(upwards[i], upwards[i - 1] + gap)
    for i in reversed(range(len(wanted) - 1)):
        downwards[i] = min(downwards[i], downwards[i + 1] - gap)
    return [(up + down) / 2 for up, down in zip(upwards, downwards, strict=True)]
