"""What ``molcryst bench plan`` prints."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from molcryst_bench.bench.forecast import Forecast, all_lengths
from molcryst_bench.bench.schedule import simulate
from molcryst_bench.cli.console import console
from molcryst_bench.cli.states import seconds_in_words

_COUNTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


def show_plan(
    profile: str, machine: str, forecasts: Sequence[Forecast], per_node: int, workers: int | None
) -> None:
    """Print what each model takes, all of it together, and simulated schedules.

    Args:
        profile: its name.
        machine: whose throughputs count.
        forecasts: of each model on each task.
        per_node: workers of a node.
        workers: to simulate; powers of two by default.
    """
    console.print(_models(forecasts, per_node))
    cells, trials = (sum(getattr(f, name) for f in forecasts) for name in ("cells", "trials"))
    hours = sum(all_lengths(list(forecasts))) / 3600
    words = f"Profile '{profile}': {cells:,} cells, {trials:,} trials, "
    words += f"{hours:,.1f} worker-hours on {machine}, {hours / per_node:,.1f} node-hours "
    console.print(words + f"with {per_node} workers on each node", highlight=False, soft_wrap=True)
    unknown = sorted({f"{f.model} on {f.task}" for f in forecasts if f.seconds is None})
    if unknown:
        line = (
            f"Not counted, because not measured (python -m benchmarks.rates): {', '.join(unknown)}"
        )
        console.print(line, style="yellow", highlight=False, markup=False, soft_wrap=True)
    if hours:
        console.print(_schedules(forecasts, per_node, workers))


def _models(forecasts: Sequence[Forecast], per_node: int) -> Table:
    table = Table("model", "cells", "trials", "longest cell", "worker-hours", "node-hours")
    for model in dict.fromkeys(f.model for f in forecasts):
        own = [f for f in forecasts if f.model == model]
        known = [f.seconds for f in own if f.seconds is not None]
        lengths = [f.cell_seconds for f in own if f.cell_seconds is not None]
        longest = seconds_in_words(max(lengths)) if lengths else "not measured"
        hours = sum(known) / 3600
        cells, trials = sum(f.cells for f in own), sum(f.trials for f in own)
        row = [f"{cells:,}", f"{trials:,}", longest, f"{hours:,.2f}", f"{hours / per_node:,.2f}"]
        table.add_row(model, *row)
    return table


def _schedules(forecasts: Sequence[Forecast], per_node: int, workers: int | None) -> Table:
    """Simulate cells and trials that are all there at the beginning, the longest first."""
    table = Table("workers", "nodes", "done after", "idle", title="simulated, the longest first")
    lengths = all_lengths(list(forecasts))
    for count in _COUNTS if workers is None else (workers,):
        found = simulate(lengths, count)
        nodes = -(-count // per_node)
        idle = f"{100 * found.idle_share:.1f} %"
        table.add_row(f"{count:,}", f"{nodes:,}", seconds_in_words(found.seconds), idle)
    return table
