"""Faster products and sums against the plain ones of torch."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from ase.build import bulk, molecule
from batches import batch_of
from torch import Tensor, nn
from torch.nn import functional as F

from molcryst_bench.models.components import filters
from molcryst_bench.models.components.filters import filtered_sum
from molcryst_bench.models.components.linear import Linear, linear
from molcryst_bench.models.components.neighbors import Neighbors

WIDTH, RADIALS = 16, 10
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


def random(*shape: int, dtype: torch.dtype) -> Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(shape, generator=generator, dtype=dtype)


def derivatives(function: Callable[..., Tensor], inputs: list[Tensor]) -> list[Tensor]:
    """Return the value, its derivatives, and those of their squares."""
    inputs = [each.clone().requires_grad_() for each in inputs]
    value = function(*inputs)
    first = torch.autograd.grad(value.square().sum(), inputs, create_graph=True)
    second = torch.autograd.grad(sum(each.square().sum() for each in first), inputs)
    return [value, *first, *second]


def close(ours: Tensor, plain: Tensor) -> None:
    scale = max([1.0, *plain.detach().abs().flatten().tolist()])
    torch.testing.assert_close(
        ours, plain, rtol=0, atol=scale * (1e-5 if plain.dtype == torch.float32 else 1e-12)
    )


@DTYPES
@pytest.mark.parametrize("rows", [0, 3, 1024])
def test_products_and_both_derivatives_are_those_of_torch(dtype: torch.dtype, rows: int) -> None:
    inputs = [random(rows, 40, dtype=dtype), random(32, 40, dtype=dtype), random(32, dtype=dtype)]
    ours, plain = derivatives(linear, inputs), derivatives(F.linear, inputs)
    for one, other in zip(ours, plain, strict=True):
        close(one, other)


def test_a_layer_starts_with_glorot_weights_and_no_bias() -> None:
    torch.manual_seed(0)
    layer = Linear(30, 20)
    torch.manual_seed(0)
    expected = nn.init.xavier_uniform_(torch.empty(20, 30))
    assert torch.equal(layer.weight, expected)
    assert not layer.bias.any()


def plain_sum(
    x: Tensor, neighbors: Neighbors, radial: Tensor, envelope: Tensor, *w: Tensor
) -> Tensor:
    hidden = F.linear(radial, w[0], w[1])
    softplus = torch.logaddexp(hidden, torch.zeros_like(hidden))  # torch's own ends at 20
    filters = F.linear(softplus - math.log(2.0), w[2], w[3])
    return neighbors.convolve(x, filters * envelope[:, None])


def layers(weights: list[Tensor]) -> list[nn.Linear]:
    into, out = nn.Linear(RADIALS, WIDTH), nn.Linear(WIDTH, WIDTH)
    for parameter, value in zip([*into.parameters(), *out.parameters()], weights, strict=True):
        parameter.data = value.clone()
    return [into, out]


@DTYPES
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("block", [7 * WIDTH, 2**18], ids=["many blocks", "one block"])
@pytest.mark.parametrize("scale", [3, 1000], ids=["usual", "sigmoids of zero"])
def test_sums_in_blocks_and_their_gradients_are_the_plain_ones(
    dtype: torch.dtype, symmetric: bool, block: int, scale: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filters, "_BLOCK", block)
    batch = batch_of([molecule("C6H6"), bulk("NaCl", "rocksalt", a=5.0), molecule("CH3CH2OH")])
    batch.symmetric = symmetric
    neighbors = Neighbors.of(batch)
    edges = len(neighbors.distance)
    x = random(batch.num_nodes, WIDTH, dtype=dtype)
    radial, envelope = random(edges, RADIALS, dtype=dtype), random(edges, dtype=dtype)
    radial[:4] *= scale
    shapes = [(WIDTH, RADIALS), (WIDTH,), (WIDTH, WIDTH), (WIDTH,)]
    weights = [random(*shape, dtype=dtype) for shape in shapes]

    into, out = layers(weights)
    ours = x.clone().requires_grad_()
    value = filtered_sum(ours, neighbors, radial, envelope, into, out)
    value.square().sum().backward()
    given = [x.clone().requires_grad_(), *(w.clone().requires_grad_() for w in weights)]
    expected = plain_sum(given[0], neighbors, radial, envelope, *given[1:])
    expected.square().sum().backward()

    assert ("Blocked" in type(value.grad_fn).__name__) == (scale < 100)
    close(value, expected)
    parameters = [ours, *into.parameters(), *out.parameters()]
    for one, other in zip(parameters, given, strict=True):
        close(one.grad, other.grad)


@DTYPES
def test_forces_go_through_filters_that_are_differentiable_twice(dtype: torch.dtype) -> None:
    batch = batch_of([molecule("C6H6")])
    neighbors = Neighbors.of(batch)
    edges = len(neighbors.distance)
    into, out = layers(
        [
            random(*w.shape, dtype=dtype)
            for w in [
                *nn.Linear(RADIALS, WIDTH).parameters(),
                *nn.Linear(WIDTH, WIDTH).parameters(),
            ]
        ]
    )
    inputs = [random(12, WIDTH, dtype=dtype), random(edges, RADIALS, dtype=dtype)]
    envelope = random(edges, dtype=dtype)
    weights = [*into.parameters(), *out.parameters()]
    ours = derivatives(
        lambda x, radial: filtered_sum(x, neighbors, radial, envelope, into, out), inputs
    )
    plain = derivatives(
        lambda x, radial: plain_sum(x, neighbors, radial, envelope, *weights), inputs
    )
    for one, other in zip(ours, plain, strict=True):
        close(one, other)
