"""Gated sums in blocks of edges, and their gradients, against the plain operations of torch."""

from __future__ import annotations

import copy

import pytest
import torch
from ase.build import bulk, molecule
from batches import batch_of
from torch import Tensor
from torch.nn import functional as F

from molcryst_bench.models.components import gates
from molcryst_bench.models.components.batch_norm import BatchNorm
from molcryst_bench.models.components.gates import Ends, gated_sum
from molcryst_bench.models.components.neighbors import Neighbors

WIDTH, RADIALS = 8, 10


def random(*shape: int, dtype: torch.dtype) -> Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(shape, generator=generator, dtype=dtype)


def neighbors_of(structures: int, symmetric: bool) -> Neighbors:
    atoms = [molecule("C6H6"), bulk("NaCl", "rocksalt", a=5.0), molecule("CH3CH2OH")]
    batch = batch_of(atoms[:structures])
    batch.symmetric = symmetric
    return Neighbors.of(batch)


def ends_for(neighbors: Neighbors, dtype: torch.dtype, far: float = 0.0) -> Ends:
    """Random ends; ``far`` is how far from zero all sums lie."""
    nodes, edges = int(neighbors.receiver.max()) + 1, len(neighbors.sender)
    return Ends(
        random(nodes, 2 * WIDTH, dtype=dtype) + far,
        random(2 * nodes, 2 * WIDTH, dtype=dtype)[nodes:],
        random(2 * WIDTH, RADIALS, dtype=dtype),
        random(edges, RADIALS, dtype=dtype),
    )


def norm_of(dtype: torch.dtype, training: bool, gain: float = 1.0) -> BatchNorm:
    norm = BatchNorm(2 * WIDTH).to(dtype).train(training)
    norm.weight.data = random(2 * WIDTH, dtype=dtype) * gain
    norm.bias.data = random(1 + 2 * WIDTH, dtype=dtype)[1:] * gain
    norm.running_mean = random(2 + 2 * WIDTH, dtype=dtype)[2:]
    norm.running_var = random(3 + 2 * WIDTH, dtype=dtype)[3:].exp()
    return norm


def plain_sum(ends: Ends, neighbors: Neighbors, norm: BatchNorm) -> Tensor:
    directed = neighbors.directed()
    z = ends.receiver[directed.receiver] + ends.sender[directed.sender]
    z = norm(z + neighbors.both(F.linear(ends.radial, ends.weight)))
    gate, core = z.chunk(2, dim=-1)
    softplus = torch.logaddexp(core, torch.zeros_like(core))  # torch's own ends at 20
    return directed.collect(torch.sigmoid(gate) * softplus, len(ends.receiver))


def close(ours: Tensor | None, plain: Tensor | None, loss: float = 1.0) -> None:
    """Compare; ``loss`` is how many times more is lost to rounding than with numbers of 1."""
    assert ours is not None
    assert plain is not None
    scale = max([1.0, *plain.detach().abs().flatten().tolist()])
    torch.testing.assert_close(
        ours, plain, rtol=0, atol=scale * loss * (2e-5 if plain.dtype == torch.float32 else 1e-12)
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("block", [14 * WIDTH, 2**18], ids=["many blocks", "one block"])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("far", [0.0, 100.0], ids=["near zero", "far from zero"])
def test_values_gradients_and_statistics_are_the_plain_ones(
    dtype: torch.dtype,
    symmetric: bool,
    block: int,
    training: bool,
    far: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gates, "_BLOCK", block)
    neighbors, norm = neighbors_of(3, symmetric), norm_of(dtype, training)
    norm.running_mean += far * 0.9  # follows, but lags behind
    ours, plain = ends_for(neighbors, dtype, far), ends_for(neighbors, dtype, far)
    other, loss = copy.deepcopy(norm), 1 + far / 10
    given = [each.requires_grad_() for each in ours[:3]] + list(norm.parameters())
    expected = [each.requires_grad_() for each in plain[:3]] + list(other.parameters())
    value, wanted = gated_sum(ours, neighbors, norm), plain_sum(plain, neighbors, other)
    close(value, wanted, loss)
    assert value is not None
    value.square().sum().backward()
    wanted.square().sum().backward()
    for one, another in zip(given, expected, strict=True):
        close(one.grad, another.grad, loss)
    for one, another in zip(norm.buffers(), other.buffers(), strict=True):
        close(one, another, loss)


def test_nothing_is_kept_where_no_gradient_is_wanted() -> None:
    neighbors = neighbors_of(3, symmetric=False)
    ends, norm = ends_for(neighbors, torch.float64), norm_of(torch.float64, training=False)
    with torch.no_grad():
        value = gated_sum(ends, neighbors, norm)
        close(value, plain_sum(ends, neighbors, norm))
    assert value is not None
    assert value.grad_fn is None


@pytest.mark.parametrize("why", ["forces", "overflow", "one edge", "other type"])
def test_what_it_cannot_do_is_left_to_plain_operations(why: str) -> None:
    neighbors = neighbors_of(3, symmetric=False)
    ends = ends_for(neighbors, torch.float32)
    norm = norm_of(torch.float32, training=True, gain=1e4 if why == "overflow" else 1.0)
    before = copy.deepcopy(norm.state_dict())
    if why == "forces":
        ends.radial.requires_grad_()
    elif why == "one edge":
        vector = neighbors.vector[:1]
        first = (neighbors.sender[:1], neighbors.receiver[:1], vector, vector.norm(dim=1))
        neighbors = Neighbors(*first, paired=False)
        ends = ends._replace(radial=ends.radial[:1])
    elif why == "other type":
        ends = ends._replace(radial=ends.radial.double())
    assert gated_sum(ends, neighbors, norm) is None
    for key, value in norm.state_dict().items():
        assert torch.equal(value, before[key])
