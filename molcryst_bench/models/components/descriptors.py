r"""What a table can say about a structure: composition, bonds, distances, angles and shape.

Everything is computed for a whole batch at once, in float64, and does not change when a structure
is rotated, its atoms are renumbered, or its cell is repeated (sums grow by the number of cells).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from molcryst_bench.models.components.composition import element_counts
from molcryst_bench.models.components.elements import (
    CLASSES,
    atomic_mass,
    covalent_radius,
    element_class,
)
from molcryst_bench.models.components.neighbors import Neighbors
from molcryst_bench.models.components.pooling import pool

# Å. Bonds are told apart to a tenth of an Å; farther pairs, where there are more, coarsely.
_KNOTS = (
    *(0.9, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.8, 2.0, 2.2, 2.4, 2.6, 2.8),
    *(3.0, 3.3, 3.6, 4.0, 4.5, 5.0),
)
_COORDINATION = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0)
_BOND_REACH = 1.25  # times the sum of two covalent radii
_BOND_BLUR = 0.05  # Å
_PAIRS = CLASSES * (CLASSES + 1) // 2
_GRAMS_PER_CM3 = 1.66053906660  # u/Å^3


class Descriptors(NamedTuple):
    """Descriptors of each graph of a batch, float64; what is not defined for a graph is NaN."""

    sums: Tensor  # (graphs, sums) over atoms, pairs and triples
    shape: Tensor  # (graphs, shapes), the same for any number of cells
    atoms: Tensor  # (graphs, 1)
    periodic: Tensor  # (graphs, 1) whether ``atoms`` are those of a cell


def describe(batch: Any) -> Descriptors:
    """Describe every graph of a batch from its atoms, edges and cell."""
    counts = element_counts(batch)  # (graphs, elements)
    cell = _cells(batch, len(counts))
    neighbors, graph = Neighbors.of(batch), _graph_of_nodes(batch)
    sums = [
        counts,
        _distances(neighbors, batch.z, graph, len(counts)),
        *_environments(neighbors.directed(), batch.z, graph, len(counts)),
    ]
    atoms, periodic = counts.sum(1, keepdim=True), (cell != 0).flatten(1).any(1, keepdim=True)
    extent = _extent(batch).masked_fill(periodic, torch.nan)
    shape = torch.cat([_density(counts, cell), extent], dim=1)
    return Descriptors(torch.cat(sums, dim=1), shape, atoms, periodic)


def _distances(neighbors: Neighbors, z: Tensor, graph: Tensor, graphs: int) -> Tensor:
    """Return histograms of distances, (graphs, pairs of classes * knots), a pair counted once."""
    kind = element_class(z.device)[z]  # (nodes,)
    pair = _unordered(kind[neighbors.sender], kind[neighbors.receiver])  # (edges,)
    row = graph[neighbors.sender] * _PAIRS + pair
    weight = torch.full_like(neighbors.distance, 1.0 if neighbors.paired else 0.5).double()
    histogram = _histogram(neighbors.distance.double(), _KNOTS, row, graphs * _PAIRS, weight)
    # Pairs beyond the last knot fade out before it, so that none appears of a sudden.
    return histogram[:, :-1].reshape(graphs, -1)


def _environments(
    directed: Neighbors, z: Tensor, graph: Tensor, graphs: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return coordination numbers, triples, and cosines of their angles, summed over atoms."""
    kind = element_class(z.device)[z]  # (nodes,)
    bond = _bond_order(directed, z)[:, None]  # (edges, 1)
    unit = directed.vector.double() / directed.distance.double()[:, None]
    bonded = torch.cat([bond, bond * unit], dim=1)  # (edges, 4)
    row = directed.receiver * CLASSES + kind[directed.sender]
    to_class = bonded.new_zeros(len(z) * CLASSES, 4).index_add_(0, row, bonded)
    square = bonded.new_zeros(len(z) * CLASSES, 1).index_add_(0, row, bond.square())
    to_class = to_class.view(len(z), CLASSES, 4)
    own = torch.diag_embed(square.view(len(z), CLASSES))  # a bond makes no angle with itself
    count, way = to_class[..., :1], to_class[..., 1:]
    center = graph * CLASSES + kind
    number = count.sum((1, 2)).clamp(max=_COORDINATION[-1])
    coordination = _histogram(
        number, _COORDINATION, center, graphs * CLASSES, torch.ones_like(number)
    )
    upper = torch.triu_indices(CLASSES, CLASSES, device=z.device)
    triples = [
        values.new_zeros(graphs * CLASSES, _PAIRS)
        .index_add_(0, center, values[:, upper[0], upper[1]])
        .view(graphs, -1)
        for values in (count @ count.mT - own, way @ way.mT - own)
    ]
    return coordination.view(graphs, -1), triples[0], triples[1]


