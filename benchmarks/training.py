"""Training steps of SchNet against PyTorch Geometric's SchNet: same sizes, same graphs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.nn.models import SchNet as Reference

from benchmarks.compare import Row, compare
from benchmarks.data import qm9_store
from benchmarks.machine import product_gflops
from molcryst_bench.graphs.loader import GraphLoader
from molcryst_bench.models.registry import create_model

BATCH, BATCHES = 64, 8


def rows() -> list[Row]:
    """Return the rows on training."""
    return [_schnet(width=128, interactions=6), _schnet(width=64, interactions=3)]


class GivenEdges(nn.Module):
    """Hands the reference the edges of the store, so that it need not search them."""

    edge_index: Tensor

    def forward(self, pos: Tensor, batch: Tensor) -> tuple[Tensor, Tensor]:
        """Return edges and distances."""
        sender, receiver = self.edge_index
        return self.edge_index, (pos[sender] - pos[receiver]).norm(dim=1)


def _schnet(width: int, interactions: int) -> Row:
    batches = _batches()
    ours = create_model("schnet", width=width, interactions=interactions)
    edges = GivenEdges()
    theirs = Reference(width, width, interactions, 50, 5.0, edges)

    def reference(batch: Any) -> Tensor:
        edges.edge_index = batch.edge_index
        out: Tensor = theirs(batch.z, batch.pos, batch.batch)
        return out

    peak, work = product_gflops(), _gigaflops_per_graph(batches, width, interactions)
    return compare(
        f"SchNet training, {width} wide, {interactions} blocks",
        "PyG SchNet on the same edges",
        "graphs/s",
        BATCH * BATCHES,
        _epoch(ours, lambda batch: ours(batch).prediction, batches),
        _epoch(theirs, reference, batches),
        limit=lambda rate: (
            f"{100 * rate * work / peak:.0f} % of a matrix product's {peak:.0f} Gflop/s; "
            "products of small matrices, exponentials and gathering neighbours hold the rest"
        ),
    )


def _batches() -> Sequence[Any]:
    graphs = qm9_store().graphs.with_targets(["homo"])
    rows = torch.arange(BATCH * BATCHES)
    return list(GraphLoader(graphs, rows, BATCH, shuffle=False, seed=0))


def _epoch(
    model: nn.Module, forward: Callable[[Any], Tensor], batches: Sequence[Any]
) -> Callable[[], None]:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)

    def run() -> None:
        for batch in batches:
            optimizer.zero_grad()
            target = batch.targets["homo"].float()
            nn.functional.l1_loss(forward(batch)[:, 0], target).backward()
            optimizer.step()

    return run


def _gigaflops_per_graph(batches: Sequence[Any], width: int, interactions: int) -> float:
    """Return the operations of the matrix products: forward, and twice as many backward."""
    pairs = sum(batch.num_edges for batch in batches) / 2 / BATCH / BATCHES
    atoms = sum(batch.num_nodes for batch in batches) / BATCH / BATCHES
    filters = pairs * (50 * width + width * width)
    mixing = atoms * 3 * width * width
    return 3 * 2 * interactions * (filters + mixing) / 1e9
