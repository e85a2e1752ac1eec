"""``molcryst train``: one model on one task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import yaml


@click.command()
@click.argument("task")
@click.argument("model")
@click.option("--seed", default=0, show_default=True, help="Of weights and order.")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change a setting.")
@click.option("--resume", is_flag=True, help="Go on where a run of the same settings ended.")
@click.option("--output", type=click.Path(path_type=Path), default=Path("runs"), show_default=True)
def train(
    task: str, model: str, seed: int, changes: tuple[str, ...], resume: bool, output: Path
) -> None:
    """Train MODEL on TASK, such as: molcryst train qm9/homo schnet --set epochs=20."""
    from molcryst_bench.bench.cell import plan_cells
    from molcryst_bench.bench.params import load_params, single_cell
    from molcryst_bench.bench.progress import checkpoint_path
    from molcryst_bench.bench.work import run_cell
    from molcryst_bench.cli.board import valid_error
    from molcryst_bench.cli.console import progress_bar, shown

    params = load_params()
    (plan,) = plan_cells(single_cell(params, task, model, seed, _parse(changes)))
    if not resume:
        checkpoint_path(plan, output).unlink(missing_ok=True)
    total = plan.training.epochs if plan.trains else 1
    with progress_bar() as progress:
        bar = progress.add_task(plan.cell.name, total=total)
        result = run_cell(
            plan,
            output,
            on_epoch=lambda epoch: progress.update(
                bar,
                completed=epoch.epoch,
                description=f"{plan.cell.name}: {valid_error(plan, epoch)}",
            ),
        )
    click.echo(
        f"{plan.cell.name}: test error (MAE) {result.errors_in_words} over {result.n_test:,} "
        f"structures; model in {shown(output / plan.cell.name)}"
    )


def _parse(changes: tuple[str, ...]) -> dict[str, Any]:
    """Read ``key=value`` pairs, values as YAML."""
    pairs = [change.partition("=") for change in changes]
    if wrong := [key for key, sign, _ in pairs if not sign]:
        raise click.UsageError(f"--set takes KEY=VALUE, not '{wrong[0]}'")
    return {key: yaml.safe_load(value) for key, _, value in pairs}
