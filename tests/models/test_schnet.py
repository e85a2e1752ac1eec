"""SchNet against PyTorch Geometric's, which is written independently."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from ase.build import molecule
from batches import CUTOFF, batch_of
from torch import Tensor, nn
from torch_geometric.data import Batch
from torch_geometric.nn.models import SchNet as Reference

from molcryst_bench.models.registry import create_model
from molcryst_bench.models.schnet import SchNet

WIDTH, BLOCKS, GAUSSIANS = 32, 3, 20
NAMES = ("CH3CH2OH", "C6H6", "H2O", "CH3CONH2")


class GivenEdges(nn.Module):
    """Hands the reference the same edges."""

    def __init__(self, batch: Batch) -> None:
        super().__init__()
        self.edge_index = batch.edge_index

    def forward(self, pos: Tensor, batch: Tensor) -> tuple[Tensor, Tensor]:
        sender, receiver = self.edge_index
        return self.edge_index, (pos[sender] - pos[receiver]).norm(dim=1)


def molecules() -> Batch:
    batch = batch_of([molecule(name) for name in NAMES])
    batch.pos = batch.pos.float()
    return batch


def ours(readout: str) -> SchNet:
    torch.manual_seed(1)
    model = create_model(
        "schnet",
        width=WIDTH,
        interactions=BLOCKS,
        gaussians=GAUSSIANS,
        cutoff=CUTOFF,
        readout=readout,
    )
    for weights in model.parameters():
        if weights.dim() == 1:
            nn.init.normal_(weights, std=0.1)
    assert isinstance(model, SchNet)
    return model


def reference(model: SchNet, batch: Batch, readout: str) -> Reference:
    names = {"sum": "add", "mean": "mean"}
    other = Reference(
        WIDTH, WIDTH, BLOCKS, GAUSSIANS, CUTOFF, GivenEdges(batch), readout=names[readout]
    )
    other.embedding.weight.data.copy_(model.embedding.weight[:100])
    for theirs, mine in zip(other.interactions, model.interactions, strict=True):
        copies: list[tuple[Any, Any]] = [
            (theirs.mlp[0], mine.filter_in),
            (theirs.mlp[2], mine.filter_out),
            (theirs.conv.lin1, mine.into),
            (theirs.conv.lin2, mine.out),
            (theirs.lin, mine.mix),
        ]
        for target, source in copies:
            target.load_state_dict(source.state_dict())
    other.lin1.load_state_dict(model.atomwise.state_dict())
    other.lin2.load_state_dict(model.head.state_dict())
    return other


@pytest.mark.parametrize("readout", ["sum", "mean"])
def test_equals_the_reference_in_values_forces_and_gradients(readout: str) -> None:
    batch = molecules()
    model = ours(readout)
    other = reference(model, batch, readout)
    mine, theirs = batch.pos.clone().requires_grad_(), batch.pos.clone().requires_grad_()
    moved = batch.clone()
    moved.pos = mine
    value, expected = model(moved).prediction, other(batch.z, theirs, batch.batch)
    torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-5)
    value.sum().backward()
    expected.sum().backward()
    torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-5, atol=1e-5)
    for block, target in zip(model.interactions, other.interactions, strict=True):
        torch.testing.assert_close(
            block.filter_in.weight.grad, target.mlp[0].weight.grad, rtol=1e-4, atol=1e-5
        )


def test_golden_values() -> None:
    """A change of library or code that changes numbers is seen here."""
    torch.manual_seed(0)
    model = create_model("schnet", width=16, interactions=2, gaussians=12, cutoff=CUTOFF).double()
    batch = batch_of([molecule("CH3CH2OH"), molecule("H2O")])
    generator = torch.Generator().manual_seed(7)
    for weights in model.parameters():
        weights.data = torch.randn(weights.shape, generator=generator, dtype=torch.float64) * 0.3
    prediction = model(batch).prediction[:, 0]
    expected = torch.tensor([1.432668647446631, -0.827912250472041], dtype=torch.float64)
    torch.testing.assert_close(prediction, expected, rtol=1e-9, atol=1e-9)
