"""Training steps of SchNet and CGCNN against PyTorch Geometric's: same sizes, same graphs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.nn import CGConv, global_mean_pool
from torch_geometric.nn.models import SchNet as Reference

from benchmarks.compare import Row, compare
from benchmarks.data import coremof_store, qm9_store
from benchmarks.machine import product_gflops
from molcryst_bench.graphs.loader import GraphLoader
from molcryst_bench.graphs.store import GraphStore
from molcryst_bench.models.cgcnn import CGCNN
from molcryst_bench.models.registry import create_model

BATCH, BATCHES = 64, 8


def rows() -> list[Row]:
    """Return the rows on training."""
    return [_schnet(width=128, interactions=6), _schnet(width=64, interactions=3), _cgcnn()]


class GivenEdges(nn.Module):
    """Hands the reference the edges of the store, so that it need not search them."""

    edge_index: Tensor

    def forward(self, pos: Tensor, batch: Tensor) -> tuple[Tensor, Tensor]:
        """Return edges and distances."""
        sender, receiver = self.edge_index
        return self.edge_index, (pos[sender] - pos[receiver]).norm(dim=1)


def _schnet(width: int, interactions: int) -> Row:
    batches = _batches(qm9_store(), "homo", BATCH)
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
        _epoch(ours, lambda batch: ours(batch).prediction, batches, "homo"),
        _epoch(theirs, reference, batches, "homo"),
        limit=lambda rate: (
            f"{100 * rate * work / peak:.0f} % of a matrix product's {peak:.0f} Gflop/s; "
            "products of small matrices, exponentials and gathering neighbours hold the rest"
        ),
    )


class GatedConvolutions(nn.Module):
    """CGCNN of PyG's convolutions, which have no batch norm of the gates, and less to do."""

    def __init__(self, like: CGCNN) -> None:
        super().__init__()
        self.register_buffer("elements", like.elements)
        self.basis = like.basis
        width, gaussians = like.embedding.out_features, len(like.basis.centers)
        self.embedding = nn.Linear(like.elements.shape[1], width)
        self.convolutions = nn.ModuleList(
            CGConv(width, dim=gaussians, batch_norm=True) for _ in like.convolutions
        )
        self.head = nn.Sequential(nn.Linear(width, 128), nn.Softplus(), nn.Linear(128, 1))

    def forward(self, batch: Any) -> Tensor:
        """Predict one number for each graph, (graphs, 1)."""
        sender, receiver = batch.edge_index
        cells = batch.cell[batch.batch[sender]]  # (edges, 3, 3)
        shift = batch.edge_shift.to(batch.pos)[:, None, :]
        vector = batch.pos[receiver] - batch.pos[sender] + (shift @ cells).squeeze(1)
        radial = self.basis(vector.norm(dim=1))  # (edges, gaussians)
        x = self.embedding(self.elements[batch.z])
        for convolution in self.convolutions:
            x = convolution(x, batch.edge_index, radial)
        pooled: Tensor = self.head(global_mean_pool(x, batch.batch))
        return pooled


def _cgcnn() -> Row:
    graphs, target = 16, "void_fraction"
    batches = _batches(coremof_store(), target, graphs)
    ours = create_model("cgcnn")
    assert isinstance(ours, CGCNN)
    theirs = GatedConvolutions(ours)
    peak, work = product_gflops(), _gigaflops_per_framework(batches, ours, graphs)
    return compare(
        "CGCNN training, 64 wide, 3 convolutions",
        "PyG CGConv on the same edges",
        "graphs/s",
        graphs * BATCHES,
        _epoch(ours, lambda batch: ours(batch).prediction, batches, target),
        _epoch(theirs, theirs, batches, target),
        limit=lambda rate: (
            f"{100 * rate * work / peak:.0f} % of a matrix product's {peak:.0f} Gflop/s; gates and "
            "their normalisation, which go through memory ten times in a step, hold the rest"
        ),
    )


def _batches(store: GraphStore, target: str, size: int) -> Sequence[Any]:
    graphs = store.graphs.with_targets([target])
    return list(GraphLoader(graphs, torch.arange(size * BATCHES), size, shuffle=False, seed=0))


def _epoch(
    model: nn.Module, forward: Callable[[Any], Tensor], batches: Sequence[Any], target: str
) -> Callable[[], None]:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)

    def run() -> None:
        for batch in batches:
            optimizer.zero_grad()
            truth = batch.targets[target].float()
            nn.functional.l1_loss(forward(batch)[:, 0], truth).backward()
            optimizer.step()

    return run


def _gigaflops_per_graph(batches: Sequence[Any], width: int, interactions: int) -> float:
    """Return the operations of the matrix products: forward, and twice as many backward."""
    pairs = sum(batch.num_edges for batch in batches) / 2 / BATCH / BATCHES
    atoms = sum(batch.num_nodes for batch in batches) / BATCH / BATCHES
    filters = pairs * (50 * width + width * width)
    mixing = atoms * 3 * width * width
    return 3 * 2 * interactions * (filters + mixing) / 1e9


def _gigaflops_per_framework(batches: Sequence[Any], model: CGCNN, size: int) -> float:
    """Return the same for CGCNN, whose Gaussians have no gradient: two thirds of it for them."""
    edges = sum(batch.num_edges for batch in batches) / size / BATCHES
    atoms = sum(batch.num_nodes for batch in batches) / size / BATCHES
    width, gaussians = model.embedding.out_features, len(model.basis.centers)
    gates = 2 * edges * gaussians * 2 * width
    ends = 3 * atoms * 2 * width * 2 * width
    return 2 * len(model.convolutions) * (gates + ends) / 1e9
