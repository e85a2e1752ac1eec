"""The numbers of a cell, computed once more from its predictions."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from molcryst_bench.base.errors import RunError
from molcryst_bench.base.files import checksum_of
from molcryst_bench.bench.result import RESULT
from molcryst_bench.report.results import Cell, Predictions, cell_folder
from molcryst_bench.sources.card import Target
from molcryst_bench.training.bootstrap import Bounds
from molcryst_bench.training.checkpoint import WEIGHTS
from molcryst_bench.training.coverage import miscalibration_area
from molcryst_bench.training.metrics import (
    error_terms,
    errors_of,
    force_errors_from,
    force_intervals_of,
    intervals_of,
)
from molcryst_bench.training.uncertainty import Calibration, load_calibration

# Sums of float64 differ in the last digits between processors, and between orders of the items.
_AGREEMENT = 1e-9  # relative
_NOTHING = 1e-12  # where a number is zero
_NAMES = {"mae": "an MAE", "rmse": "an RMSE", "r2": "an R²"}
_COVERAGE = 0.9  # of the intervals in the results
_ADVICE = "restore the file, or run `molcryst bench run` again"


def check_cell(
    leaderboard: Path,
    cell: Cell,
    predictions: Predictions,
    target: Target,
    forces: tuple[np.ndarray, Target] | None = None,
) -> None:
    """Refuse a cell whose weights have changed, or whose numbers are not those of its files.

    Args:
        leaderboard: where the files lie.
        cell: a row of ``results.parquet``.
        predictions: of the cell, whose checksum is right.
        target: their definition.
        forces: what the errors of the forces are made of, (5, items), and their definition.

    Raises:
        RunError: naming the cell, the file, and what is stored and found.
    """
    if problem := weights_problem(leaderboard, cell):
        raise RunError(f"{problem}: {_ADVICE}")
    found = numbers_of(leaderboard, cell, predictions, target, forces)
    problems = [*number_problems(leaderboard, cell, found), *result_problems(leaderboard, cell)]
    if problems:
        raise RunError(f"{problems[0]}: {_ADVICE}")


def weights_problem(leaderboard: Path, cell: Cell) -> str | None:
    """Say how the checkpoint differs from the one that was evaluated, if it does."""
    path = cell_folder(leaderboard, cell) / WEIGHTS
    if not path.exists():
        return f"{path} is missing, which results.parquet names for {cell.name}"
    found = checksum_of(path)
    if found == cell.weights_sha256:
        return None
    stored = cell.weights_sha256
    return f"{path} has changed since {cell.name} was trained: sha256 {found}, stored is {stored}"


def numbers_of(
    leaderboard: Path,
    cell: Cell,
    predictions: Predictions,
    target: Target,
    forces: tuple[np.ndarray, Target] | None = None,
) -> dict[str, float]:
    """Return all numbers that follow from predictions, by their columns in the results.

    Those of intervals are missing where there are no errors of the validation subset. See
    ``check_cell`` for the arguments.
    """
    pair = predictions.prediction, predictions.target
    found: dict[str, float] = {"n_test": len(predictions.ids)}
    found |= errors_of(*pair, target)._asdict()
    found |= _bounds(intervals_of(error_terms(*pair), target))
    if forces is not None:
        errors = force_errors_from(forces[0].mean(1), forces[1])
        of_forces = {name: float(value) for name, value in errors.items()}
        of_forces |= _bounds(force_intervals_of(*forces))
        found |= {f"forces_{name}": value for name, value in of_forces.items()}
    calibration = load_calibration(cell_folder(leaderboard, cell))
    return found if calibration is None else found | _coverage(calibration, pair, target)


def number_problems(leaderboard: Path, cell: Cell, found: Mapping[str, float]) -> Iterator[str]:
    """Say which numbers of the results are not those that were found."""
    path = cell_folder(leaderboard, cell) / "predictions.parquet"
    for name, value in found.items():
        stored = getattr(cell, name)
        if stored is not None and not agree(stored, value):
            what = _NAMES.get(name, f"a {name}")
            unit = f" {_unit(cell, name)}".rstrip()
            said = f"results.parquet says {stored:.12g}{unit}"
            yield f"{cell.name}: {path} gives {what} of {value:.12g}{unit}, {said}"


def result_problems(leaderboard: Path, cell: Cell) -> Iterator[str]:
    """Say which fields of the results are not those that the cell itself has kept."""
    path = cell_folder(leaderboard, cell) / RESULT
    if not path.exists():
        return
    try:
        kept: Any = json.loads(path.read_text(encoding="utf-8"))
        kept = {name: kept.get(name) for name in Cell.model_fields}
    except (OSError, ValueError, AttributeError) as error:
        yield f"{path} is not readable ({error})"
        return
    for name, value in cell.model_dump(exclude={"profile"}).items():  # profiles may share cells
        if not _same(kept[name], value):
            yield f"{cell.name}: {path} says {name} {kept[name]}, results.parquet says {value}"


def agree(stored: float, found: float) -> bool:
    """Whether two numbers are the same to nine digits; what is no number agrees with its like."""
    if not (math.isfinite(stored) and math.isfinite(found)):
        return not math.isfinite(stored) and not math.isfinite(found)
    return math.isclose(stored, found, rel_tol=_AGREEMENT, abs_tol=_NOTHING)


def _same(kept: Any, value: Any) -> bool:
    if isinstance(kept, float) and isinstance(value, float):
        return kept == value or (math.isnan(kept) and math.isnan(value))
    return bool(kept == value)


def _bounds(intervals: Mapping[str, Bounds]) -> dict[str, float]:
    lows = {f"{name}_low": low for name, (low, _) in intervals.items()}
    return lows | {f"{name}_high": high for name, (_, high) in intervals.items()}


def _coverage(
    calibration: Calibration, pair: tuple[np.ndarray, np.ndarray], target: Target
) -> dict[str, float]:
    found = {"miscalibration": miscalibration_area(calibration.levels(*pair))}
    measured = calibration.measure(*pair, coverage=_COVERAGE)
    if measured is not None:
        found["coverage_90"] = measured.coverage
        found["interval_90"] = measured.width * target.error_factor
    return found


def _unit(cell: Cell, name: str) -> str:
    if not any(part in name for part in ("mae", "rmse", "interval_90")):
        return ""
    return (cell.forces_unit or "") if name.startswith("forces_") else cell.error_unit
