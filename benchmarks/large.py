"""A store larger than memory, made by repeating the molecules of a small one."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from molcryst_bench.base.errors import SettingsError
from molcryst_bench.graphs.layout import id_digest
from molcryst_bench.graphs.split import SUBSETS, Split, save_split
from molcryst_bench.graphs.store import GraphStore
from molcryst_bench.graphs.writer import write_store
from molcryst_bench.sources.card import load_card

_DISK_PER_BYTE = 1.6  # parts, which go away, and the compressed store, for each byte of content
_TEST_PART = 0.1


def write_large_store(
    source: GraphStore, folder: Path, gigabytes: float, progress: Callable[[int, int], None]
) -> Path:
    """Write a store of this size, decoded, with a random split beside it; return its path.

    Args:
        source: graphs to repeat; every copy has ids of its own.
        folder: an empty folder.
        gigabytes: size of the content in memory.
        progress: takes how many copies are made, and of how many.

    Raises:
        SettingsError: if the disk is too small.
    """
    copies = max(1, round(gigabytes * 1e9 / (len(source) * source.bytes_per_graph)))
    _check_space(folder, gigabytes)
    part, parts = _as_part(source), [folder / f"part-{copy}.npz" for copy in range(copies)]
    for copy, path in enumerate(parts):
        np.savez(path, **part | {"graphs/id": _ids(source, copy)})
        progress(copy + 1, copies)
    ids = np.concatenate([_ids(source, copy) for copy in range(copies)])
    _save_random_split(ids, folder / "splits" / "random.parquet")
    population = {"records": len(ids), "id_digest": id_digest(ids.tolist())}
    path = folder / "store.zarr"
    path.mkdir()
    attributes = source.attributes | {"population": population}
    write_store(parts, path, load_card(source.dataset), attributes)
    for part_path in parts:
        part_path.unlink()
    return path


def _check_space(folder: Path, gigabytes: float) -> None:
    needed, free = gigabytes * _DISK_PER_BYTE, shutil.disk_usage(folder).free / 1e9
    if free < needed:
        raise SettingsError(f"{folder} has {free:.0f} GB free, {needed:.0f} GB are needed")


def _as_part(store: GraphStore) -> dict[str, np.ndarray]:
    """Return all arrays of a store as a part of another."""
    names = ["graphs/cell", "graphs/pbc", "nodes/atomic_number", "nodes/position"]
    names += ["edges/sender", "edges/receiver", "edges/shift"]
    names += [f"targets/{name}" for name in store.targets]
    names += [f"features/{name}" for name in store.features]
    counts = {
        f"{rows}s/count": np.diff(store.read(f"graphs/{rows}_offset")) for rows in ("node", "edge")
    }
    return counts | {name: store.read(name) for name in names}


def _ids(store: GraphStore, copy: int) -> np.ndarray:
    """Return ids that are in order over all copies, as those of a real dataset mostly are."""
    return np.char.add(f"{copy:06d}-", store.ids)


def _save_random_split(ids: np.ndarray, path: Path) -> None:
    path.parent.mkdir()
    test = np.random.default_rng(0).random(len(ids)) < _TEST_PART
    subset = np.where(test, SUBSETS.index("test"), SUBSETS.index("train")).astype(np.int8)
    save_split(Split(path.stem, ids, subset, id_digest(ids.tolist())), path)
