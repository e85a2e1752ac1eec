"""All graphs of a store as flat tensors, from which batches are gathered without a Python loop."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Batch

from molcryst_bench.base.errors import SettingsError, unknown_name

if TYPE_CHECKING:
    from molcryst_bench.graphs.store import GraphStore

_PAIR_AS_ONE = {torch.uint8: torch.int16, torch.int32: torch.int64}
# Torch computes with few unsigned types; an index this small costs nothing to widen.
_WIDER = {np.dtype(np.uint16): np.int32, np.dtype(np.uint32): np.int64}
_EMPTY_BATCH = Batch()


@dataclass(frozen=True)
class Lattice:
    """What periodic graphs have beside their atoms."""

    cell: Tensor  # (graphs, 3, 3) Å, rows are vectors
    shift: Tensor  # (edges, 3) whole cells


@dataclass(frozen=True)
class FlatGraphs:
    """Flat tensors of many graphs, on any device."""

    node_offset: Tensor  # (graphs + 1,)
    edge_offset: Tensor  # (graphs + 1,)
    atomic_number: Tensor  # (nodes,)
    position: Tensor  # (nodes, 3) Å
    ends: Tensor  # (edges, 2) sender and receiver, counted within their graph
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
        start: int = 0,
        stop: int | None = None,
    ) -> FlatGraphs:
        """Read graphs ``start`` to ``stop`` of a store, all by default, into memory."""
        names = list(store.targets) if targets is None else check_targets(targets, store.targets)
        at_graphs = [name for name in names if store.targets[name].level == "graph"]
        at_nodes = [name for name in names if store.targets[name].level == "node"]
        stop = len(store) if stop is None else stop
        node_offset = store.read("graphs/node_offset", start, stop + 1)
        edge_offset = store.read("graphs/edge_offset", start, stop + 1)
        graph, node, edge = (start, stop), node_offset[[0, -1]], edge_offset[[0, -1]]
        columns = [store.read(f"targets/{name}", *graph) for name in at_graphs]
        known = [store.read(f"features/{name}", *graph) for name in store.features]
        ends = [_widened(store.read(f"edges/{end}", *edge)) for end in ("sender", "receiver")]
        return cls(
            node_offset=torch.from_numpy(node_offset - node_offset[0]),
            edge_offset=torch.from_numpy(edge_offset - edge_offset[0]),
            atomic_number=torch.from_numpy(store.read("nodes/atomic_number", *node)),
            position=torch.from_numpy(store.read("nodes/position", *node)),
            ends=torch.from_numpy(np.stack(ends, axis=1)),
            symmetric=store.spec.symmetric,
            lattice=_lattice(store, graph, edge) if store.periodic else None,
            graph_targets=torch.from_numpy(_as_columns(columns, stop - start)),
            graph_target_names=tuple(at_graphs),
            node_targets={n: torch.from_numpy(store.read(f"targets/{n}", *node)) for n in at_nodes},
            features=torch.from_numpy(_as_columns(known, stop - start)),
            feature_names=tuple(store.features),
        )

    def __len__(self) -> int:
        return len(self.node_offset) - 1

    @property
    def atoms(self) -> Tensor:
        """Number of atoms of each graph, (graphs,)."""
        return self.node_offset.diff()

    @property
    def edges(self) -> Tensor:
        """Number of directed edges of each graph, (graphs,)."""
        return self.edge_offset.diff() * (2 if self.symmetric else 1)

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
        ``features`` (graphs, features) where the dataset has any.
        """
        rows = torch.as_tensor(rows, device=self.node_offset.device)
        nodes = _Ranges.of(self.node_offset, rows)
        edges = _Ranges.of(self.edge_offset, rows)
        node, edge = nodes.flat(), edges.flat()
        graphs = torch.arange(len(rows), device=rows.device)
        first_node = nodes.ptr[:-1].repeat_interleave(edges.count, output_size=len(edge))
        ends = _gather_pairs(self.ends, edge)  # (pairs, 2)
        content: dict[str, Any] = {
            "z": self.atomic_number.index_select(0, node).long(),
            "pos": self.position.index_select(0, node),
            "edge_index": _edge_index(ends, first_node, both=self.symmetric),
            "targets": self._targets(rows, node),
        }
        if self.lattice is not None:
            content |= self._periodic(self.lattice, rows, edge)
        if self.feature_names:
            content["features"] = self.features.index_select(0, rows)
        content |= {
            "batch": graphs.repeat_interleave(nodes.count, output_size=len(node)),
            "ptr": nodes.ptr,
            "symmetric": self.symmetric,
        }
        batch = copy(_EMPTY_BATCH)  # making one anew costs a tenth of a millisecond
        for name, value in content.items():
            batch[name] = value
        _make_separable(batch, nodes.ptr, edges.ptr * (2 if self.symmetric else 1))
        return batch

    def take(self, rows: Tensor) -> FlatGraphs:
        """Return some of the graphs, in the order of ``rows``."""
        nodes, edges = _Ranges.of(self.node_offset, rows), _Ranges.of(self.edge_offset, rows)
        node, edge = nodes.flat(), edges.flat()
        lattice = self.lattice
        return replace(
            self,
            node_offset=nodes.ptr,
            edge_offset=edges.ptr,
            atomic_number=self.atomic_number[node],
            position=self.position[node],
            ends=_gather_pairs(self.ends, edge),
            lattice=lattice and Lattice(lattice.cell[rows], lattice.shift[edge]),
            graph_targets=self.graph_targets[rows],
            node_targets={name: values[node] for name, values in self.node_targets.items()},
            features=self.features[rows],
        )

    def _targets(self, rows: Tensor, node: Tensor) -> dict[str, Tensor]:
        columns = self.graph_targets.index_select(0, rows).unbind(1)
        targets = dict(zip(self.graph_target_names, columns, strict=True))
        return targets | {n: values[node] for n, values in self.node_targets.items()}

    def _periodic(self, lattice: Lattice, rows: Tensor, edge: Tensor) -> dict[str, Tensor]:
        shift = lattice.shift.index_select(0, edge)  # (pairs, 3)
        if self.symmetric:
            shift = torch.stack([shift, -shift], dim=1).reshape(-1, 3)  # (edges, 3)
        return {"cell": lattice.cell[rows], "edge_shift": shift.to(self.position.dtype)}


