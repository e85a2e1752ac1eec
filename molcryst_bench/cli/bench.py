"""``molcryst bench``: run the benchmark, see how far it is, and what it will take."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import click

from molcryst_bench.cli.stages import placed

if TYPE_CHECKING:
    from molcryst_bench.bench.cell import CellPlan
    from molcryst_bench.bench.executors.choose import Chosen


@click.group()
def bench() -> None:
    """Run the benchmark, see how far it is, and what it will take."""


@bench.command("run")
@placed
def run_command(workers: int | None, executor: str | None) -> None:
    """Run every model on every task with every seed, except what is done already.

    Interrupt or kill it, or its workers, at any time: the same command goes on.
    """
    _run(*_planned(workers, executor))


@bench.command("retry")
@click.argument("cells", nargs=-1)
@placed
def retry_command(cells: tuple[str, ...], workers: int | None, executor: str | None) -> None:
    """Run again what has failed, or those of CELLS that have: molcryst bench retry 'qm9/*'."""
    from fnmatch import fnmatchcase

    from molcryst_bench.base.project import leaderboard_folder
    from molcryst_bench.bench.ledger import LEDGER, Ledger

    site, plans = _planned(workers, executor)
    ledger = Ledger(leaderboard_folder() / LEDGER)
    entries = {plan.cell.name: ledger.get(plan.cell.name, plan.key) for plan in plans}
    failed = {name for name, entry in entries.items() if entry and entry.state == "failed"}
    chosen = {n for n in failed if not cells or any(fnmatchcase(n, each) for each in cells)}
    if not chosen:
        click.echo("No such cell has failed." if cells else "No cell has failed.")
        return
    _run(site, plans, only=chosen)


@bench.command("status")
@click.option("--all", "everything", is_flag=True, help="A row for each cell, however many.")
def status_command(everything: bool) -> None:
    """Show the state of every cell of the active profile."""
    from molcryst_bench.base.project import leaderboard_folder, project_root
    from molcryst_bench.bench.planned import planned_cells
    from molcryst_bench.bench.status import status_of_all
    from molcryst_bench.cli.states import show_status

    leaderboard = leaderboard_folder()
    profile = planned_cells(project_root(), leaderboard)
    show_status(status_of_all(profile.cells, leaderboard, profile.workers), everything)


@bench.command("explain")
@click.argument("cell")
def explain_command(cell: str) -> None:
    """Say what state CELL is in and why, such as: molcryst bench explain qm9/homo/schnet/0.

    Of a stale one, what has changed since it was run.
    """
    from molcryst_bench.base.errors import SettingsError, unknown_name
    from molcryst_bench.base.project import leaderboard_folder
    from molcryst_bench.bench.cell import plan_cells
    from molcryst_bench.bench.params import load_params

    plans = {plan.cell.name: plan for plan in plan_cells(load_params())}
    if cell not in plans:
        raise SettingsError(unknown_name("cell", cell, plans))
    from molcryst_bench.cli.explain_cell import explain_cell

    explain_cell(plans[cell], leaderboard_folder())


@bench.command("plan")
@click.option("--profile", metavar="NAME", help="conf/NAME.yaml in place of params.yaml.")
@click.option("--machine", help="Whose throughputs in conf/rates count; the first by default.")
@click.option(
    "--executor", metavar="NAME", help="Says how many workers a node has; one by default."
)
@click.option("--workers", type=click.IntRange(min=1), help="To simulate; 1 to 512 by default.")
def plan_command(
    profile: str | None, machine: str | None, executor: str | None, workers: int | None
) -> None:
    """Say how many cells, trials and node-hours a profile takes, before anything is run.

    Cells are priced by what the like have cost, or by measured throughputs; schedules are
    simulated. No store is needed: molcryst bench plan --profile paper --executor delta-ncsa.
    """
    from molcryst_bench.base.project import leaderboard_folder, project_root
    from molcryst_bench.bench.estimates import Estimates
    from molcryst_bench.bench.executors.blocks import Blocks
    from molcryst_bench.bench.executors.choose import load_site
    from molcryst_bench.bench.forecast import forecast
    from molcryst_bench.bench.ledger import LEDGER, Ledger
    from molcryst_bench.bench.params import load_params, load_profile
    from molcryst_bench.bench.rates import load_rates
    from molcryst_bench.cli.plan import show_plan

    params = load_params() if profile is None else load_profile(profile)
    rates = load_rates(project_root())
    measured = None
    if profile is None:  # what is in the ledger is of the active one
        measured = Estimates(Ledger(leaderboard_folder() / LEDGER).entries)
    forecasts = forecast(params, rates.of_machine(machine), measured)
    site = load_site(executor) if executor is not None else None
    per_node = site.workers_per_node if isinstance(site, Blocks) else site.slots if site else 1
    name = machine or next(iter(rates.machines), "a machine like that of the measured cells")
    show_plan(params.profile, name, forecasts, per_node, workers)


def _planned(workers: int | None, executor: str | None) -> tuple[Chosen, list[CellPlan]]:
    """Return where to run, and all cells with as many threads as there."""
    from molcryst_bench.bench.cell import plan_cells
    from molcryst_bench.bench.executors.choose import choose_site
    from molcryst_bench.bench.params import load_params

    params = load_params()
    settings = params.executor
    chosen = choose_site(
        executor or settings.site, workers, settings.threads, settings.worker_count()
    )
    there = settings.model_copy(update={"threads": chosen.site.threads})
    return chosen, plan_cells(params.model_copy(update={"executor": there}))


def _run(chosen: Chosen, plans: list[CellPlan], only: Collection[str] | None = None) -> None:
    from molcryst_bench.base.project import leaderboard_folder
    from molcryst_bench.bench.campaign import Conditions
    from molcryst_bench.bench.result import RESULTS
    from molcryst_bench.bench.runner import run_bench
    from molcryst_bench.bench.searches import searching
    from molcryst_bench.cli.board import Board
    from molcryst_bench.cli.tuning import tell_trial

    leaderboard, site = leaderboard_folder(), chosen.site
    conditions = Conditions(
        slots=site.slots, grace=site.grace, executor=chosen.name, stage_to=site.stage_to
    )
    with (
        site.executor(leaderboard) as pool,
        Board(leaderboard) as board,
        searching(pool, leaderboard / RESULTS, site.slots or 1, tell_trial) as executor,
    ):
        run_bench(plans, leaderboard, executor, board, conditions, only)
