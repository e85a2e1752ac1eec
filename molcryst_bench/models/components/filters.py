"""Continuous-filter convolution (Schütt et al. 2018), whose cost is nearly all that of SchNet."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from molcryst_bench.models.components.activations import shifted_softplus
from molcryst_bench.models.components.linear import multiply
from molcryst_bench.models.components.neighbors import Neighbors

_BLOCK = 2**18  # numbers of a filter that stay in a core's cache from one step to the next
_LOG2_E = math.log2(math.e)


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
    envelope: Tensor  # (edges, 1)
    sender: Tensor  # (edges,)
    receiver: Tensor  # (edges,)


class _BlockedSum(torch.autograd.Function):
    """The same as above, block of edges by block, so that filters are not sent to memory."""

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
        for block in _blocks(radial, envelope, neighbors, x.shape[1]):
            hidden = _shifted_softplus(multiply(block.radial, w1, b1))  # (edges, width)
            weight = multiply(hidden, w2, b2).mul_(block.envelope)
            arrays = _arrays(x, weight, block.sender, block.receiver, sums)
            filter_loops.convolve(neighbors.paired, *arrays)
            kept += [hidden, weight]
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
        for block, hidden, weight in zip(
            _blocks(radial, envelope, ctx.neighbors, x.shape[1]), kept[::2], kept[1::2], strict=True
        ):
            for_weight = torch.empty_like(weight)  # (edges, width)
            ends = (block.sender, block.receiver)
            arrays = _arrays(x, weight, *ends, gradient, for_x, for_weight)
            filter_loops.convolve_gradient(ctx.neighbors.paired, *arrays)
            for_weight.mul_(block.envelope)
            for_hidden = multiply(for_weight, w2.T).mul_(_slope(hidden))
            for_w2 += multiply(hidden.T, for_weight.T).T
            for_b2 += for_weight.sum(0)
            for_w1 += multiply(block.radial.T, for_hidden.T).T
            for_b1 += for_hidden.sum(0)
        return for_x, *for_weights, None, None, None


def _blocks(radial: Tensor, envelope: Tensor, neighbors: Neighbors, width: int) -> Iterator[_Block]:
    size = max(_BLOCK * torch.get_num_threads() // width, 1)
    everything = (radial, envelope[:, None], neighbors.sender, neighbors.receiver)
    return map(_Block, *(torch.split(each, size) for each in everything))


def _arrays(*tensors: Tensor) -> list[Any]:
    return [each.detach().contiguous().numpy() for each in tensors]


def _shifted_softplus(x: Tensor) -> Tensor:
    """Return the shifted softplus by powers of two, which torch computes faster than those of e."""
    power = x.abs().mul_(-_LOG2_E).exp2_()  # e^-|x|
    return x.clamp_(min=0).add_(power.log1p_()).sub_(math.log(2.0))


def _slope(value: Tensor) -> Tensor:
    r"""Return the derivative of the shifted softplus from its value, :math:`1 - e^{-y} / 2`."""
    return value.mul(-_LOG2_E).exp2_().mul_(-0.5).add_(1.0)
