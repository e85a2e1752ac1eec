"""``molcryst predict``: a trained model on files of structures."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

if TYPE_CHECKING:
    from ase import Atoms


class _Frame(NamedTuple):
    file: Path
    number: int
    atoms: Atoms


@click.command()
@click.argument("cell", type=click.Path(path_type=Path))
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--output", type=click.Path(path_type=Path), help="CSV file; else the terminal.")
def predict(cell: Path, files: tuple[Path, ...], output: Path | None) -> None:
    """Predict for FILES, of any format that ASE reads, with the model in the folder CELL."""
    from molcryst_bench.base.files import whole_file
    from molcryst_bench.training.predict import load_predictor

    predictor = load_predictor(cell)
    frames = [frame for path in files for frame in _read(path)]
    values = predictor([frame.atoms for frame in frames])
    target = predictor.card.task.partition("/")[2]
    rows = [["file", "frame", "formula", f"{target} ({predictor.unit})"]]
    for frame, value in zip(frames, values, strict=True):
        formula = frame.atoms.get_chemical_formula()
        rows.append([str(frame.file), str(frame.number), formula, f"{value:.6f}"])
    if output is None:
        csv.writer(sys.stdout).writerows(rows)
        return
    with whole_file(output) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def _read(path: Path) -> Iterator[_Frame]:
    """Read all structures of a file.

    Raises:
        SourceError: if it cannot be read; any reader of ASE may fail in its own way.
    """
    from ase.io import iread

    from molcryst_bench.base.errors import SourceError

    try:
        for number, atoms in enumerate(iread(path, index=":")):
            yield _Frame(path, number, atoms)
    except Exception as error:
        message = f"{path} cannot be read as a structure: {type(error).__name__}: {error}"
        raise SourceError(message) from error
