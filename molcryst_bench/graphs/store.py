"""Reading a graph store: one graph, or all of it as flat tensors for the loader."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from molcryst_bench.base.errors import StoreError
from molcryst_bench.graphs.layout import SCHEMA_VERSION, id_digest
from molcryst_bench.graphs.neighbors import GraphSpec
from molcryst_bench.graphs.shards import ShardReader, open_files
from molcryst_bench.graphs.split_folder import SplitFolder
from molcryst_bench.sources.card import Feature, Target

if TYPE_CHECKING:
    from torch import Tensor
    from torch_geometric.data import Data

    from molcryst_bench.graphs.flat import FlatGraphs
    from molcryst_bench.graphs.loader import GraphLoader
    from molcryst_bench.graphs.scratch import Scratch
    from molcryst_bench.graphs.split import Split
    from molcryst_bench.graphs.stream import StreamLoader

_THREADS = 2  # that read and decode arrays
_ADVICE = (
    "Delete it, then build it again with `molcryst data build` or get it again with `dvc pull`."
)
_SPLIT_ADVICE = (
    "Get the splits again from git, draw them again with `molcryst data split`, or build the store "
    "of the dataset that they were made for."
)


def open_store(path: str | Path, storage_options: Mapping[str, Any] | None = None) -> GraphStore:
    """Open a graph store at a local path or an fsspec URL.

    Args:
        path: such as ``datasets/qm9/store.zarr`` or ``s3://bucket/qm9/store.zarr``.
        storage_options: for the file system of a URL, beside what its environment variables and
            fsspec's configuration files say, such as ``{"endpoint_url": "https://..."}``.

    Raises:
        StoreError: if there is none, it cannot be reached, or it has another schema version.
    """
    return GraphStore(path, storage_options)


class GraphStore:
    """Graphs of one dataset with their targets, read from a sharded Zarr v3 store.

    ``len(store)`` graphs; ``store[i]`` is one as ``torch_geometric.data.Data``. Positions are in Å,
    targets in the units of ``store.targets``.
    """

    def __init__(self, path: str | Path, storage_options: Mapping[str, Any] | None = None) -> None:
        self.path = str(path)
        self.storage_options = dict(storage_options or {})
        self.group = _open_group(self.path, self.storage_options)
        self._shards = ShardReader(self.path, self.storage_options)
        self._arrays: dict[str, zarr.Array[Any]] = {}
        self.attributes: dict[str, Any] = dict(self.group.attrs)
        version = self.attributes.get("schema_version")
        if version != SCHEMA_VERSION:
            message = f"{self.path} has schema version {version}, this is {SCHEMA_VERSION}"
            raise StoreError(f"{message}: build it again with `molcryst data build`")
        try:
            self._read_attributes()
        except (KeyError, TypeError, ValueError) as error:
            problem = f"{self.path}: zarr.json is damaged ({type(error).__name__}: {error})"
            raise StoreError(f"{problem}. {_ADVICE}") from error

    def _read_attributes(self) -> None:
        self.dataset: str = self.attributes["dataset"]
        self.digest: str = self.attributes["digest"]
        self.array_digests: dict[str, str] = self.attributes["array_digests"]
        self.spec = GraphSpec(**self.attributes["graph"])
        self.targets = {
            name: Target(**target) for name, target in self.attributes["targets"].items()
        }
        self.features = {
            name: Feature(**feature)
            for name, feature in self.attributes.get("features", {}).items()
        }

    def __len__(self) -> int:
        return self.array("graphs/id").shape[0]

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
    def splits(self) -> SplitFolder:
        """The splits that lie beside the store."""
        return SplitFolder.beside(self.path, self.storage_options)

    @cached_property
    def bytes_per_graph(self) -> int:
        """Mean size of a graph in memory, with all its targets."""
        arrays = (array for group in self.group.group_values() for array in group.array_values())
        return sum(array.nbytes for array in arrays) // max(len(self), 1)

    def read(self, name: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Read rows ``start`` to ``stop`` of an array, all by default.

        Raises:
            StoreError: naming the first shard that is damaged or missing.
        """
        first, last, _ = slice(start, stop).indices(self.array(name).shape[0])
        return self.read_blocks(name, [slice(first, max(first, last))])

    def read_blocks(
        self, name: str, blocks: Sequence[slice], scratch: Scratch | None = None
    ) -> np.ndarray:
        """Read blocks of rows of an array, one after the other, as `read` does."""
        try:
            return self._shards.read(self.array(name), blocks, scratch)
        except StoreError as error:
            raise StoreError(f"{self.path}/{error}. {_ADVICE}") from error

    def read_all(
        self, wanted: Mapping[str, Sequence[slice]], scratch: Scratch | None = None
    ) -> dict[str, np.ndarray]:
        """Read blocks of rows of several arrays at once; decoding does not hold Python's lock."""
        arrays = self._threads.map(self.read_blocks, wanted, wanted.values(), repeat(scratch))
        return dict(zip(wanted, arrays, strict=True))

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(_THREADS)  # to start them takes as long as to read a little

    def array(self, name: str) -> zarr.Array[Any]:
        """Return an array as Zarr has it.

        Raises:
            StoreError: if there is none of this name.
        """
        if name not in self._arrays:
            array = self.group.get(name)
            if not isinstance(array, zarr.Array):
                raise StoreError(f"{self.path} has no array {name}")
            self._arrays[name] = array
        return self._arrays[name]

    def split(self, name: str = "random") -> Split:
        """Return a split of the dataset, restricted to the records of this store."""
        from molcryst_bench.graphs.split import read_split

        return read_split(self.splits, name).checked(self)

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

        rows = self._rows(split, subset, group, in_blocks=stream)
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

    def _rows(self, split: str, subset: str, group: str | None, in_blocks: bool) -> Tensor:
        """Return the positions of a subset, without all ids in memory where that can be done."""
        from molcryst_bench.graphs.split_rows import rows_in_blocks

        if in_blocks and group is None:
            found = rows_in_blocks(self.splits, split, self, subset)
            if found is not None and len(found):
                return found
        drawn = self.split(split)
        return (drawn if group is None else drawn.of_group(group)).rows(subset)

    def verify(self, progress: Callable[[int, int], None] = lambda done, total: None) -> None:
        """Check every file of the store, its values and its splits.

        Args:
            progress: told how many of how many arrays are done.

        Raises:
            StoreError: listing all that is damaged, and what to do about it.
        """
        from molcryst_bench.graphs.verify import SPLITS, find_damage

        damage = find_damage(self, progress)
        splits = [each for each in damage if each.array.startswith(SPLITS)]
        lines = "\n".join(f"  {each}" for each in damage)
        if len(splits) < len(damage):
            raise StoreError(f"{self.path} is not what was built:\n{lines}\n{_ADVICE}")
        if splits:
            problem = f"{self.path} holds what was built, but splits beside it do not fit it"
            raise StoreError(f"{problem}:\n{lines}\n{_SPLIT_ADVICE}")

    def check_shards(self) -> None:
        """Look whether all shards are there and end as they should, without reading them.

        Raises:
            StoreError: naming the first array or shard that is missing or cut short.
        """
        for name in self.array_digests:
            self._shards.check(self.array(name))

    def population_digest(self) -> str:
        """Return the digest of the ids of the whole dataset of which this store may be a sample."""
        digest: str = self.attributes["population"]["id_digest"]
        return digest

    def id_digest(self) -> str:
        """Return the digest of the ids in this store."""
        return id_digest(self.ids.tolist())


def _open_group(path: str, storage_options: Mapping[str, Any]) -> zarr.Group:
    try:
        files = open_files(path, storage_options)
        return zarr.open_group(files, mode="r", zarr_format=3, use_consolidated=True)
    except ImportError as error:
        raise StoreError(f"{path} cannot be read by what is installed: {error}") from error
    except (OSError, ValueError, KeyError, TypeError, StoreError) as error:
        reason = str(error) if isinstance(error, StoreError) else f"zarr.json: {error}"
        advice = "make one with `molcryst data build`, or check its address and your access to it"
        raise StoreError(f"{path} is not a graph store ({reason}): {advice}") from error
