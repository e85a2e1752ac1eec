"""``molcryst transfer``: dynamics of molecules that trained models have not seen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from molcryst_bench.dynamics.record import TransferScore
    from molcryst_bench.dynamics.transfer_plan import TransferPlan


@click.command()
@click.option("--workers", type=click.IntRange(min=1), help="In place of the settings.")
@click.option(
    "--executor",
    metavar="NAME",
    help="A .yaml file, or the name of one in conf/executors, in place of params.yaml.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="A folder for all tables and figures, as Markdown, SVG and PNG.",
)
def transfer(workers: int | None, executor: str | None, output: Path | None) -> None:
    """Run every model that has learnt forces on molecules it has not seen, and score it.

    What is done already is not done again. Interrupt or kill it at any time: the same command goes
    on. Models and molecules are those of params.yaml.
    """
    from molcryst_bench.base.project import leaderboard_folder
    from molcryst_bench.bench.executors.choose import choose_site
    from molcryst_bench.bench.params import load_params
    from molcryst_bench.cli.console import shown
    from molcryst_bench.dynamics.transfer_plan import plan_transfers
    from molcryst_bench.dynamics.transfers import run_transfers
    from molcryst_bench.report.transfers.build import write_transfer_report
    from molcryst_bench.report.transfers.tables import molecules_of

    params, leaderboard = load_params(), leaderboard_folder()
    settings = params.executor
    chosen = choose_site(
        executor or settings.site, workers, settings.threads, settings.worker_count()
    )
    found = plan_transfers(params, leaderboard)
    if found.untrained:
        missing = ", ".join(found.untrained)
        click.echo(f"Not trained yet, so left out: {missing}", err=True)
    tell = _teller(found.plans)
    with chosen.site.executor(leaderboard) as pool:
        scores = run_transfers(found.plans, leaderboard, pool, tell)
    if output is not None:
        text = write_transfer_report(molecules_of(scores), output)
        click.echo(f"Tables and figures: {shown(text)}")


def _teller(
    plans: list[TransferPlan],
) -> Callable[[TransferPlan, TransferScore | None, str], None]:
    """Say how many runs there are, and return what says how each has ended."""
    from molcryst_bench.dynamics.transfers import finished_transfer

    missing = sum(finished_transfer(plan) is None for plan in plans)
    ended = 0
    click.echo(f"{len(plans)} runs, {len(plans) - missing} of them done before")

    def tell(plan: TransferPlan, score: TransferScore | None, reason: str) -> None:
        nonlocal ended
        ended += 1
        words = f"failed: {reason}" if score is None else _in_words(score)
        colour = "red" if score is None else None
        click.secho(f"{ended}/{missing} {plan.name}: {words}", fg=colour)

    return tell


def _in_words(score: TransferScore) -> str:
    if score.problem:
        return f"cannot run: {score.problem}"
    known = "no reference" if score.score is None else f"transfer score {score.score:.3f}"
    failed = f", {score.failed} of {score.replicas} replicas failed" if score.failed else ""
    return f"{known}{failed} in {score.seconds:.0f} s"
