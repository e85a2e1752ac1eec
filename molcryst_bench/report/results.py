"""Finished cells: the rows of ``results.parquet`` and the files that they name."""

from __future__ import annotations

import csv
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import field_validator

from molcryst_bench.base.errors import RunError
from molcryst_bench.base.files import checksum_of
from molcryst_bench.bench.result import CellResult
from molcryst_bench.training.metrics import force_error_terms
from molcryst_bench.training.uncertainty import load_calibration


class Cell(CellResult):
    """One row: one model, trained with one seed on one task. Errors are in ``error_unit``."""

    @field_validator("hyperparameters", "training")
    @classmethod
    def _is_mapping(cls, text: str) -> str:
        if not isinstance(json.loads(text), dict):
            raise ValueError("not a JSON object")
        return text

    @property
    def hyperparameter_values(self) -> dict[str, Any]:
        """Hyperparameters by name."""
        return dict(json.loads(self.hyperparameters))

    @property
    def training_values(self) -> dict[str, Any]:
        """Training settings by name, nested as in the settings file."""
        return dict(json.loads(self.training))

    @property
    def search_values(self) -> dict[str, Any]:
        """Settings of the search that found its settings; none if they were not searched."""
        return {} if self.search is None else dict(json.loads(self.search))

    @property
    def name(self) -> str:
        """Task, model and seed in one word."""
        return f"{self.task}/{self.model}/{self.seed}"

    @property
    def records(self) -> int:
        """Number of records in all subsets together."""
        return self.n_train + self.n_valid + self.n_test


@dataclass(frozen=True)
class Predictions:
    """Targets and predictions on the test subset, sorted by id, in the target's unit."""

    ids: np.ndarray  # (items,) str
    target: np.ndarray  # (items,)
    prediction: np.ndarray  # (items,)

    @property
    def absolute_error(self) -> np.ndarray:
        """Absolute error of each item, (items,), in the target's unit."""
        error: np.ndarray = np.abs(self.prediction - self.target)
        return error


@dataclass(frozen=True)
class History:
    """Validation error after each epoch, in the cell's ``error_unit``."""

    epoch: np.ndarray  # (epochs,)
    valid_mae: np.ndarray  # (epochs,)


def read_results(leaderboard: Path) -> list[Cell]:
    """Read all finished cells.

    Raises:
        RunError: if there are none, or the table is not one of this version.
    """
    path = leaderboard / "results.parquet"
    if not path.exists():
        raise RunError(f"{path} does not exist: run `molcryst bench run` first")
    table = _read_parquet(path)
    there = set(table.column_names)
    fields = Cell.model_fields.items()
    if missing := [name for name, field in fields if field.is_required() and name not in there]:
        message = f"{path} lacks the columns {', '.join(missing)}: another version wrote it. "
        raise RunError(message + "Run `molcryst bench run` again")
    rows = table.select([name for name, _ in fields if name in there]).to_pylist()
    if not rows:
        raise RunError(f"{path} holds no finished cell: run `molcryst bench run` first")
    cells = [Cell.parse(row, f"{path}, row {number}") for number, row in enumerate(rows)]
    _check_unique(cells, path)
    return sorted(cells, key=lambda cell: (cell.task, cell.split, cell.model, cell.seed))


def cell_folder(leaderboard: Path, cell: Cell) -> Path:
    """Return the folder of a cell's files.

    Raises:
        RunError: if the table points out of the leaderboard.
    """
    folder = leaderboard / cell.folder
    if not folder.resolve().is_relative_to(leaderboard.resolve()):
        path = leaderboard / "results.parquet"
        raise RunError(f"{path}: the folder of {cell.name}, '{cell.folder}', lies outside")
    return folder


def read_predictions(leaderboard: Path, cell: Cell) -> Predictions:
    """Read the predictions of a cell and check that they are those which were evaluated.

    Raises:
        RunError: if the file is missing, damaged or has changed.
    """
    path = cell_folder(leaderboard, cell) / "predictions.parquet"
    _check_file(path, cell)
    if checksum_of(path) != cell.predictions_sha256:
        message = f"{path} has changed since {cell.name} was evaluated"
        raise RunError(f"{message}: restore it, or run `molcryst bench run` again")
    table = _read_parquet(path)
    try:
        ids, target, prediction = (
            table[name].to_numpy() for name in ("id", "target", "prediction")
        )
    except KeyError as error:
        raise RunError(f"{path} lacks the column {error}: run `molcryst bench run` again") from None
    order = np.argsort(ids.astype(str), kind="stable")
    return Predictions(ids.astype(str)[order], target[order], prediction[order])


def read_force_terms(leaderboard: Path, cell: Cell) -> np.ndarray:
    """Read what the errors of a cell's forces are made of, (5, items), sorted by id.

    Raises:
        RunError: if the file is damaged.
    """
    path = cell_folder(leaderboard, cell) / "predictions.parquet"
    table = _read_parquet(path)
    try:
        target, prediction = (
            table[name].combine_chunks() for name in ("forces_target", "forces_prediction")
        )
    except KeyError as error:
        raise RunError(f"{path} lacks the column {error}: run `molcryst bench run` again") from None
    atoms = target.value_lengths().to_numpy() // 3
    terms = force_error_terms(_vectors(prediction), _vectors(target), atoms)
    order = np.argsort(table["id"].to_numpy().astype(str), kind="stable")
    return np.asarray(terms[:, order])


def read_levels(leaderboard: Path, cell: Cell, predictions: Predictions) -> np.ndarray | None:
    """Return from which level on the interval of each test item holds its true value.

    Returns:
        (items,), or nothing where an older version has left no errors of the validation set.

    Raises:
        RunError: if the file is damaged.
    """
    calibration = load_calibration(cell_folder(leaderboard, cell))
    if calibration is None:
        return None
    return calibration.levels(predictions.prediction, predictions.target)


def read_history(leaderboard: Path, cell: Cell) -> History:
    """Read the learning curve of a cell; a model that is fitted in one step has none.

    Raises:
        RunError: if the file is missing or damaged.
    """
    path = cell_folder(leaderboard, cell) / "history.csv"
    _check_file(path, cell)
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [(int(row["epoch"]), float(row["valid_mae"])) for row in csv.DictReader(file)]
    except (KeyError, TypeError, ValueError) as error:
        message = f"{path} is not a learning curve ({error})"
        raise RunError(f"{message}: run `molcryst bench run` again") from error
    epochs, errors = np.array(rows, float).reshape(-1, 2).T
    return History(epochs, errors)


def _vectors(lists: Any) -> np.ndarray:
    """Return (nodes, 3) of lists of x, y, z of one atom after the other."""
    return np.asarray(lists.flatten().to_numpy().reshape(-1, 3))


def _read_parquet(path: Path) -> Any:
    try:
        return pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        message = f"{path} is not a readable Parquet file ({error})"
        raise RunError(f"{message}: run `molcryst bench run` again") from error


def _check_file(path: Path, cell: Cell) -> None:
    if not path.exists():
        message = f"{path} is missing, which results.parquet names for {cell.name}"
        raise RunError(f"{message}: restore it, or run `molcryst bench run` again")


def _check_unique(cells: list[Cell], path: Path) -> None:
    counts = Counter((cell.name, cell.split) for cell in cells)
    (name, split), count = counts.most_common(1)[0]
    if count > 1:
        raise RunError(f"{path} holds {name} ({split} split) {count} times: it can stand for one")