@dataclass(frozen=True)
class _Ranges:
    """Ranges of rows, one for each graph of a batch."""

    start: Tensor  # (batch,) in the flat array
    count: Tensor  # (batch,)
    ptr: Tensor  # (batch + 1,) in the batch

    @classmethod
    def of(cls, offset: Tensor, rows: Tensor) -> _Ranges:
        start = offset[rows]
        count = offset[rows + 1] - start
        ptr = torch.zeros(len(rows) + 1, dtype=torch.int64, device=offset.device)
        torch.cumsum(count, 0, out=ptr[1:])
        return cls(start, count, ptr)

    def flat(self) -> Tensor:
        """Return the row numbers of all ranges, one after the other."""
        total = int(self.ptr[-1])
        jump = (self.start - self.ptr[:-1]).repeat_interleave(self.count, output_size=total)
        return jump.add_(torch.arange(total, device=jump.device))


def _gather_pairs(ends: Tensor, rows: Tensor) -> Tensor:
    """Return ``ends[rows]``; a pair of small integers is gathered as one number."""
    whole = _PAIR_AS_ONE.get(ends.dtype)
    if whole is None or not len(ends):  # torch does not view an empty array as another type
        return ends.index_select(0, rows)
    return ends.view(whole).index_select(0, rows).view(ends.dtype)


def _edge_index(ends: Tensor, first_node: Tensor, *, both: bool) -> Tensor:
    """Return (2, edges) node numbers; with ``both``, the reverse of each edge stands next to it."""
    directions = 2 if both else 1
    edge_index = torch.empty((2, len(ends), directions), dtype=torch.int64, device=ends.device)
    ends = ends.long()
    for end in range(2):
        torch.add(ends[:, end], first_node, out=edge_index[end, :, 0])
    if both:
        edge_index[0, :, 1] = edge_index[1, :, 0]
        edge_index[1, :, 1] = edge_index[0, :, 0]
    return edge_index.view(2, -1)


def _make_separable(batch: Batch, node_ptr: Tensor, edge_ptr: Tensor) -> None:
    """Tell PyG where each graph lies, for ``batch.to_data_list()`` and ``batch[i]``."""
    graph_ptr = torch.arange(len(node_ptr))
    graphs, zeros = len(node_ptr) - 1, torch.zeros(len(node_ptr) - 1, dtype=torch.int64)
    slices: dict[str, Any] = {"z": node_ptr, "pos": node_ptr, "edge_index": edge_ptr}
    if "cell" in batch:
        slices |= {"cell": graph_ptr, "edge_shift": edge_ptr}
    if "features" in batch:
        slices["features"] = graph_ptr
    increments: dict[str, Any] = dict.fromkeys(slices, zeros) | {"edge_index": node_ptr[:-1]}
    per_graph = {n: len(values) == graphs for n, values in batch.targets.items()}
    slices["targets"] = {n: graph_ptr if whole else node_ptr for n, whole in per_graph.items()}
    increments["targets"] = dict.fromkeys(per_graph, zeros)
    batch._num_graphs = graphs
    batch._slice_dict = slices
    batch._inc_dict = increments


def _widened(array: np.ndarray) -> np.ndarray:
    return array.astype(_WIDER.get(array.dtype, array.dtype))


def _lattice(store: GraphStore, graph: tuple[int, int], edge: np.ndarray) -> Lattice:
    cell = torch.from_numpy(store.read("graphs/cell", *graph)).float()
    return Lattice(cell, torch.from_numpy(store.read("edges/shift", *edge)))


def _as_columns(columns: list[np.ndarray], rows: int) -> np.ndarray:
    """Return (rows, columns), also where there is no column."""
    return np.stack(columns, axis=1) if columns else np.empty((rows, 0))


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
        node_offset=_joined_offsets([part.node_offset for part in parts]),
        edge_offset=_joined_offsets([part.edge_offset for part in parts]),
        atomic_number=torch.cat([part.atomic_number for part in parts]),
        position=torch.cat([part.position for part in parts]),
        ends=torch.cat([part.ends for part in parts]),
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
    return Lattice(torch.cat(cells), torch.cat(shifts))


def _joined_offsets(offsets: Sequence[Tensor]) -> Tensor:
    counts = torch.cat([offset.diff() for offset in offsets])
    return torch.cat([counts.new_zeros(1), counts.cumsum(0)])
