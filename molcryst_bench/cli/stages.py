"""What verbs share that do what a stage has not done yet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from molcryst_bench.bench.executors.site import Site
    from molcryst_bench.bench.params import Params
    from molcryst_bench.bench.pending import Named

Plan = TypeVar("Plan", bound="Named")
Found = TypeVar("Found")
Verb = TypeVar("Verb", bound=Callable[..., Any])


def placed(verb: Verb) -> Verb:
    """Give a verb the options of where it runs."""
    workers = click.option(
        "--workers", type=click.IntRange(min=1), help="In place of the settings."
    )
    executor = click.option(
        "--executor",
        metavar="NAME",
        help="A .yaml file, or the name of one in conf/executors, in place of params.yaml.",
    )
    return workers(executor(verb))


def site_of(params: Params, workers: int | None, executor: str | None) -> Site:
    """Return where to run: as the options say, else as the settings do."""
    from molcryst_bench.bench.executors.choose import choose_site

    own = params.executor
    return choose_site(executor or own.site, workers, own.threads, own.worker_count()).site


def tell_untrained(names: Sequence[str]) -> None:
    """Name the models for which there is no result yet."""
    if names:
        click.echo(f"Not trained yet, so left out: {', '.join(names)}", err=True)


def teller(
    plans: Sequence[Plan],
    finished: Callable[[Plan], Found | None],
    what: str,
    in_words: Callable[[Found], str],
) -> Callable[[Plan, Found | None, str], None]:
    """Say how many plans there are, and return what says how each has ended."""
    missing = sum(finished(plan) is None for plan in plans)
    ended = 0
    click.echo(f"{len(plans)} {what}, {len(plans) - missing} of them done before")

    def tell(plan: Plan, found: Found | None, reason: str) -> None:
        nonlocal ended
        ended += 1
        words = f"failed: {reason}" if found is None else in_words(found)
        colour = "red" if found is None else None
        click.secho(f"{ended}/{missing} {plan.name}: {words}", fg=colour)

    return tell
