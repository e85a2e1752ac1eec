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
from molcryst_bench.graphs.gather import Ranges, edge_index
from molcryst_bench.graphs.separable import make_separable

if TYPE_CHECKING:
    from molcryst_bench.graphs.store import GraphStore

_EMPTY_BATCH = Batch()


@dataclass(frozen=True)
class Lattice:
    """What periodic graphs have beside their atoms."""

    cell: Tensor  # (graphs, 3, 3) Å, rows are vectors
    shift: Tensor  # (edges, 3) int8 whole cells, or (edges, 6): also those of the reverse


@dataclass(frozen=True)
class FlatGraphs:
    """Flat tensors of many graphs, on any device.

    What a batch needs of a graph or an atom stands together: with a million graphs it is the number
    of places in memory to go to that costs time.
    """

    offset: Tensor  # (graphs + 1, 2) first node and first edge
    sites: Tensor  # (nodes, 4) float32: position in Å and atomic number
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
        offsets = (f"graphs/{rows}_offset" for rows in ("node", "edge"))
        offset = np.stack([store.read(name, start, stop + 1) for name in offsets], axis=1)
        graph, (node, edge) = (start, stop), offset[[0, -1]].T
        columns = [store.read(f"targets/{name}", *graph) for name in at_graphs]
        known = [store.read(f"features/{name}", *graph) for name in store.features]
        sites = [store.read(f"nodes/{name}", *node) for name in ("position", "atomic_number")]
        return cls(
            offset=torch.from_numpy(offset - offset[0]),
            sites=torch.from_numpy(join_sites(*sites)),
            ends=torch.from_numpy(_ends(store, edge, np.diff(offset[:, 0]).max(initial=1))),
            symmetric=store.spec.symmetric,
            lattice=_lattice(store, graph, edge) if store.periodic else None,
            graph_targets=torch.from_numpy(_as_columns(columns, stop - start)),
            graph_target_names=tuple(at_graphs),
            node_targets={n: torch.from_numpy(store.read(f"targets/{n}", *node)) for n in at_nodes},
            features=torch.from_numpy(_as_columns(known, stop - start)),
            feature_names=tuple(store.features),
        )

    def __len__(self) -> int:
        return len(self.offset) - 1

    @property
    def atoms(self) -> Tensor:
        """Number of atoms of each graph, (graphs,)."""
        return self.offset[:, 0].diff()

    @property
    def edges(self) -> Tensor:
        """Number of directed edges of each graph, (graphs,)."""
        return self.offset[:, 1].diff() * (2 if self.symmetric else 1)

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
        rows = torch.as_tensor(rows, device=self.offset.device)
        nodes, edges = self._ranges(rows)
        sites = nodes.take(self.sites)
        content: dict[str, Any] = {
            "z": sites[:, 3].long(),
            "pos": sites[:, :3].contiguous(),
            "edge_index": edge_index(
                edges.take(self.ends),
                first_node=nodes.ptr.index_select(0, edges.graph),
                both=self.symmetric,
            ),
            "targets": self._targets(rows, nodes),
        }
        if self.lattice is not None:
            content |= self._periodic(self.lattice, rows, edges)
        if self.feature_names:
            content["features"] = self.features.index_select(0, rows)
        content |= {"batch": nodes.graph, "ptr": nodes.ptr, "symmetric": self.symmetric}
        batch = copy(_EMPTY_BATCH)  # making one anew costs a tenth of a millisecond
        for name, value in content.items():
            batch[name] = value
        make_separable(batch, nodes.ptr, edges.ptr * (2 if self.symmetric else 1))
        return batch

    def take(self, rows: Tensor) -> FlatGraphs:
        """Return some of the graphs, in the order of ``rows``."""
        nodes, edges = self._ranges(rows)
        lattice = self.lattice
        return replace(
            self,
            offset=torch.stack([nodes.ptr, edges.ptr], dim=1),
            sites=nodes.take(self.sites),
            ends=edges.take(self.ends),
            lattice=lattice and Lattice(lattice.cell[rows], edges.take(lattice.shift)),
            graph_targets=self.graph_targets[rows],
            node_targets={n: nodes.take(values) for n, values in self.node_targets.items()},
            features=self.features[rows],
        )

    def _ranges(self, rows: Tensor) -> tuple[Ranges, Ranges]:
        """Return where the nodes and the edges of some graphs lie."""
        start = self.offset.index_select(0, rows)
        count = self.offset.index_select(0, rows + 1) - start
        nodes, edges = (Ranges.of(start[:, column], count[:, column]) for column in (0, 1))
        return nodes, edges

    def _targets(self, rows: Tensor, nodes: Ranges) -> dict[str, Tensor]:
        columns = self.graph_targets.index_select(0, rows).unbind(1)
        targets = dict(zip(self.graph_target_names, columns, strict=True))
        return targets | {n: nodes.take(values) for n, values in self.node_targets.items()}

    def _periodic(self, lattice: Lattice, rows: Tensor, edges: Ranges) -> dict[str, Tensor]:
        shift = edges.take(lattice.shift).view(-1, 3)  # (edges, 3)
        return {"cell": lattice.cell[rows], "edge_shift": shift.to(self.sites.dtype)}


def _ends(store: GraphStore, edge: np.ndarray, largest: np.int64) -> np.ndarray:
    """Return (edges, 2) in the smallest signed type: torch computes with few unsigned ones."""
    ends = [store.read(f"edges/{end}", *edge) for end in ("sender", "receiver")]
    return np.stack(ends, axis=1, dtype=np.min_scalar_type(-largest), casting="unsafe")


def join_sites(position: np.ndarray, atomic_number: np.ndarray) -> np.ndarray:
    """Put positions (nodes, 3) and atomic numbers (nodes,) side by side, (nodes, 4)."""
    return np.concatenate([position, atomic_number[:, None]], axis=1, dtype=np.float32)


def _lattice(store: GraphStore, graph: tuple[int, int], edge: np.ndarray) -> Lattice:
    cell = torch.from_numpy(store.read("graphs/cell", *graph)).float()
    shift = store.read("edges/shift", *edge)
    return Lattice(cell, torch.from_numpy(join_shifts(shift) if store.spec.symmetric else shift))


def join_shifts(shift: np.ndarray) -> np.ndarray:
    """Put the shifts of edges (pairs, 3) and those of their reverses side by side, (pairs, 6)."""
    return np.concatenate([shift, -shift], axis=1)


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
        offset=_joined_offsets([part.offset for part in parts]),
        sites=torch.cat([part.sites for part in parts]),
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
    counts = torch.cat([offset.diff(dim=0) for offset in offsets])
    return torch.cat([counts.new_zeros(1, 2), counts.cumsum(0)])