def _bond_order(neighbors: Neighbors, z: Tensor) -> Tensor:
    """Return (edges,) 1 for bonds and 0 for others, with a smooth step between."""
    radius = covalent_radius(z.device)[z]  # (nodes,)
    reach = _BOND_REACH * (radius[neighbors.sender] + radius[neighbors.receiver])
    return torch.sigmoid((reach - neighbors.distance.double()) / _BOND_BLUR)


def _histogram(
    values: Tensor, knots: tuple[float, ...], row: Tensor, rows: int, weight: Tensor
) -> Tensor:
    """Share each value between the two knots beside it; (rows, knots)."""
    knot = values.new_tensor(knots)
    upper = torch.bucketize(values, knot[1:-1]) + 1  # (values,)
    share = ((values - knot[upper - 1]) / (knot[upper] - knot[upper - 1])).clamp(0, 1)
    place = row * len(knots) + upper
    flat = values.new_zeros(rows * len(knots))
    flat.index_add_(0, place - 1, (1 - share) * weight).index_add_(0, place, share * weight)
    return flat.view(rows, len(knots))


def _density(counts: Tensor, cell: Tensor) -> Tensor:
    """Return the mass density in g/cm^3 and the volume of an atom in Å^3, (graphs, 2)."""
    volume = torch.linalg.det(cell).abs()[:, None]  # (graphs, 1) Å^3
    volume = volume.masked_fill(volume == 0, torch.nan)  # of what is not periodic in space
    mass = counts @ atomic_mass(counts.device)[:, None]  # (graphs, 1) u
    return torch.cat([_GRAMS_PER_CM3 * mass / volume, volume / counts.sum(1, keepdim=True)], dim=1)


def _extent(batch: Any) -> Tensor:
    """Return the radii of gyration along the three principal axes in Å, rising, (graphs, 3)."""
    position = batch.pos.detach().double()
    center = pool(position, batch, "mean")[_graph_of_nodes(batch)]
    offset = position - center
    outer = (offset[:, :, None] * offset[:, None, :]).flatten(1)  # (nodes, 9)
    squares: Tensor = torch.linalg.eigvalsh(pool(outer, batch, "mean").view(-1, 3, 3))
    return squares.clamp(min=0).sqrt()


def _unordered(one: Tensor, other: Tensor) -> Tensor:
    """Number the unordered pairs of classes."""
    low, high = torch.minimum(one, other), torch.maximum(one, other)
    return low * CLASSES - low * (low - 1) // 2 + high - low


def _cells(batch: Any, graphs: int) -> Tensor:
    """Return the cells (graphs, 3, 3) in Å, zero for molecules."""
    if getattr(batch, "cell", None) is None:
        return torch.zeros(graphs, 3, 3, dtype=torch.float64, device=batch.pos.device)
    cells: Tensor = batch.cell.reshape(-1, 3, 3).double()
    return cells


def _graph_of_nodes(batch: Any) -> Tensor:
    """Return the number of the graph of each atom, (nodes,)."""
    graph: Tensor = torch.zeros_like(batch.z) if batch.batch is None else batch.batch
    return graph
