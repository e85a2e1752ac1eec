"""``molcryst tune``: search for the hyperparameters of one model on one task."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from molcryst_bench.base.errors import RunError
from molcryst_bench.cli.main import INTERRUPTED
from molcryst_bench.cli.train import params_of, parse_changes

if TYPE_CHECKING:
    from molcryst_bench.bench.cell import CellPlan
    from molcryst_bench.bench.search_plan import SearchPlan
    from molcryst_bench.tuning.journal import Journal
    from molcryst_bench.tuning.settings import SearchSettings
    from molcryst_bench.tuning.workers import Workers


def _one_of(*names: str) -> click.Choice[str]:
    return click.Choice(names, case_sensitive=False)


@click.command()
@click.argument("task")
@click.argument("model")
@click.option(
    "--space",
    "space_name",
    metavar="FILE",
    default="paper",
    show_default=True,
    help="A .yaml file, or the name of one in conf/spaces.",
)
@click.option("--trials", type=click.IntRange(min=1), default=50, show_default=True)
@click.option(
    "--method",
    type=_one_of("cbo", "random"),
    default="cbo",
    show_default=True,
    help="Bayesian optimisation, or drawing at random to compare with.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Of proposals and weights.",
)
@click.option("--surrogate", type=_one_of("ET", "RF", "GP"), default="ET", show_default=True)
@click.option("--acquisition", type=_one_of("UCB", "EI", "PI"), default="UCB", show_default=True)
@click.option(
    "--multi-point",
    type=_one_of("cl_min", "cl_mean", "cl_max", "qUCB"),
    default="cl_max",
    show_default=True,
    help="How several are proposed at once.",
)
@click.option("--workers", type=click.IntRange(min=1), help="Trials at once, not as params.yaml.")
@click.option(
    "--on",
    "place",
    type=_one_of("processes", "ray", "mpi"),
    default="processes",
    show_default=True,
    help="Here, on the Ray cluster of RAY_ADDRESS, or in the processes of mpirun.",
)
@click.option("--epochs", type=click.IntRange(min=1), help="No trial trains for more.")
@click.option(
    "--halving",
    metavar="N",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="After N, N², ... epochs only the best 1/N go on; 1 lets all go on.",
)
@click.option(
    "--items",
    "training_items",
    metavar="N",
    type=click.IntRange(min=1),
    help="Train on a fixed part of the training subset.",
)
@click.option(
    "--cost",
    type=_one_of("none", "parameters", "inference"),
    default="none",
    show_default=True,
    help="Search for small or fast models, too: for the Pareto front.",
)
@click.option("--time-limit", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS")
@click.option("--profile", metavar="NAME", help="Start from conf/NAME.yaml, as for train.")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change the start.")
@click.option("--resume", is_flag=True, help="Go on where the same search ended.")
@click.option(
    "--output", type=click.Path(path_type=Path), default=Path("runs/tune"), show_default=True
)
def tune(
    task: str,
    model: str,
    space_name: str,
    workers: int | None,
    place: str,
    time_limit: float | None,
    profile: str | None,
    changes: tuple[str, ...],
    resume: bool,
    output: Path,
    **options: Any,
) -> None:
    """Search for the MODEL's best settings on TASK: molcryst tune qm9/homo schnet --trials 100.

    The first trial has the settings of the model's paper; others change what the space names. What
    counts is the error on the validation subset; the test subset is not looked at. All trials are
    in search.parquet, which is whole at any time.
    """
    from molcryst_bench.bench.cell import plan_cells
    from molcryst_bench.bench.params import single_cell
    from molcryst_bench.bench.search_plan import make_search
    from molcryst_bench.graphs.store import open_store
    from molcryst_bench.tuning.settings import SearchSettings

    settings = SearchSettings.parse({**options, "space": space_name}, "molcryst tune")
    params = params_of(task, model, profile)
    chosen = single_cell(params, task, model, settings.seed, parse_changes(changes))
    plan = plan_cells(chosen)[0]
    store, start = open_store(plan.store), (plan.hyperparameters, plan.training)
    search = make_search(plan.task, store, model, *start, settings, params)
    limits = _Limits(workers or params.executor.worker_count(), workers, time_limit)
    try:
        with _workers(place, search, limits) as found:
            journal = _run(search, output.absolute(), found, resume)
    except KeyboardInterrupt:
        click.echo("Interrupted. The same command with --resume goes on.", err=True)
        raise SystemExit(INTERRUPTED) from None
    _summarise(journal)
    click.echo(_train_command(journal, plan, settings, profile, changes))


class _Limits(NamedTuple):
    """What keeps trials within bounds."""

    here: int  # trials at the same time on this machine
    most: int | None  # on a cluster; all for which there is room by default
    seconds: float | None  # of each


@contextmanager
def _workers(place: str, search: SearchPlan, limits: _Limits) -> Iterator[Workers]:
    """Yield who runs the trials; a process of MPI that does not drive the search ends here."""
    from molcryst_bench.base.isolated import isolated_executor
    from molcryst_bench.tuning.clusters import MpiWorkers, RayWorkers
    from molcryst_bench.tuning.workers import ExecutorWorkers

    threads = search.subject.threads
    if place == "ray":
        yield RayWorkers(threads, limits.most, limits.seconds)
    elif place == "mpi":
        processes = MpiWorkers()
        if not processes.is_driver:
            processes.serve()
            raise SystemExit(0)
        yield processes
    else:
        with isolated_executor(limits.here, threads, limits.seconds) as executor:
            yield ExecutorWorkers(executor, limits.here)


def _run(search: SearchPlan, output: Path, workers: Workers, resume: bool) -> Journal:
    """Run a search, or the rest of it."""
    from molcryst_bench.base.locks import exclusive
    from molcryst_bench.cli.console import console, shown
    from molcryst_bench.cli.tuning import SearchProgress
    from molcryst_bench.tuning.journal import Journal

    folder, trials = output / search.name, search.settings.trials
    searched = ", ".join(parameter.name for parameter in search.space.parameters)
    click.echo(f"{trials} trials, {workers.share} at a time, of {searched}; in {shown(folder)}.")
    with exclusive(folder / ".lock", on_wait=lambda: click.echo("Waiting for another search.")):
        journal = (Journal.reopen if resume else Journal.create)(folder, search.identity)
        _warn_of_other_code(journal)
        with SearchProgress(journal, trials, console) as progress:
            search.run(journal, workers, progress, output)
    return journal


def _warn_of_other_code(journal: Journal) -> None:
    if others := journal.with_other_code():
        click.echo(
            f"The code has changed since {len(others)} of the finished trials were run: their "
            "errors may differ from what it would give now. Another --output begins anew.",
            err=True,
        )


def _summarise(journal: Journal) -> None:
    """Say which trial is the best."""
    from molcryst_bench.cli.tuning import in_words

    best, first = journal.best, journal.trials[0]
    if best is None:
        raise RunError(f"all {len(journal.trials)} trials failed; the first: {first.reason}")
    click.echo(f"The best of {len(journal.trials)} is trial {best.trial + 1}: {in_words(best)}")
    click.echo(f"The first, with the settings to start from: {in_words(first)}")


def _train_command(
    journal: Journal,
    plan: CellPlan,
    settings: SearchSettings,
    profile: str | None,
    changes: tuple[str, ...],
) -> str:
    """Return the command that trains the model as the best trial did."""
    from molcryst_bench.cli.tuning import changes_of

    start = parse_changes(changes)
    if settings.epochs is not None:
        start["epochs"] = min(settings.epochs, plan.training.epochs)
    found = {} if journal.best is None else journal.best.settings
    words = ["molcryst", "train", plan.cell.task, plan.cell.model]
    words += ["--profile", profile] if profile else []
    words += ["--seed", str(settings.seed)] if settings.seed else []
    return " ".join([*words, *(f"--set {change}" for change in changes_of({**start, **found}))])
