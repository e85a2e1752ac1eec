"""All graphs of a store as flat arrays, from which batches are gathered without a Python loop."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import DTypeLike
from torch import Tensor
from torch_geometric.data import Batch

from molcryst_bench.base.errors import SettingsError, unknown_name
from molcryst_bench.graphs import gather
from molcryst_bench.graphs.separable import separable_batch

if TYPE_CHECKING:
    from molcryst_bench.graphs.scratch import Scratch
    from molcryst_bench.graphs.store import GraphStore


@dataclass(frozen=True)
class Lattice:
    """What periodic graphs have beside their atoms."""

    cell: Tensor  # (graphs, 3, 3) Å, rows are vectors
    shift: np.ndarray  # (edges, 3) int8 whole cells


@dataclass(frozen=True)
class FlatGraphs:
    """Flat arrays of many graphs, as compact as the store has them; batches have wider types."""

    offset: np.ndarray  # (graphs + 1, 2) first node and first edge
    position: np.ndarray  # (nodes, 3) float32 Å
    atomic_number: np.ndarray  # (nodes,)
    sender: np.ndarray  # (edges,) counted within their graph, as the receiver
    receiver: np.ndarray  # (edges,)
    symmetric: bool  # each pair of atoms is stored once
    lattice: Lattice | None
    graph_targets: Tensor  # (graphs, targets) float64
    graph_target_names: tuple[str, ...]
    node_targets: dict[str, Tensor]  # (nodes,) or (nodes, 3) float64
    features: Tensor  # (graphs, features) float64, NaN where missing
    feature_names: tuple[str, ...]

    @classmethod
    def from_store(
        cls,
        store: GraphStore,
        targets: Sequence[str] | None = None,
        blocks: Sequence[slice] | None = None,
        scratch: Scratch | None = None,
    ) -> FlatGraphs:
        """Read blocks of graphs of a store, everything by default.

        With ``scratch`` they last until others are read into it.
        """
        names = list(store.targets) if targets is None else check_targets(targets, store.targets)
        by_level = {
            level: [f"targets/{name}" for name in names if store.targets[name].level == level]
            for level in ("graph", "node")
        }
        graphs = [slice(0, len(store))] if blocks is None else list(blocks)
        offsets = _read_offsets(store, graphs)
        nodes, edges = (
            [slice(int(each[0, kind]), int(each[-1, kind])) for each in offsets] for kind in (0, 1)
        )
        features = [f"features/{name}" for name in store.features]
        periodic = store.periodic
        wanted: dict[str, list[slice]] = {"edges/shift": edges} if periodic else {}
        wanted |= dict.fromkeys(["edges/sender", "edges/receiver"], edges)
        wanted |= dict.fromkeys(["nodes/position", "nodes/atomic_number", *by_level["node"]], nodes)
        wanted |= dict.fromkeys(["graphs/cell"] if periodic else [], graphs)
        wanted |= dict.fromkeys([*by_level["graph"], *features], graphs)
        arrays = store.read_all(wanted, scratch)
        rows = sum(block.stop - block.start for block in graphs)
        return cls(
            offset=_joined_offsets(offsets),
            position=arrays["nodes/position"],
            atomic_number=arrays["nodes/atomic_number"],
            sender=arrays["edges/sender"],
            receiver=arrays["edges/receiver"],
            symmetric=store.spec.symmetric,
            lattice=_lattice(arrays) if periodic else None,
            graph_targets=_as_columns([arrays[name] for name in by_level["graph"]], rows),
            graph_target_names=tuple(name.partition("/")[2] for name in by_level["graph"]),
            node_targets={
                name.partition("/")[2]: torch.from_numpy(arrays[name]) for name in by_level["node"]
            },
            features=_as_columns([arrays[name] for name in features], rows),
            feature_names=tuple(store.features),
        )

    def __len__(self) -> int:
        return len(self.offset) - 1

    @property
    def atoms(self) -> Tensor:
        """Number of atoms of each graph, (graphs,)."""
        return torch.from_numpy(np.diff(self.offset[:, 0]))

    @property
    def edges(self) -> Tensor:
        """Number of directed edges of each graph, (graphs,)."""
        return torch.from_numpy(np.diff(self.offset[:, 1]) * self._directions)

    @property
    def _directions(self) -> int:
        return 2 if self.symmetric else 1

    def with_targets(self, names: Sequence[str]) -> FlatGraphs:
        """Return the same graphs with these targets alone."""
        check_targets(names, [*self.graph_target_names, *self.node_targets])
        chosen = tuple(name for name in names if name in self.graph_target_names)
        columns = [self.graph_target_names.index(name) for name in chosen]
        return replace(
            self,
            graph_targets=self.graph_targets[:, columns].contiguous(),
            graph_target_names=chosen,
            node_targets={n: self.node_targets[n] for n in names if n in self.node_targets},
        )

    def select(self, rows: Sequence[int] | Tensor) -> Batch:
        """Gather graphs into one batch.

        The batch has ``z`` (nodes,), ``pos`` (nodes, 3), ``edge_index`` (2, edges) with both
        directions of each pair side by side where the list is symmetric, ``batch``, ``ptr``,
        ``targets``, ``cell`` (graphs, 3, 3) and ``edge_shift`` (edges, 3) where periodic, and
        ``features`` (graphs, features) where the dataset has any. Shifts are whole cells, int8 as
        in the store: as float32 they were a third of a batch of frameworks.

        Raises:
            IndexError: if there is no such graph.
        """
        chosen = torch.as_tensor(rows, dtype=torch.int64).numpy()
        start, ptr = self._locate(chosen)
        content: dict[str, Any] = self._structures(start, ptr)
        content["targets"] = self._targets(chosen, _Ranges(start[0], ptr[0]))
        if self.lattice is not None:
            content |= self._lattices(self.lattice, chosen, start, ptr)
        if self.feature_names:
            content["features"] = torch.from_numpy(self.features.numpy()[chosen])
        return separable_batch(content, ptr[0], ptr[1] * self._directions)

    def take(self, rows: Tensor) -> FlatGraphs:
        """Return some of the graphs, in the order of ``rows``."""
        nodes, edges = map(_Ranges, *self._locate(rows.numpy()))
        lattice = self.lattice
        return replace(
            self,
            offset=np.stack([nodes.ptr, edges.ptr], axis=1),
            position=nodes.take(self.position),
            atomic_number=nodes.take(self.atomic_number),
            sender=edges.take(self.sender),
            receiver=edges.take(self.receiver),
            lattice=lattice and Lattice(lattice.cell[rows], edges.take(lattice.shift)),
            graph_targets=self.graph_targets[rows],
            node_targets={
                name: torch.from_numpy(nodes.take(values.numpy()))
                for name, values in self.node_targets.items()
            },
            features=self.features[rows],
        )

    def _locate(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return where graphs begin here, (2, graphs), and in a batch, (2, graphs + 1)."""
        start, ptr = np.empty((2, len(rows)), np.int64), np.empty((2, len(rows) + 1), np.int64)
        gather.locate(self.offset, rows, *self._flat, start, ptr)
        return start, ptr

    @property
    def _flat(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        return self.position.reshape(-1), self.atomic_number, self.sender, self.receiver

    def _structures(self, start: np.ndarray, ptr: np.ndarray) -> dict[str, Any]:
        """Return the atoms of a batch and their neighbours."""
        nodes, edges = ptr[:, -1].tolist()
        pos, (z, graph) = np.empty((nodes, 3), np.float32), np.empty((2, nodes), np.int64)
        index = np.empty((2, edges * self._directions), np.int64)
        into = (pos.reshape(-1), z, graph, index)
        gather.write_structures(*self._flat, self.symmetric, start, ptr, *into)
        return {
            "z": torch.from_numpy(z),
            "pos": torch.from_numpy(pos),
            "edge_index": torch.from_numpy(index),
            "batch": torch.from_numpy(graph),
            "ptr": torch.from_numpy(ptr[0]),
            "symmetric": self.symmetric,
        }

    def _lattices(
        self, lattice: Lattice, rows: np.ndarray, start: np.ndarray, ptr: np.ndarray
    ) -> dict[str, Tensor]:
        """Return the cells of a batch and which of them each edge leads to."""
        shift = np.empty((ptr[1, -1] * self._directions, 3), np.int8)
        cell = np.empty((len(rows), 3, 3), np.float32)
        source = (lattice.cell.numpy(), lattice.shift.reshape(-1), self.symmetric)
        gather.write_lattices(*source, rows, start, ptr, cell, shift.reshape(-1))
        return {"cell": torch.from_numpy(cell), "edge_shift": torch.from_numpy(shift)}

    def _targets(self, rows: np.ndarray, nodes: _Ranges) -> dict[str, Tensor]:
        columns = np.empty((self.graph_targets.shape[1], len(rows)))
        gather.write_columns(self.graph_targets.numpy(), rows, columns)
        targets = dict(zip(self.graph_target_names, torch.from_numpy(columns), strict=True))
        return targets | {
            name: torch.from_numpy(nodes.take(values.numpy()))
            for name, values in self.node_targets.items()
        }


class _Ranges(NamedTuple):
    """Ranges of rows of a flat array, one for each graph of a batch."""

    start: np.ndarray  # (graphs,) in the flat array
    ptr: np.ndarray  # (graphs + 1,) in the batch

    def take(self, array: np.ndarray, dtype: DTypeLike | None = None) -> np.ndarray:
        """Return these rows of a flat array one after the other, (rows, ...)."""
        taken = np.empty((self.ptr[-1], *array.shape[1:]), array.dtype if dtype is None else dtype)
        width = array.shape[1] if array.ndim == 2 else 1
        gather.copy_ranges(array.reshape(-1), width, *self, taken.reshape(-1))
        return taken


def _read_offsets(store: GraphStore, blocks: Sequence[slice]) -> list[np.ndarray]:
    """Read where the nodes and edges of the graphs of each block lie, (graphs + 1, 2)."""
    rows = [slice(block.start, block.stop + 1) for block in blocks]
    names = (f"graphs/{kind}_offset" for kind in ("node", "edge"))
    offsets = np.stack([store.read_blocks(name, rows) for name in names], axis=1)
    return np.split(offsets, np.cumsum([block.stop - block.start + 1 for block in blocks])[:-1])


def _lattice(arrays: dict[str, np.ndarray]) -> Lattice:
    return Lattice(torch.from_numpy(arrays["graphs/cell"]).float(), arrays["edges/shift"])


def _as_columns(columns: list[np.ndarray], rows: int) -> Tensor:
    """Return (rows, columns), also where there is no column."""
    return torch.from_numpy(np.stack(columns, axis=1) if columns else np.empty((rows, 0)))


def check_targets(names: Sequence[str], known: Iterable[str]) -> list[str]:
    """Return the names of targets.

    Raises:
        SettingsError: for one that is not known, with the nearest one that is.
    """
    known = list(known)
    for name in names:
        if name not in known:
            raise SettingsError(unknown_name("target", name, known))
    return list(names)


def join_graphs(parts: Sequence[FlatGraphs]) -> FlatGraphs:
    """Return the graphs of all parts, which are of one store, one after the other."""
    if len(parts) == 1:
        return parts[0]
    first = parts[0]
    lattices = [part.lattice for part in parts if part.lattice is not None]
    return replace(
        first,
        offset=_joined_offsets([part.offset for part in parts]),
        position=np.concatenate([part.position for part in parts]),
        atomic_number=np.concatenate([part.atomic_number for part in parts]),
        sender=np.concatenate([part.sender for part in parts]),
        receiver=np.concatenate([part.receiver for part in parts]),
        lattice=_joined_lattices(lattices) if lattices else None,
        graph_targets=torch.cat([part.graph_targets for part in parts]),
        node_targets={
            name: torch.cat([part.node_targets[name] for part in parts])
            for name in first.node_targets
        },
        features=torch.cat([part.features for part in parts]),
    )


def _joined_lattices(lattices: Sequence[Lattice]) -> Lattice:
    cells, shifts = ([getattr(each, name) for each in lattices] for name in ("cell", "shift"))
    return Lattice(torch.cat(cells), np.concatenate(shifts))


def _joined_offsets(offsets: Sequence[np.ndarray]) -> np.ndarray:
    counts = np.concatenate([np.diff(offset, axis=0) for offset in offsets])
    return np.concatenate([np.zeros((1, 2), np.int64), np.cumsum(counts, axis=0)])
