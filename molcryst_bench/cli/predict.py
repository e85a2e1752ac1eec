"""``molcryst predict``: a trained model on files of structures."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from molcryst_bench.training.predict_inputs import Predictions


@click.command()
@click.argument("cell", type=click.Path(path_type=Path))
@click.argument("files", nargs=-1, required=True)
@click.option("--output", type=click.Path(path_type=Path), help="A file; else the terminal.")
@click.option(
    "--format",
    "format_name",
    type=click.Choice(["csv", "parquet", "extxyz"]),
    help="By default what the suffix of the output says, else CSV.",
)
@click.option("--forces", is_flag=True, help="Also the forces, if the model was trained with them.")
@click.option(
    "--interval",
    "coverage",
    type=float,
    metavar="COVERAGE",
    help="Also bounds that hold the truth with this probability, such as 0.9.",
)
def predict(
    cell: Path,
    files: tuple[str, ...],
    output: Path | None,
    format_name: str | None,
    forces: bool,
    coverage: float | None,
) -> None:
    """Predict for FILES with the model in the folder CELL, or with all seeds in it.

    FILES are structure files of any format that ASE reads, folders of them, patterns such as
    'runs/**/*.cif', SMILES strings, and files of these (.smi).
    """
    from molcryst_bench.base.errors import SourceError
    from molcryst_bench.cli.console import counted
    from molcryst_bench.training.predict import load_predictor
    from molcryst_bench.training.predict_inputs import predict_inputs
    from molcryst_bench.training.prediction_files import Interval, format_of, write_predictions

    chosen = format_of(output, format_name)
    if chosen == "parquet" and output is None:
        raise click.UsageError("Parquet is not for the terminal: name a file with --output")
    predictor = load_predictor(cell)
    interval = None if coverage is None else Interval(coverage, predictor.half_width(coverage))
    with counted("Predicting") as progress:
        found = predict_inputs(predictor, files, forces=forces, on_failure=_say, progress=progress)
    _warn(found)
    if found.items:
        target = sys.stdout if output is None else output
        write_predictions(target, chosen, found.items, predictor.card, interval)
    if found.failures:
        done = f"for {len(found.items):,} structures there is a prediction"
        raise SourceError(f"{found.failures:,} of what was given failed, see above; {done}")


def _warn(found: Predictions) -> None:
    """Say once what not to trust."""
    from molcryst_bench.sources.inputs import FROM_FILE
    from molcryst_bench.training.domain import outside_in_words

    for sentence in outside_in_words(found.outside, len(found.items)):
        _say(f"Warning: {sentence}", "yellow")
    made = sum(each.frame.geometry != FROM_FILE for each in found.items)
    if made:
        _say(
            f"Note: the geometry of {made:,} of {len(found.items):,} structures was made from a "
            "SMILES string, one conformer of a force field or less: see the column 'geometry'",
            "yellow",
        )


def _say(text: str, colour: str = "red") -> None:
    click.secho(text, err=True, fg=colour)
