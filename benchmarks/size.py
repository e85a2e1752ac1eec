"""Bytes on disk, against the processed file of PyTorch Geometric."""

from __future__ import annotations

import tempfile
from pathlib import Path

from torch_geometric.data import Data, InMemoryDataset

from benchmarks.compare import Row
from benchmarks.data import as_data, coremof_store, qm9_store
from molcryst_bench.graphs.store import GraphStore


def rows() -> list[Row]:
    """Return the rows on storing."""
    return [_on_disk("QM9", qm9_store()), _on_disk("CoRE MOF", coremof_store())]


def _on_disk(name: str, store: GraphStore) -> Row:
    """Compare sizes: no clock is involved, so one round tells all."""
    files = (path for path in Path(store.path).rglob("*") if path.is_file())
    ours = sum(path.stat().st_size for path in files) / len(store)
    theirs = _processed_file_bytes(store) / len(store)
    return Row(
        f"{name} graphs on disk, all targets",
        "PyG processed file, both edge directions",
        "bytes/graph",
        ours,
        theirs,
        theirs / ours,
        (theirs / ours, theirs / ours),
        "positions, and charges of molecules, are noise to a compressor: most of what is left",
    )


def _processed_file_bytes(store: GraphStore) -> int:
    """Return the size of a file with the same content, all targets among it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "processed.pt"
        full = [
            Data(**plain.to_dict() | store[row].targets) for row, plain in enumerate(as_data(store))
        ]
        InMemoryDataset.save(full, str(path))
        return path.stat().st_size
