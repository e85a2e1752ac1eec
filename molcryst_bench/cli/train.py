"""``molcryst train``: one model on one task, with one seed or several."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import yaml

from molcryst_bench.cli.main import INTERRUPTED

if TYPE_CHECKING:
    from molcryst_bench.bench.cell import CellPlan
    from molcryst_bench.bench.params import Params
    from molcryst_bench.bench.result import CellResult

_ACTIVE = "active"


@click.command()
@click.argument("task")
@click.argument("model")
@click.option("--seed", type=int, help="Of weights and order; 0 by default.")
@click.option("--seeds", type=click.IntRange(min=2), help="Train this many, from seed 0 on.")
@click.option(
    "--profile",
    metavar="NAME",
    help="Train as conf/NAME.yaml says, or as params.yaml with the name 'active', in place of the "
    "model's paper.",
)
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change a setting.")
@click.option("--resume", is_flag=True, help="Go on where a run of the same settings ended.")
@click.option("--output", type=click.Path(path_type=Path), default=Path("runs"), show_default=True)
def train(
    task: str,
    model: str,
    seed: int | None,
    seeds: int | None,
    profile: str | None,
    changes: tuple[str, ...],
    resume: bool,
    output: Path,
) -> None:
    """Train MODEL on TASK, such as: molcryst train qm9/homo schnet --set epochs=20.

    Hyperparameters and training are those of the model's paper, as near as they can be had here;
    --profile takes those of a profile, --set changes one by its name.

    Several seeds, such as --seeds 5, show how much a number depends on chance; the folder that
    holds them is an ensemble for molcryst predict.

    On several GPUs: --set devices=4. On several nodes: srun --nodes=2 --ntasks-per-node=4 before
    the same command with --set nodes=2.
    """
    from molcryst_bench.bench.cell import plan_cells
    from molcryst_bench.bench.follow import follow_cells, follows
    from molcryst_bench.bench.params import single_cell
    from molcryst_bench.cli.console import shown

    if seed is not None and seeds is not None:
        raise click.UsageError("--seed is for one seed, --seeds for several: choose one of them")
    params, settings = params_of(task, model, profile), parse_changes(changes)
    chosen = [seed or 0] if seeds is None else range(seeds)
    plans = [plan_cells(single_cell(params, task, model, each, settings))[0] for each in chosen]
    if follows(plans[0]):
        follow_cells(plans, output, resume)
        return
    click.echo(f"{_settings_in_words(plans[0], changes)}.")
    try:
        results = [_run(plan, output, resume) for plan in plans]
    except KeyboardInterrupt:
        click.echo("Interrupted. The same command with --resume goes on.", err=True)
        raise SystemExit(INTERRUPTED) from None
    if seeds is not None:
        folder = shown((output / plans[0].cell.name).parent)
        click.echo(f"{task}, {model}: test error (MAE) {_spread(results)}; ensemble in {folder}")


def params_of(task: str, model: str, profile: str | None) -> Params:
    """Return the settings of the model's paper, or of a profile."""
    from molcryst_bench.bench.params import as_published, load_params, load_profile

    if profile is None:
        active = load_params()
        return as_published(task, model, active.executor, active.tracking)
    return load_params() if profile == _ACTIVE else load_profile(profile)


def _settings_in_words(plan: CellPlan, changes: tuple[str, ...]) -> str:
    """Say where the settings are from, and what the training is like."""
    from molcryst_bench.bench.params import PUBLISHED

    published = plan.profile == PUBLISHED
    source = "as published" if published else f"as in the profile '{plan.profile}'"
    changed = f" but for {', '.join(changes)}" if changes else ""
    if not plan.trains:
        return f"{plan.cell.model} is fitted {source}{changed}"
    settings = plan.training
    rate = f"{settings.optimizer} with a rate of {settings.learning_rate:g} ({settings.schedule})"
    plural = "s" * (settings.epochs > 1)
    batches = f"{settings.epochs:,} epoch{plural} in batches of {settings.batch_size:,}"
    return f"{plan.cell.model} is trained {source}{changed}: {batches}, {rate}"


def _run(plan: CellPlan, output: Path, resume: bool) -> CellResult:
    """Train one seed and say how good it is."""
    from molcryst_bench.bench.result import finished_result
    from molcryst_bench.cli.console import shown

    done = finished_result(plan, output) if resume else None
    result = done or _train(plan, output, resume)
    click.echo(
        f"{plan.cell.name}: test error (MAE) {result.errors_in_words} over {result.n_test:,} "
        f"structures{_interval(result)}; model in {shown(output / plan.cell.name)}"
    )
    return result


def _interval(result: CellResult) -> str:
    from molcryst_bench.training.bootstrap import CONFIDENCE

    bounds = result.interval_of("mae")
    if bounds is None:
        return ""
    low, high = (f"{bound:.4g}" for bound in bounds)
    return f" ({100 * CONFIDENCE:g} % interval {low} to {high} {result.error_unit})"


def _train(plan: CellPlan, output: Path, resume: bool) -> CellResult:
    from molcryst_bench.bench.progress import checkpoint_path
    from molcryst_bench.bench.work import run_cell
    from molcryst_bench.cli.console import console
    from molcryst_bench.cli.training import TrainingProgress
    from molcryst_bench.training.ranks import started_outside

    if not resume:
        checkpoint_path(plan, output).unlink(missing_ok=True)
    with TrainingProgress(plan, console) as progress:
        return run_cell(
            plan,
            output,
            on_epoch=progress.on_epoch,
            on_step=progress.on_step,
            environment=started_outside(plan.training),
        )


def _spread(results: list[CellResult]) -> str:
    """Return mean and sample standard deviation over seeds, of the forces, too."""
    from statistics import fmean, stdev

    first = results[0]
    columns = [(first.error_unit, [each.mae for each in results])]
    if first.forces_unit is not None:
        of_forces = [each.forces_mae for each in results if each.forces_mae is not None]
        columns.append((first.forces_unit, of_forces))
    words = [f"{fmean(errors):.4g} ± {stdev(errors):.2g} {unit}" for unit, errors in columns]
    return f"{', '.join(words)}, mean and standard deviation over {len(results)} seeds"


def parse_changes(changes: tuple[str, ...]) -> dict[str, Any]:
    """Read ``key=value`` pairs, values as YAML."""
    pairs = [change.partition("=") for change in changes]
    if wrong := [key for key, sign, _ in pairs if not sign]:
        raise click.UsageError(f"--set takes KEY=VALUE, not '{wrong[0]}'")
    return {key: yaml.safe_load(value) for key, _, value in pairs}
