"""Predictions of strangers: a Parquet file of known columns and sizes, read in small pieces."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from molcryst_bench.report.submissions.refusal import RefusedError

_ID, _PREDICTION, _FORCES = "id", "prediction", "forces"
_NUMBERS = ("DOUBLE", "FLOAT")
MAX_ROWS = 2_000_000
MAX_NUMBERS = 100_000_000  # components of forces
MAX_BYTES = 2 * 1024**3  # that the file says it has when it is unpacked
MAX_ID = 200  # bytes
_AT_ONCE = 16_384  # rows


@dataclass(frozen=True)
class Table:
    """Ids and what was predicted for them, in the order of the file."""

    ids: np.ndarray  # (rows,) str
    prediction: np.ndarray  # (rows,) float64; missing values are NaN
    forces: tuple[np.ndarray, np.ndarray] | None  # (components,), and how many of each row


def read_table(path: Path, name: str) -> Table:
    """Read the predictions of a submission.

    What the file says of itself is checked before any value is read, and what is read against it.

    Raises:
        RefusedError: if it is no Parquet file, or has other columns, types or sizes than it may.
    """
    try:
        with path.open("rb") as file, pq.ParquetFile(file, read_dictionary=[_ID]) as parquet:
            if reasons := list(_problems(parquet.metadata)):
                raise RefusedError(name, reasons)
            return _read(parquet, name)
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        reason = f"{path.name} is not a readable Parquet file: {error}"
        raise RefusedError(name, [reason]) from None


def _problems(metadata: Any) -> Iterator[str]:
    """Look at what the file says of itself."""
    schema = [metadata.schema.column(i) for i in range(metadata.num_columns)]
    columns = {column.path: column for column in schema}
    named = [path.split(".")[0] for path in columns]
    for wanted in (_ID, _PREDICTION):
        if wanted not in columns:
            yield f"predictions.parquet lacks the column '{wanted}'"
    for other in sorted({*named} - {_ID, _PREDICTION, _FORCES}):
        yield f"predictions.parquet has a column {other!r}: it takes id, prediction and forces"
    for path, column in columns.items():
        yield from _problems_of_type(path, column)
    yield from _problems_of_size(metadata)


def _problems_of_type(path: str, column: Any) -> Iterator[str]:
    top = path.split(".")[0]
    if top == _ID and (
        column.physical_type != "BYTE_ARRAY" or column.logical_type.type != "STRING"
    ):
        yield "the column 'id' is not made of texts"
    if top == _PREDICTION and column.physical_type not in _NUMBERS:
        yield "the column 'prediction' is not made of floating-point numbers"
    nested = column.max_repetition_level
    if top == _FORCES and (column.physical_type not in _NUMBERS or nested != 1):
        yield "the column 'forces' is not made of lists of floating-point numbers"
    if top in (_ID, _PREDICTION) and nested:
        yield f"the column '{top}' holds lists"


def _problems_of_size(metadata: Any) -> Iterator[str]:
    if metadata.num_rows > MAX_ROWS:
        yield f"predictions.parquet has {metadata.num_rows:,} rows, {MAX_ROWS:,} are allowed"
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    size = sum(group.total_byte_size for group in groups)
    if not 0 <= size <= MAX_BYTES:
        yield f"predictions.parquet unpacks to {size:,} bytes, {MAX_BYTES:,} are allowed"
    values = max((_values(group) for group in groups), default=0)
    if values > MAX_NUMBERS:
        yield f"predictions.parquet has {values:,} values, {MAX_NUMBERS:,} are allowed"


def _values(group: Any) -> int:
    return sum(group.column(i).num_values for i in range(group.num_columns))


def _read(parquet: Any, name: str) -> Table:
    ids: list[np.ndarray] = []
    predictions: list[np.ndarray] = []
    forces: list[tuple[np.ndarray, np.ndarray]] = []
    rows = 0
    for batch in parquet.iter_batches(_AT_ONCE, use_threads=False):
        rows += len(batch)
        if rows > parquet.metadata.num_rows:
            raise RefusedError(name, ["predictions.parquet has more rows than it says"])
        ids.append(_texts(batch.column(_ID), name))
        predictions.append(_floats(batch.column(_PREDICTION)))
        if _FORCES in batch.schema.names:
            forces.append(_lists(batch.column(_FORCES)))
    if not rows:
        raise RefusedError(name, ["predictions.parquet has no rows"])
    return Table(
        np.concatenate(ids),
        np.concatenate(predictions),
        (_joined(forces, 0), _joined(forces, 1)) if forces else None,
    )


def _joined(parts: list[tuple[np.ndarray, np.ndarray]], which: int) -> np.ndarray:
    return np.concatenate([part[which] for part in parts])


def _texts(column: Any, name: str) -> np.ndarray:
    """Return a dictionary of texts as an array, after looking how long they are."""
    words = column.dictionary.to_pylist()
    if column.null_count or None in words:
        raise RefusedError(name, ["predictions.parquet has rows without an id"])
    if long := [word for word in words if len(word.encode()) > MAX_ID]:
        reason = f"an id has {len(long[0].encode()):,} bytes, {MAX_ID} are allowed"
        raise RefusedError(name, [reason])
    texts: np.ndarray = np.array(words, dtype=object)[column.indices.to_numpy()]
    return texts


def _floats(column: Any) -> np.ndarray:
    values: np.ndarray = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return values


def _lists(column: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return all components, and how many belong to each row; none to a row without a list."""
    lengths = column.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    return _floats(column.flatten()), lengths.astype(np.int64)
