"""Predictions of a cell for every item of its test subset, as a Parquet file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from molcryst_bench.training.evaluate import Forces, Predictions
from molcryst_bench.training.task import Task

PREDICTIONS = "predictions.parquet"


def write_predictions(path: Path, test: Predictions, task: Task) -> None:
    """Write ids, targets and predictions; forces as one list for each item, atom by atom."""
    columns = {"id": test.ids.tolist(), "target": test.target, "prediction": test.prediction}
    metadata = {"unit": task.definition.unit}
    if test.forces is not None and task.forces_definition is not None:
        columns |= _force_columns(test.forces)
        metadata["forces_unit"] = task.forces_definition.unit
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), path)


def _force_columns(forces: Forces) -> dict[str, pa.Array]:
    """Return lists of x, y, z of the first atom, x, y, z of the second, and so on."""
    offsets = pa.array(np.concatenate([[0], 3 * forces.atoms.cumsum()]), pa.int32())
    values = {"forces_target": forces.target, "forces_prediction": forces.prediction}
    return {
        name: pa.ListArray.from_arrays(offsets, pa.array(value.ravel()))
        for name, value in values.items()
    }
