"""``molcryst bench``: run the benchmark, or see how far it is."""

from __future__ import annotations

import click


@click.group()
def bench() -> None:
    """Run the benchmark, or see how far it is."""


@bench.command("run")
@click.option("--workers", type=click.IntRange(min=1), help="In place of params.yaml.")
def run_command(workers: int | None) -> None:
    """Run every model on every task with every seed, except what is done already."""
    from molcryst_bench.base.executors import worker_pool
    from molcryst_bench.base.project import leaderboard_folder
    from molcryst_bench.bench.cell import plan_cells
    from molcryst_bench.bench.params import load_params
    from molcryst_bench.bench.runner import run_bench
    from molcryst_bench.cli.board import Board

    params = load_params()
    plans = plan_cells(params)
    count = workers or params.executor.worker_count()
    leaderboard = leaderboard_folder()
    with worker_pool(count, params.executor.threads) as executor, Board(leaderboard) as board:
        run_bench(plans, leaderboard, executor, board)


@bench.command("status")
def status_command() -> None:
    """Show the state of every cell of the active profile."""
    from molcryst_bench.base.project import leaderboard_folder
    from molcryst_bench.bench.cell import plan_cells
    from molcryst_bench.bench.params import load_params
    from molcryst_bench.bench.status import status_of_all
    from molcryst_bench.cli.board import show_status

    params = load_params()
    statuses = status_of_all(plan_cells(params), leaderboard_folder())
    show_status(statuses, params.executor.worker_count())
