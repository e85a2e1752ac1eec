"""``molcryst transfer``: dynamics of molecules that trained models have not seen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from molcryst_bench.cli.stages import placed, site_of, tell_untrained, teller

if TYPE_CHECKING:
    from molcryst_bench.dynamics.record import TransferScore


@click.command()
@placed
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
    from molcryst_bench.bench.params import load_params
    from molcryst_bench.cli.console import shown
    from molcryst_bench.dynamics.transfer_plan import plan_transfers
    from molcryst_bench.dynamics.transfers import finished_transfer, run_transfers
    from molcryst_bench.report.transfers.build import write_transfer_report
    from molcryst_bench.report.transfers.tables import molecules_of

    params, leaderboard = load_params(), leaderboard_folder()
    site = site_of(params, workers, executor)
    found = plan_transfers(params, leaderboard)
    tell_untrained(found.untrained)
    tell = teller(found.plans, finished_transfer, "runs", _in_words)
    with site.executor(leaderboard) as pool:
        scores = run_transfers(found.plans, leaderboard, pool, tell)
    if output is not None:
        text = write_transfer_report(molecules_of(scores), output)
        click.echo(f"Tables and figures: {shown(text)}")


def _in_words(score: TransferScore) -> str:
    if score.problem:
        return f"cannot run: {score.problem}"
    known = "no reference" if score.score is None else f"transfer score {score.score:.3f}"
    failed = f", {score.failed} of {score.replicas} replicas failed" if score.failed else ""
    return f"{known}{failed} in {score.seconds:.0f} s"
