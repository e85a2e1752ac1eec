"""Long runs on accuracy: ``python -m benchmarks.accuracy``, or with the names of some of them.

Each trains one model of the profile ``accuracy`` on a whole dataset, for up to an hour on two
cores or ``--threads 1`` for twice that, and is compared with the error that it should come to. A
run that was killed goes on, and one that is done is not run again. Errors and learning curves go
into ``benchmarks/accuracy.json``.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from rich.table import Table

from molcryst_bench.base.files import write_json
from molcryst_bench.bench.cell import CellPlan, plan_cells
from molcryst_bench.bench.params import load_profile, single_cell
from molcryst_bench.bench.progress import HISTORY, read_history
from molcryst_bench.bench.result import CellResult, finished_result
from molcryst_bench.bench.work import run_cell
from molcryst_bench.cli.console import console, shown
from molcryst_bench.cli.training import TrainingProgress
from molcryst_bench.training.history import Epoch

WRITTEN = Path(__file__).parent / "accuracy.json"
OUTPUT = Path("runs/accuracy")
_POINTS = 60  # of a learning curve


class Goal(NamedTuple):
    """What a model should come to on a task."""

    task: str
    model: str
    minutes: int  # of training on two cores
    metric: str = "mae"
    at_most: float | None = None  # in the error unit of the task
    at_least: float | None = None

    @property
    def name(self) -> str:
        """How it is called on the command line."""
        return f"{self.task}/{self.model}"

    def holds(self, value: float) -> bool:
        """Return whether a value is as good as it should be."""
        low = self.at_least is None or value >= self.at_least
        return low and (self.at_most is None or value <= self.at_most)

    @property
    def in_words(self) -> str:
        """The bound, as it is shown."""
        if self.at_most is not None:
            return f"at most {self.at_most:g}"
        return "" if self.at_least is None else f"at least {self.at_least:g}"


GOALS = (
    Goal("qm9/homo", "schnet", 45, at_most=47),
    Goal("qm9/zpve", "schnet", 45, at_most=3),
    Goal("rmd17/ethanol", "torchmd_net", 60, "forces_mae", at_most=0.18),
    Goal("rmd17/uracil", "torchmd_net", 60, "forces_mae", at_most=0.25),
    Goal("coremof/void_fraction", "cgcnn", 30, "r2", at_least=0.9),
    Goal("coremof/void_fraction", "boosted_trees", 30, "r2"),
    Goal("qm9/homo", "physnet", 45),
    Goal("qm9/zpve", "physnet", 45),
    Goal("qm9/homo", "mpnn", 45),
    Goal("qm9/zpve", "mpnn", 45),
    Goal("qm9/homo", "mpnn_transformer", 45, at_most=90),
    Goal("qm9/zpve", "mpnn_transformer", 45, at_most=10),
)


def main() -> None:
    """Run what is asked for, and show all that has been run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [goal.name for goal in GOALS]
    parser.add_argument("names", nargs="*", help=f"some of {', '.join(names)}; all by default")
    parser.add_argument("--threads", type=int, default=2, help="to train with; 2 by default")
    chosen = parser.parse_args()
    if wrong := set(chosen.names) - set(names):
        parser.error(f"there is no {', '.join(sorted(wrong))}: choose from {', '.join(names)}")
    for goal in GOALS:
        if not chosen.names or goal.name in chosen.names:
            record(goal, run(goal, chosen.threads))
    show()


def run(goal: Goal, threads: int) -> tuple[CellResult, list[Epoch]]:
    """Train and evaluate, or return what has been done."""
    params = load_profile("accuracy")
    (plan,) = plan_cells(single_cell(params, goal.task, goal.model, seed=0, changes={}))
    result = finished_result(plan, OUTPUT) or _train(replace(plan, threads=threads))
    return result, read_history(OUTPUT / plan.cell.name / HISTORY)


def _train(plan: CellPlan) -> CellResult:
    with TrainingProgress(plan, console) as progress:
        return run_cell(plan, OUTPUT, on_epoch=progress.on_epoch, on_step=progress.on_step)


def record(goal: Goal, done: tuple[CellResult, list[Epoch]]) -> None:
    """Put a result and its learning curve beside those of other goals."""
    result, history = done
    value = float(getattr(result, goal.metric))
    every = max(1, len(history) // _POINTS)
    entry = {
        "task": goal.task,
        "model": goal.model,
        "metric": goal.metric,
        "value": value,
        "unit": _unit(goal, result),
        "goal": goal.in_words,
        "holds": goal.holds(value),
        "minutes": result.train_seconds / 60,
        "minutes_allowed": goal.minutes,
        "machine": result.machine,
        "finished": result.finished,
        "hyperparameters": json.loads(result.hyperparameters),
        "training": json.loads(result.training),
        "errors": {name: getattr(result, name) for name in ("mae", "rmse", "r2", "coverage_90")},
        "curve": [[epoch.seconds, epoch.valid_error] for epoch in history[::-every][::-1]],
    }
    write_json(WRITTEN, {**_recorded(), goal.name: entry})


def _recorded() -> dict[str, Any]:
    if not WRITTEN.exists():
        return {}
    entries: dict[str, Any] = json.loads(WRITTEN.read_text(encoding="utf-8"))
    return entries


def _unit(goal: Goal, result: CellResult) -> str:
    if goal.metric == "r2":
        return ""
    return result.forces_unit or "" if goal.metric == "forces_mae" else result.error_unit


def show() -> None:
    """Print the table of all that has been recorded."""
    table = Table("task", "model", "test error", "goal", "minutes of training", "machine")
    for entry in _recorded().values():
        value = f"{entry['value']:.4g} {entry['unit']} ({entry['metric']})"
        minutes = f"{entry['minutes']:.0f} of {entry['minutes_allowed']}"
        goal = f"{entry['goal']}{'' if entry['holds'] else ': missed'}"
        table.add_row(entry["task"], entry["model"], value, goal, minutes, entry["machine"])
    console.print(table)
    console.print(f"Numbers and learning curves are in {shown(WRITTEN)}", highlight=False)


if __name__ == "__main__":
    main()
