"""What a finished cell leaves behind, and the table of all of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, get_args

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from molcryst_bench.base.files import whole_file, write_json
from molcryst_bench.base.settings import Settings
from molcryst_bench.training.bootstrap import Bounds

if TYPE_CHECKING:
    from molcryst_bench.bench.cell import CellPlan

RESULTS, RESULT = "results", "cell.json"


class CellResult(Settings):
    """One row of ``results.parquet``; errors are in ``error_unit``."""

    task: str
    dataset: str
    target: str
    split: str
    model: str
    seed: int
    profile: str
    unit: str
    error_unit: str
    mae: float
    rmse: float
    r2: float
    mae_low: float | None = None  # 95 % bootstrap interval over the test items, and so on
    mae_high: float | None = None
    rmse_low: float | None = None
    rmse_high: float | None = None
    r2_low: float | None = None
    r2_high: float | None = None
    forces_unit: str | None = None  # of the errors of the forces, where they are learnt
    forces_mae: float | None = None  # over components
    forces_rmse: float | None = None
    forces_cosine: float | None = None  # mean over atoms
    forces_mae_low: float | None = None
    forces_mae_high: float | None = None
    forces_rmse_low: float | None = None
    forces_rmse_high: float | None = None
    forces_cosine_low: float | None = None
    forces_cosine_high: float | None = None
    coverage_90: float | None = None  # part of the test subset in its 90 % interval
    interval_90: float | None = None  # mean width of those intervals, in error_unit
    miscalibration: float | None = None  # area between coverage and promise over all levels
    valid_mae: float
    n_train: int
    n_valid: int
    n_test: int
    parameters: int
    epochs: int
    best_epoch: int
    train_seconds: float
    graphs_per_second: float
    peak_memory_mb: float  # of the process, which may have run other cells before
    hyperparameters: str  # JSON
    training: str  # JSON
    search: str | None = None  # JSON: settings of the search that found these, if one did
    key: str
    store_digest: str
    split_digest: str
    code_digest: str
    weights_sha256: str
    predictions_sha256: str
    machine: str
    torch_version: str
    finished: str  # ISO 8601, UTC
    folder: str  # relative to the leaderboard folder

    @property
    def errors_in_words(self) -> str:
        """The mean absolute errors with their units."""
        error = f"{self.mae:.4g} {self.error_unit}"
        if self.forces_mae is None:
            return error
        return f"{error}, {self.forces_mae:.4g} {self.forces_unit}"

    def interval_of(self, error: str) -> Bounds | None:
        """Return the bootstrap interval of an error, or nothing where an older version made it."""
        low, high = getattr(self, f"{error}_low"), getattr(self, f"{error}_high")
        return None if low is None or high is None else (low, high)


def read_result(folder: Path) -> CellResult | None:
    """Return the result in the folder of a cell, or nothing where there is none to trust."""
    try:
        return CellResult.model_validate(json.loads((folder / RESULT).read_text(encoding="utf-8")))
    except (OSError, ValueError, ValidationError):
        return None


def finished_result(plan: CellPlan, results: Path) -> CellResult | None:
    """Return the result of a cell if it belongs to just this plan."""
    result = read_result(results / plan.cell.name)
    if result is None or result.key != plan.key:
        return None
    return result.model_copy(update={"profile": plan.profile})  # profiles may share cells


def write_result(folder: Path, result: CellResult) -> None:
    """Write the result of a cell into its folder."""
    write_json(folder / RESULT, result.model_dump())


def write_results(path: Path, results: Sequence[CellResult]) -> None:
    """Write ``results.parquet``, a row for each cell, sorted by task, split, model and seed."""
    rows = sorted(results, key=lambda row: (row.task, row.split, row.model, row.seed))
    types = {str: pa.string(), int: pa.int64(), float: pa.float64()}
    fields = CellResult.model_fields.items()
    schema = pa.schema([(name, types[_plain_type(field.annotation)]) for name, field in fields])
    with whole_file(path) as partial:
        table = pa.Table.from_pylist([row.model_dump() for row in rows], schema=schema)
        pq.write_table(table, partial)


def _plain_type(annotation: Any) -> type:
    """Return the type of a column; one that may be missing is null where it is."""
    plain: type = next((kind for kind in get_args(annotation) if kind is not NoneType), annotation)
    return plain


def write_metrics(path: Path, results: Sequence[CellResult]) -> None:
    """Write the mean errors over seeds as JSON, for ``dvc metrics``."""
    groups: dict[str, dict[str, list[CellResult]]] = {}
    for row in results:
        name = row.folder.removeprefix(f"{RESULTS}/").rsplit("/", 2)[0]  # with the split
        groups.setdefault(name, {}).setdefault(row.model, []).append(row)
    write_json(
        path,
        {
            task: {model: _mean_errors(rows) for model, rows in models.items()}
            for task, models in groups.items()
        },
    )


def metrics_of(result: CellResult) -> dict[str, float]:
    """Return the errors of a cell by name, with their units."""
    unit, forces_unit = result.error_unit, result.forces_unit
    errors = {
        f"mae_{unit}": result.mae,
        f"rmse_{unit}": result.rmse,
        "r2": result.r2,
        f"forces_mae_{forces_unit}": result.forces_mae,
        f"forces_rmse_{forces_unit}": result.forces_rmse,
        "forces_cosine": result.forces_cosine,
        "coverage_90": result.coverage_90,
        f"interval_90_{unit}": result.interval_90,
        "miscalibration": result.miscalibration,
    }
    return {name: error for name, error in errors.items() if error is not None}


def _mean_errors(rows: Sequence[CellResult]) -> dict[str, float]:
    errors = [metrics_of(row) for row in rows]
    return {name: sum(each[name] for each in errors) / len(rows) for name in errors[0]}
