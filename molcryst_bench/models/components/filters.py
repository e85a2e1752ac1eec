"""Continuous-filter convolution (Schütt et al. 2018), whose cost is nearly all that of SchNet."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from molcryst_bench.models.components.activations import shifted_softplus
from molcryst_bench.models.components.linear import multiply, multiply_sigmoid, outer
from molcryst_bench.models.components.looped import arrays
from molcryst_bench.models.components.neighbors import Neighbors

_BLOCK = 2**18  # numbers of a filter that stay in a core's cache from one step to the next


def filtered_sum(
    x: Tensor,
    neighbors: Neighbors,
    radial: Tensor,
    envelope: Tensor,
    into: nn.Linear,
    out: nn.Linear,
) -> Tensor:
    r"""Sum neighbours, each weighted by a filter that a small network makes of the distance.

    .. math:: v_i = \sum_j x_j \circ \big(W_2\,\mathrm{ssp}(W_1 e_{ij} + b_1) + b_2\big)\,C_{ij}

    Args:
        x: (nodes, width).
        neighbors: of the nodes.
        radial: (edges, radials) functions :math:`e_{ij}` of the distance.
        envelope: (edges,) the cut-off :math:`C_{ij}`.
        into: layer with :math:`W_1` and :math:`b_1`.
        out: layer with :math:`W_2` and :math:`b_2`.

    Returns:
        the sums, (nodes, width).
    """
    if _works_in_blocks(x, radial):
        weights = (into.weight, into.bias, out.weight, out.bias)
        inputs = (x, *weights, radial, envelope, neighbors)
        sums: Tensor = _BlockedSum.apply(*inputs)  # type: ignore[no-untyped-call]
        if sums.sum().isfinite():
            return sums
    weight = out(shifted_softplus(into(radial)))  # (edges, width)
    return neighbors.convolve(x, weight * envelope[:, None])


def _works_in_blocks(x: Tensor, radial: Tensor) -> bool:
    """Return whether to work in blocks: on a CPU, and where no forces are asked for.

    For them the filters must be differentiable, twice in training. A compiler fuses by itself.
    """
    if torch.compiler.is_compiling():
        return False
    on_cpu = x.device.type == "cpu" and not torch.is_autocast_enabled("cpu")
    return on_cpu and x.dtype == radial.dtype and not radial.requires_grad


class _Block(NamedTuple):
    """Some of the edges, and their ends."""

    radial: Tensor  # (edges, radials)
    envelope: Tensor  # (edges,)
    sender: Tensor  # (edges,)
    receiver: Tensor  # (edges,)


class _BlockedSum(torch.autograd.Function):
    r"""The same as above, block of edges by block, so that filters are not sent to memory.

    With :math:`q = \sigma(-x)`, which comes with the product of matrices, the shifted softplus is
    :math:`-\ln q - \ln 2` and its derivative :math:`1 - q`. Where q is too small for its type the
    sums are not finite.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        w1: Tensor,
        b1: Tensor,
        w2: Tensor,
        b2: Tensor,
        radial: Tensor,
        envelope: Tensor,
        neighbors: Neighbors,
    ) -> Tensor:
        from molcryst_bench.models.components import filter_loops  # takes time to import

        sums, kept = torch.zeros(x.shape, dtype=x.dtype), []
        into, out = (-w1, -b1), (-w2, b2 - math.log(2.0) * w2.sum(1))
        for block in _blocks(radial, envelope, neighbors, x.shape[1]):
            q = multiply_sigmoid(block.radial, *into)  # (edges, width)
            hidden = q.log()
            weight = multiply(hidden, *out)
            ends = (block.sender, block.receiver)
            given = arrays(x, weight, block.envelope, *ends, sums)
            filter_loops.convolve(neighbors.paired, *given)
            kept += [q, hidden, weight]
        ctx.save_for_backward(x, w1, b1, w2, b2, radial, envelope, *kept)
        ctx.neighbors = neighbors
        return sums

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        from molcryst_bench.models.components import filter_loops

        x, w1, b1, w2, b2, radial, envelope, *kept = ctx.saved_tensors
        for_x, *for_weights = (
            torch.zeros(each.shape, dtype=each.dtype) for each in (x, w1, b1, w2, b2)
        )
        for_w1, for_b1, for_w2, for_b2 = for_weights
        blocks = _blocks(radial, envelope, ctx.neighbors, x.shape[1])
        for block, q, hidden, weight in zip(blocks, *(kept[i::3] for i in range(3)), strict=True):
            for_weight = torch.empty_like(weight)  # (edges, width)
            ends = (block.sender, block.receiver)
            given = arrays(x, weight, block.envelope, *ends, gradient, for_x, for_weight)
            filter_loops.convolve_gradient(ctx.neighbors.paired, *given)
            for_hidden = multiply(for_weight, w2.T)
            for_hidden.addcmul_(for_hidden, q, value=-1)
            for_w2 -= outer(for_weight, hidden)
            for_b2 += for_weight.sum(0)
            for_w1 += outer(for_hidden, block.radial)
            for_b1 += for_hidden.sum(0)
        for_w2 -= math.log(2.0) * for_b2[:, None]
        return for_x, *for_weights, None, None, None


def _blocks(radial: Tensor, envelope: Tensor, neighbors: Neighbors, width: int) -> Iterator[_Block]:
    size = max(_BLOCK * torch.get_num_threads() // width, 1)
    everything = (radial, envelope, neighbors.sender, neighbors.receiver)
    return map(_Block, *(torch.split(each, size) for each in everything))
