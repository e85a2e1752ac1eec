"""What a finished cell leaves behind, and the table of all of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from molcryst_bench.base.files import whole_file, write_json
from molcryst_bench.base.settings import Settings

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


def read_result(folder: Path) -> CellResult | None:
    """Return the result in the folder of a cell, or nothing where there is none to trust."""
    try:
        return CellResult.model_validate(json.loads((folder / RESULT).read_text(encoding="utf-8")))
    except (OSError, ValueError, ValidationError):
        return None


def write_result(folder: Path, result: CellResult) -> None:
    """Write the result of a cell into its folder."""
    write_json(folder / RESULT, result.model_dump())


def write_results(path: Path, results: Sequence[CellResult]) -> None:
    """Write ``results.parquet``, a row for each cell, sorted by task, model and seed."""
    rows = sorted(results, key=lambda row: (row.task, row.model, row.seed))
    types = {str: pa.string(), int: pa.int64(), float: pa.float64()}
    schema = pa.schema(
        [
            (name, types[field.annotation])
            for name, field in CellResult.model_fields.items()
            if field.annotation in types
        ]
    )
    with whole_file(path) as partial:
        table = pa.Table.from_pylist([row.model_dump() for row in rows], schema=schema)
        pq.write_table(table, partial)


def write_metrics(path: Path, results: Sequence[CellResult]) -> None:
    """Write the mean errors over seeds as JSON, for ``dvc metrics``."""
    groups: dict[str, dict[str, list[CellResult]]] = {}
    for row in results:
        groups.setdefault(row.task, {}).setdefault(row.model, []).append(row)
    write_json(
        path,
        {
            task: {model: _mean_errors(rows) for model, rows in models.items()}
            for task, models in groups.items()
        },
    )


def _mean_errors(rows: Sequence[CellResult]) -> dict[str, float]:
    unit = rows[0].error_unit
    return {
        f"mae_{unit}": sum(row.mae for row in rows) / len(rows),
        f"rmse_{unit}": sum(row.rmse for row in rows) / len(rows),
        "r2": sum(row.r2 for row in rows) / len(rows),
    }
