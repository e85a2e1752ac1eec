"""``molcryst submit``: enter a model of one's own by its predictions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from molcryst_bench.report.submissions.judge import Judged
    from molcryst_bench.report.submissions.truth import Truth
    from molcryst_bench.training.task import Task

_store_option = click.option(
    "--store", type=click.Path(path_type=Path), help="In place of datasets/NAME/store.zarr."
)


@click.group()
def submit() -> None:
    """Enter a model by its predictions on the test records of a task."""


@submit.command("template")
@click.argument("task")
@click.argument("folder", type=click.Path(path_type=Path))
@_store_option
def template_command(task: str, folder: Path, store: Path | None) -> None:
    """Write a card and the ids of the test records of TASK into FOLDER, to be filled in."""
    from molcryst_bench.report.submissions.template import write_template
    from molcryst_bench.training.task import load_task

    chosen = load_task(task)
    truth = _truth(chosen, store)
    write_template(folder, chosen, truth)
    click.echo(
        f"{folder}: fill in card.yaml, and in predictions.parquet the predictions for "
        f"{len(truth.ids):,} records in {truth.definition.unit}; then run\n"
        f"  molcryst submit check {folder}"
    )


@submit.command("check")
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path))
@_store_option
def check_command(folders: tuple[Path, ...], store: Path | None) -> None:
    """Check the submission in each of FOLDERS, measure it, and print the rows of the tables.

    The store of the dataset has to be here: molcryst data build qm9 --all.
    """
    from molcryst_bench.report.submissions.refusal import RefusedError

    refused = 0
    for folder in folders:
        try:
            _check(folder, store)
        except RefusedError as error:
            refused += 1
            click.secho(str(error), err=True, fg="red")
    if refused:
        raise SystemExit(1)


def _check(folder: Path, store: Path | None) -> None:
    from molcryst_bench.report.submissions.judge import judge, read_submission

    folder = folder if folder.is_symlink() else folder.absolute()
    submission = read_submission(folder)
    _show(judge(submission, _truth(submission.task, store)))


def _truth(task: Task, store: Path | None) -> Truth:
    from molcryst_bench.base.project import store_path
    from molcryst_bench.graphs.store import open_store
    from molcryst_bench.report.submissions.truth import truth_in

    return truth_in(open_store(store or store_path(task.dataset)), task)


def _show(judged: Judged) -> None:
    """Print the row that tables would have."""
    from rich.table import Table
    from rich.text import Text

    from molcryst_bench.cli.console import console

    task = judged.submission.task
    definitions = {"": task.definition, "forces_": task.forces_definition}
    errors = {**judged.errors._asdict(), **judged.force_errors}
    shown = Table("error", "value", "95 % interval over test items")
    for name, value in errors.items():
        definition = definitions["forces_" if name.startswith("forces_") else ""]
        has_unit = definition is not None and name.endswith(("mae", "rmse"))
        unit = f" {definition.error_unit}" if definition is not None and has_unit else ""
        low, high = judged.intervals[name]
        shown.add_row(name, f"{value:.4g}{unit}", f"{low:.4g} to {high:.4g}{unit}")
    head = f"{judged.card.shown_name} on {task.base_name}, {task.split} split: "
    head += f"accepted, {len(judged.ids):,} test records"
    console.print(Text(head), soft_wrap=True)
    console.print(shown)
