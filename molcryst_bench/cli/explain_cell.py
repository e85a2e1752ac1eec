"""What ``molcryst bench explain`` says of a cell."""

from __future__ import annotations

from pathlib import Path

from molcryst_bench.bench.cell import CellPlan
from molcryst_bench.bench.explain import changes_since
from molcryst_bench.bench.ledger import LEDGER, Entry, Ledger
from molcryst_bench.bench.planned import Planned
from molcryst_bench.bench.result import RESULTS
from molcryst_bench.bench.status import status_of_all
from molcryst_bench.cli.console import console
from molcryst_bench.cli.states import seconds_in_words

_BECAUSE = {
    "done": "nothing that its numbers depend on has changed since.",
    "queued": "it has not been run with these settings, data and code.",
    "stale": "what its numbers depend on has changed since it was run:",
    "failed": "its last attempt failed:",
    "running": "",
    "searching": "it is trained when its search has found settings:",
}


def explain_cell(plan: CellPlan, leaderboard: Path) -> None:
    """Print the state of a cell, the reason, and what it has cost so far."""
    (status,) = status_of_all([Planned.of(plan)], leaderboard).cells
    lines = [f"{plan.cell.name} is {status.state}: {_BECAUSE[status.state]}"]
    changes = changes_since(plan, leaderboard / RESULTS)
    if status.state == "failed":
        lines.append(f"  {status.detail}")
        lines += ["Its older result is of something else:"] if changes else []
    if status.state in ("queued", "searching") and status.detail:
        lines.append(f"  {status.detail}")
    lines += [f"  {change}" for change in changes]
    entry = Ledger(leaderboard / LEDGER).get(plan.cell.name, plan.key)
    if entry is not None and entry.attempts:
        lines.append(_cost(entry))
    lines.append(f"Key {plan.key[:16]}: task, store, split, code, hyperparameters, training.")
    console.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)


def _cost(entry: Entry) -> str:
    cost = entry.cost
    parts = [f"{seconds_in_words(cost.wall)} of work", f"{seconds_in_words(cost.cpu)} of CPU time"]
    parts += [f"{seconds_in_words(cost.gpu)} of GPU time"] if cost.gpu else []
    parts += [f"{cost.memory_mb:,.0f} MB at most"] if cost.memory_mb else []
    parts += [f"{cost.energy_j / 3600:.3g} Wh"] if cost.energy_j is not None else []
    plural = "s" * (entry.attempts > 1)
    where = f", the last on {entry.where}" if entry.where else ""
    return f"{entry.attempts} attempt{plural}{where}: {', '.join(parts)}."
