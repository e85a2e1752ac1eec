"""What a model makes of every structure of a dataset before its last layer, on disk with ids."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from molcryst_bench.base.errors import RunError, SettingsError, StoreError
from molcryst_bench.base.files import whole_file
from molcryst_bench.graphs.store import GraphStore
from molcryst_bench.training.predict import Predictor
from molcryst_bench.training.process import without_denormals
from molcryst_bench.training.task import load_task

_BATCH = 128
_FACTS = b"molcryst_bench"
_COLUMNS = ("id", "value", "prediction", "embedding")


@dataclass(frozen=True)
class Embeddings:
    """A table of structures: rows of numbers with what is known and predicted of each."""

    ids: np.ndarray  # (structures,) str
    values: np.ndarray  # (structures,) float64 in ``unit``; NaN where not known
    predictions: np.ndarray  # (structures,) float64; NaN where nothing predicts
    features: np.ndarray  # (structures, width) float32
    facts: dict[str, Any]  # task, model, unit, what the features are, digest of the store

    @property
    def name(self) -> str:
        """What the features are, such as ``qm9/homo schnet``."""
        return f"{self.facts['task']} {self.facts['model']}"

    @property
    def error(self) -> float:
        """Mean absolute error of the predictions, in the unit of the values; NaN without any."""
        off = np.abs(self.predictions - self.values)
        return float(np.nanmean(off)) if np.isfinite(off).any() else float("nan")

    def take(self, rows: np.ndarray) -> Embeddings:
        """Return some of the structures."""
        known = (self.ids[rows], self.values[rows], self.predictions[rows])
        return Embeddings(*known, self.features[rows], self.facts)

    def save(self, path: Path) -> None:
        """Write a Parquet file: id, value, prediction, embedding."""
        flat = pa.array(np.ascontiguousarray(self.features, np.float32).ravel())
        width = self.features.shape[1]
        columns = [
            pa.array(self.ids.tolist()),
            pa.array(self.values),
            pa.array(self.predictions),
            pa.FixedSizeListArray.from_arrays(flat, width),
        ]
        table = pa.table(dict(zip(_COLUMNS, columns, strict=True)))
        table = table.replace_schema_metadata({_FACTS: json.dumps(self.facts, sort_keys=True)})
        with whole_file(path) as partial:
            pq.write_table(table, partial, compression="zstd")

    @classmethod
    def load(cls, path: Path) -> Embeddings:
        """Read what ``save`` wrote.

        Raises:
            SettingsError: if it is something else.
        """
        try:
            table = pq.read_table(path)
            facts = json.loads((table.schema.metadata or {})[_FACTS])
            ids, values, predictions, rows = (table[c].combine_chunks() for c in _COLUMNS)
        except (OSError, pa.ArrowInvalid, KeyError, ValueError) as error:
            problem = f"{path} is no table of embeddings ({error})"
            raise SettingsError(f"{problem}: make one with `molcryst embed`") from error
        features = rows.flatten().to_numpy(zero_copy_only=False).reshape(len(ids), -1)
        numbers = (
            values.to_numpy(zero_copy_only=False),
            predictions.to_numpy(zero_copy_only=False),
        )
        return cls(np.array(ids.to_pylist(), dtype=str), *numbers, features, facts)


@without_denormals()
def embed(
    predictor: Predictor,
    store: GraphStore,
    rows: np.ndarray,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Embeddings:
    """Return the second-last layer of a model for structures of a store.

    Args:
        predictor: one trained model; of an ensemble, the first.
        store: with graphs as the model was trained on.
        rows: which structures, (structures,).
        progress: told how many of how many structures are done.

    Raises:
        StoreError: if the graphs of the store are made otherwise than those of the model.
    """
    card = predictor.card
    if store.spec != card.graph:
        made, wanted = store.spec, card.graph
        raise StoreError(f"{store.path} has graphs with {made}, the model takes {wanted}")
    regressor = predictor.members[0].eval()
    graphs = store.graphs.with_targets([load_task(card.task).target])
    features, predictions = [], []
    with torch.inference_mode():
        for start in range(0, len(rows), _BATCH):
            batch = graphs.select(torch.from_numpy(rows[start : start + _BATCH])).to(
                str(predictor.device)
            )
            output = regressor.model(batch)
            features.append(output.graph_features.float().cpu())
            restored = regressor.scaler.restore(output.prediction[:, 0], batch)
            predictions.append(restored.cpu())
            progress(min(start + _BATCH, len(rows)), len(rows))
    return Embeddings(
        ids=store.ids[rows],
        values=graphs.graph_targets[rows, 0].double().numpy(),
        predictions=torch.cat(predictions).double().numpy(),
        features=torch.cat(features).numpy(),
        facts={
            "task": card.task,
            "quantity": card.quantity,
            "model": card.model,
            "seed": card.seed,
            "unit": card.unit,
            "store_digest": store.digest,
        },
    )


def chosen_rows(
    store: GraphStore, size: int | None, seed: int, split: str, subset: str, group: str = ""
) -> np.ndarray:
    """Return rows of a store: of a subset or of all, a random part of them if that is too many.

    Args:
        store: of the dataset.
        size: how many at most; all by default.
        seed: of the draw.
        split: name of a split.
        subset: ``train``, ``valid``, ``test``, or ``all``.
        group: take records of this group alone.

    Raises:
        RunError: if nothing is left.
    """
    if subset == "all":
        rows = np.arange(len(store))
        if group:
            rows = rows[[name.startswith(f"{group}/") for name in store.ids.tolist()]]
    else:
        drawn = store.split(split)
        rows = (drawn.of_group(group) if group else drawn).rows(subset).numpy()
    if not len(rows):
        raise RunError(f"{store.path} has no {subset} structures of the split '{split}'")
    if size is not None and size < len(rows):
        rows = np.sort(np.random.default_rng(seed).choice(rows, size, replace=False))
    return rows
