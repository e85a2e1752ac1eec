"""``molcryst interpret``: looks into every graph network after the benchmark."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from molcryst_bench.interpret.looks.plan import LookPlan
    from molcryst_bench.interpret.looks.record import Look


@click.command()
@click.option("--workers", type=click.IntRange(min=1), help="In place of the settings.")
@click.option(
    "--executor",
    metavar="NAME",
    help="A .yaml file, or the name of one in conf/executors, in place of params.yaml.",
)
def interpret(workers: int | None, executor: str | None) -> None:
    """Look into every graph network: attributions and whether to trust them, maps, roughness.

    What is done already is not done again. Interrupt or kill it at any time: the same command goes
    on. Tasks and numbers are those of params.yaml; `molcryst report` shows what has been found.
    """
    from molcryst_bench.base.project import leaderboard_folder
    from molcryst_bench.bench.executors.choose import choose_site
    from molcryst_bench.bench.params import load_params
    from molcryst_bench.interpret.looks.plan import plan_looks
    from molcryst_bench.interpret.looks.stage import run_looks

    params, leaderboard = load_params(), leaderboard_folder()
    settings = params.executor
    chosen = choose_site(
        executor or settings.site, workers, settings.threads, settings.worker_count()
    )
    found = plan_looks(params, leaderboard)
    if found.untrained:
        missing = ", ".join(found.untrained)
        click.echo(f"Not trained yet, so left out: {missing}", err=True)
    tell = _teller(found.plans)
    with chosen.site.executor(leaderboard) as pool:
        run_looks(found.plans, leaderboard, pool, tell)


def _teller(plans: list[LookPlan]) -> Callable[[LookPlan, Look | None, str], None]:
    """Say how many looks there are, and return what says how each has ended."""
    from molcryst_bench.interpret.looks.stage import finished_look

    missing = sum(finished_look(plan) is None for plan in plans)
    ended = 0
    click.echo(f"{len(plans)} looks into models, {len(plans) - missing} of them done before")

    def tell(plan: LookPlan, look: Look | None, reason: str) -> None:
        nonlocal ended
        ended += 1
        words = f"failed: {reason}" if look is None else _in_words(look)
        colour = "red" if look is None else None
        click.secho(f"{ended}/{missing} {plan.name}: {words}", fg=colour)

    return tell


def _in_words(look: Look) -> str:
    if look.problem:
        return look.problem
    rough = f"ROGI-XD {look.roughness.rogi_xd[0]:.3f}" if look.roughness else "no roughness"
    return f"{rough} in {look.seconds:.0f} s"
