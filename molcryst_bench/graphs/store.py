"""Reading a graph store: one graph, or all of it as flat tensors for the loader."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from numpy.dtypes import StringDType

from molcryst_bench.base.errors import StoreError
from molcryst_bench.graphs.layout import (
    SCHEMA_VERSION,
    ArraySpec,
    array_digest,
    id_digest,
    row_blocks,
    store_digest,
)
from molcryst_bench.graphs.neighbors import GraphSpec
from molcryst_bench.sources.card import Feature, Target

if TYPE_CHECKING:
    from torch_geometric.data import Data

    from molcryst_bench.graphs.flat import FlatGraphs
    from molcryst_bench.graphs.loader import GraphLoader
    from molcryst_bench.graphs.split import Split
    from molcryst_bench.graphs.stream import StreamLoader

_BLOCK_BYTES = 32 << 20


def open_store(path: str | Path) -> GraphStore:
    """Open a graph store at a local path or an fsspec URL.

    Raises:
        StoreError: if there is none, or one of another schema version.
    """
    return GraphStore(path)


class GraphStore:
    """Graphs of one dataset with their targets, read from a sharded Zarr v3 store.

    ``len(store)`` graphs; ``store[i]`` is one as ``torch_geometric.data.Data``. Positions are in Å,
    targets in the units of ``store.targets``.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = str(path)
        self._group = _open_group(self.path)
        self.attributes: dict[str, Any] = dict(self._group.attrs)
        version = self.attributes.get("schema_version")
        if version != SCHEMA_VERSION:
            message = f"{self.path} has schema version {version}, this is {SCHEMA_VERSION}"
            raise StoreError(f"{message}: build it again with `molcryst data build`")
        self.dataset: str = self.attributes["dataset"]
        self.digest: str = self.attributes["digest"]
        self.spec = GraphSpec(**self.attributes["graph"])
        self.targets = {
            name: Target(**target) for name, target in self.attributes["targets"].items()
        }

        self.features = {
            name: Feature(**feature)
            for name, feature in self.attributes.get("features", {}).items()
        }

    def __len__(self) -> int:
        return self._array("graphs/id").shape[0]

    def __repr__(self) -> str:
        return f"GraphStore({self.path!r}, {len(self):,} graphs, digest {self.digest[:12]})"

    def __getitem__(self, index: int) -> Data:
        """Return graph ``index``; targets are the dictionary ``data.targets``."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"graph {index} of a store of {len(self)}")
        from molcryst_bench.graphs.single import one_graph

        return one_graph(self.graphs.select([index % len(self)]), 0)

    @cached_property
    def ids(self) -> np.ndarray:
        """Ids of all records, in the order of the store."""
        return np.array(self.read("graphs/id").tolist(), dtype=str)

    @cached_property
    def graphs(self) -> FlatGraphs:
        """All graphs as flat tensors in memory."""
        from molcryst_bench.graphs.flat import FlatGraphs

        return FlatGraphs.from_store(self)

    @cached_property
    def periodic(self) -> bool:
        """Whether any graph is periodic."""
        return bool(self.read("graphs/pbc").any())

    @property
    def bytes_per_graph(self) -> int:
        """Mean size of a graph in memory, with all its targets."""
        arrays = (array for group in self._group.group_values() for array in group.array_values())
        return sum(array.nbytes for array in arrays) // max(len(self), 1)

    def read(self, name: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Read rows ``start`` to ``stop`` of an array, all by default.

        Raises:
            StoreError: if it is missing or a chunk of it is damaged.
        """
        with self._explained_damage(name):
            return np.asarray(self._array(name)[start:stop])

    def split(self, name: str = "random") -> Split:
        """Return a split of the dataset, restricted to the records of this store."""
        from molcryst_bench.graphs.split import load_split

        folder = Path(self.path).parent / "splits"
        return load_split(folder / f"{name}.parquet").checked(self)

    def loader(
        self,
        split: str = "random",
        subset: str = "train",
        batch_size: int | None = 128,
        shuffle: bool = False,
        seed: int = 0,
        targets: Sequence[str] | None = None,
        *,
        group: str | None = None,
        max_atoms: int | None = None,
        max_edges: int | None = None,
        stream: bool = False,
        rank: int = 0,
        ranks: int = 1,
    ) -> GraphLoader | StreamLoader:
        """Return an iterable of batches of one subset of a split.

        Args:
            split: name of a split of the dataset.
            subset: ``train``, ``valid`` or ``test``.
            batch_size: largest number of graphs in a batch; the last may be smaller.
            shuffle: whether each epoch has its own order, which depends on ``seed`` alone.
            seed: of the order.
            targets: names to load; all by default.
            group: take the records of this group alone, such as one molecule of rMD17.
            max_atoms: largest number of atoms in a batch.
            max_edges: largest number of directed edges in a batch.
            stream: read the store block by block instead of holding it in memory.
            rank: which of the ``ranks`` that share each epoch this is.
            ranks: how many share it.
        """
        from molcryst_bench.graphs.loader import GraphLoader
        from molcryst_bench.graphs.stream import StreamLoader

        drawn = self.split(split)
        rows = (drawn if group is None else drawn.of_group(group)).rows(subset)
        common: dict[str, Any] = {
            "max_atoms": max_atoms,
            "max_edges": max_edges,
            "rank": rank,
            "ranks": ranks,
        }
        if stream:
            return StreamLoader(self, rows, batch_size, shuffle, seed, targets=targets, **common)
        graphs = self.graphs if targets is None else self.graphs.with_targets(targets)
        return GraphLoader(graphs, rows, batch_size, shuffle, seed, **common)

    def verify(self) -> None:
        """Recompute the digest from the stored values.

        Raises:
            StoreError: naming the arrays that differ, or one that cannot be read.
        """
        expected: dict[str, str] = self.attributes["array_digests"]
        found = {name: self._digest_of(name) for name in expected}
        wrong = [name for name in expected if found[name] != expected[name]]
        if wrong or store_digest(found) != self.digest:
            names = ", ".join(wrong) or "the list of digests"
            raise StoreError(f"{self.path}: changed since it was built: {names}")

    def population_digest(self) -> str:
        """Return the digest of the ids of the whole dataset of which this store may be a sample."""
        digest: str = self.attributes["population"]["id_digest"]
        return digest

    def id_digest(self) -> str:
        """Return the digest of the ids in this store."""
        return id_digest(self.ids.tolist())

    def _digest_of(self, name: str) -> str:
        with self._explained_damage(name):
            array = self._array(name)
            dtype = StringDType() if isinstance(array.dtype, StringDType) else array.dtype
            spec = ArraySpec(name, dtype, array.shape)
            rows = max(1, _BLOCK_BYTES // spec.row_bytes)
            blocks = (np.asarray(array[block]) for block in row_blocks(array.shape[0], rows))
            return array_digest(spec, blocks)

    @contextmanager
    def _explained_damage(self, name: str) -> Iterator[None]:
        try:
            yield
        except (KeyError, ValueError, RuntimeError) as error:
            raise StoreError(f"{self.path}: the array {name} is damaged: {error}") from error

    def _array(self, name: str) -> zarr.Array[Any]:
        array = self._group[name]
        if not isinstance(array, zarr.Array):
            raise KeyError(name)
        return array


def _open_group(path: str) -> zarr.Group:
    try:
        return zarr.open_group(path, mode="r", zarr_format=3, use_consolidated=True)
    except (FileNotFoundError, ValueError, KeyError) as error:
        message = f"{path} is not a graph store ({error}): make one with `molcryst data build`"
        raise StoreError(message) from error
