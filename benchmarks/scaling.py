"""``python -m benchmarks.scaling``: how a campaign scales from 1 to 512 workers.

Simulated from the times of cells: those of the ledger of the active profile, or with ``--profile``
those that ``molcryst bench plan`` expects. Draws ``benchmarks/scaling.png``. With ``--measure`` it
runs a small benchmark on 1 and on 2 workers, and compares with what the simulation says.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import yaml
from matplotlib.figure import Figure
from rich.table import Table

from benchmarks.small_project import Quiet, make_project
from molcryst_bench.base.files import whole_file
from molcryst_bench.base.isolated import isolated_executor
from molcryst_bench.base.project import leaderboard_folder, project_root
from molcryst_bench.base.theme import ACCENT, MUTED, figure_style
from molcryst_bench.bench.campaign import Conditions
from molcryst_bench.bench.cell import plan_cells
from molcryst_bench.bench.forecast import all_lengths, forecast
from molcryst_bench.bench.ledger import LEDGER, Ledger
from molcryst_bench.bench.params import load_params, load_profile
from molcryst_bench.bench.rates import load_rates
from molcryst_bench.bench.runner import run_bench
from molcryst_bench.bench.schedule import Schedule, simulate
from molcryst_bench.cli.console import console
from molcryst_bench.cli.states import seconds_in_words

WORKERS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
FIGURE = Path(__file__).parent / "scaling.png"
OVERHEAD = 0.05  # seconds of the driver for each cell: the limit that it keeps
MEASURED = {  # cells of some seconds on a few molecules
    "bench": {"tasks": ["qm9/homo", "qm9/zpve"], "seeds": [0, 1, 2]},
    "models": {
        "ridge": {},
        "schnet": {"hyperparameters": {"width": 32}, "training": {"epochs": 60}},
        "cgcnn": {"training": {"epochs": 20}},
    },
    "training": {"epochs": 1, "batch_size": 16},
}


def main() -> None:
    """Simulate, print and draw; or measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", help="in place of the ledger of the active one")
    parser.add_argument("--machine", help="whose throughputs count, of conf/rates/measured.yaml")
    parser.add_argument("--measure", action="store_true", help="run on 1 and 2 workers")
    arguments = parser.parse_args()
    if arguments.measure:
        _measure()
        return
    lengths, title = _lengths(arguments.profile, arguments.machine)
    schedules = [simulate(lengths, workers, OVERHEAD) for workers in WORKERS]
    _show(schedules, lengths)
    _draw(schedules, title)
    console.print(f"Drawn in {FIGURE}", highlight=False)


def _lengths(profile: str | None, machine: str | None) -> tuple[list[float], str]:
    if profile is None:
        entries = Ledger(leaderboard_folder() / LEDGER).entries.values()
        lengths = [entry.cost.wall for entry in entries if entry.state == "done"]
        return lengths, f"{len(lengths):,} measured cells"
    rates = load_rates(project_root())
    forecasts = forecast(load_profile(profile), rates.of_machine(machine), measured=None)
    lengths = all_lengths(forecasts)
    return lengths, f"{len(lengths):,} cells and trials of the profile '{profile}'"


def _show(schedules: Sequence[Schedule], lengths: Sequence[float]) -> None:
    table = Table("workers", "done after", "speed-up", "idle")
    for each in schedules:
        row = [seconds_in_words(each.seconds), f"{schedules[0].seconds / each.seconds:.1f}"]
        table.add_row(f"{each.workers}", *row, f"{100 * each.idle_share:.1f} %")
    console.print(table)
    longest = seconds_in_words(max(lengths))
    console.print(f"The longest of {len(lengths):,} takes {longest}.", highlight=False)


def _draw(schedules: Sequence[Schedule], title: str) -> None:
    workers = [each.workers for each in schedules]
    speed = [schedules[0].seconds / each.seconds for each in schedules]
    with figure_style():
        figure = Figure(figsize=(8.4, 3.6), layout="constrained")
        left, right = figure.subplots(1, 2)
        left.loglog(workers, workers, color=MUTED, dashes=(4, 3), linewidth=0.9, label="ideal")
        left.loglog(workers, speed, "o-", color=ACCENT, markersize=4, label="simulated")
        left.set(xlabel="workers", ylabel="speed-up")
        left.legend()
        shares = [100 * each.idle_share for each in schedules]
        right.semilogx(workers, shares, "o-", color=ACCENT, markersize=4)
        right.set(xlabel="workers", ylabel="idle share (%)", ylim=(0, 100))
        for axes in (left, right):
            axes.set_xticks(workers, [str(count) for count in workers])
            axes.minorticks_off()
        figure.suptitle(title)
        with whole_file(FIGURE) as partial:
            figure.savefig(partial, format="png", dpi=150)


def _measure() -> None:
    """Run the same cells on 1 and on 2 workers; processes are warm before the clock starts."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        root = Path(folder)
        make_project(root, seeds=1)
        settings = yaml.safe_load((root / "params.yaml").read_text(encoding="utf-8"))
        (root / "params.yaml").write_text(yaml.safe_dump({**settings, **MEASURED}))
        plans = plan_cells(load_params())
        for workers in (1, 2):
            leaderboard = root / f"leaderboard-{workers}"
            with isolated_executor(workers, threads=1) as executor:
                list(executor.map(_warm, range(workers)))
                start = time.perf_counter()
                run_bench(plans, leaderboard, executor, Quiet(), Conditions(slots=workers))
                wall = time.perf_counter() - start
            costs = [e.cost.wall for e in Ledger(leaderboard / LEDGER).entries.values()]
            found = simulate(costs, workers)
            idle = 1 - sum(costs) / (workers * wall)
            words = f"{workers} worker(s): {wall:.1f} s measured, {found.seconds:.1f} s simulated; "
            words += f"idle {100 * idle:.1f} % measured, {100 * found.idle_share:.1f} % simulated"
            console.print(words, highlight=False)


def _warm(_: int) -> None:
    """Import what cells need, and stay long enough that each process gets one of these."""
    import molcryst_bench.bench.work

    assert molcryst_bench.bench.work
    time.sleep(1.0)


if __name__ == "__main__":
    main()
