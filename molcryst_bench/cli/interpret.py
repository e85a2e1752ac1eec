"""``molcryst interpret``: looks into every graph network after the benchmark."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from molcryst_bench.cli.stages import placed, site_of, tell_untrained, teller

if TYPE_CHECKING:
    from molcryst_bench.interpret.looks.record import Look


@click.command()
@placed
def interpret(workers: int | None, executor: str | None) -> None:
    """Look into every graph network: attributions and whether to trust them, maps, roughness.

    What is done already is not done again. Interrupt or kill it at any time: the same command goes
    on. Tasks and numbers are those of params.yaml; `molcryst report` shows what has been found.
    """
    from molcryst_bench.base.project import leaderboard_folder
    from molcryst_bench.bench.params import load_params
    from molcryst_bench.interpret.looks.plan import plan_looks
    from molcryst_bench.interpret.looks.stage import finished_look, run_looks

    params, leaderboard = load_params(), leaderboard_folder()
    site = site_of(params, workers, executor)
    found = plan_looks(params, leaderboard)
    tell_untrained(found.untrained)
    tell = teller(found.plans, finished_look, "looks into models", _in_words)
    with site.executor(leaderboard) as pool:
        run_looks(found.plans, leaderboard, pool, tell)


def _in_words(look: Look) -> str:
    if look.problem:
        return look.problem
    rough = f"ROGI-XD {look.roughness.rogi_xd[0]:.3f}" if look.roughness else "no roughness"
    return f"{rough} in {look.seconds:.0f} s"
