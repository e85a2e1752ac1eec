"""The gated sum over neighbours of CGCNN (Xie and Grossman 2018), nearly all of its cost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from molcryst_bench.models.components.batch_norm import BatchNorm
from molcryst_bench.models.components.linear import multiply, outer
from molcryst_bench.models.components.looped import arrays
from molcryst_bench.models.components.neighbors import Neighbors
from molcryst_bench.models.components.over_ranks import ranks

_BLOCK = 2**18  # numbers that stay in a core's cache from one step to the next


class Ends(NamedTuple):
    r"""What makes gate and core of an edge, :math:`z_{ij} = r_i + s_j + W u_{ij}`."""

    receiver: Tensor  # (nodes, 2 width) r
    sender: Tensor  # (nodes, 2 width) s
    weight: Tensor  # (2 width, radials) W
    radial: Tensor  # (edges, radials) u; of pairs where each stands for both directions


def gated_sum(parts: Ends, neighbors: Neighbors, norm: BatchNorm) -> Tensor | None:
    r"""Sum what passes the gates of the edges into each node.

    .. math:: v_i = \sum_j \sigma(\hat z_{ij}^{\text{gate}}) \circ
              \ln\big(1 + \exp \hat z_{ij}^{\text{core}}\big)

    where :math:`\hat z` is :math:`z`, normalised over the edges of a batch.

    Args:
        parts: of the edges, gates before cores.
        neighbors: of the nodes.
        norm: normalises.

    Returns:
        the sums, (nodes, width); None where they are to be computed operation by operation.
    """
    if not _works_in_blocks(parts, neighbors, norm):
        return None
    known = None if norm.training else (norm.running_mean, norm.running_var)
    settings = _Settings(neighbors, norm.running_mean, known, norm.eps, torch.is_grad_enabled())
    result = _GatedSum.apply(*parts, norm.weight, norm.bias, settings)  # type: ignore[no-untyped-call]
    sums, mean, variance = result
    if not sums.sum().isfinite():
        return None
    if known is None:
        norm.follow(mean, variance, neighbors.directions)
    total: Tensor = sums
    return total


def _works_in_blocks(parts: Ends, neighbors: Neighbors, norm: BatchNorm) -> bool:
    """Return whether to: on a CPU, in one process, where no forces are asked for.

    For them all must be differentiable in the distances, twice in training.
    """
    if torch.compiler.is_compiling() or parts.radial.requires_grad:
        return False
    on_cpu = parts.radial.device.type == "cpu" and not torch.is_autocast_enabled("cpu")
    alone = not norm.training or (ranks() == 1 and neighbors.directions >= 2)
    return on_cpu and alone and parts.receiver.dtype == parts.radial.dtype


class _Settings(NamedTuple):
    neighbors: Neighbors
    about: Tensor  # (2 width,) a guess of the mean, around which moments are summed
    known: tuple[Tensor, Tensor] | None  # mean and variance; None for those of the batch
    epsilon: float
    differentiable: bool


class _Block(NamedTuple):
    """Some of the edges."""

    radial: Tensor  # (edges / step, radials)
    receiver: Tensor  # (edges,)
    sender: Tensor  # (edges,)


class _GatedSum(torch.autograd.Function):
    r"""The same, block of edges by block, so that memory is read once for several steps.

    The softplus of a core c is :math:`-\ln q` with :math:`q = \sigma(-c)`, its derivative
    :math:`1 - q`: one logistic function serves gate and core. Where q is too small for its type the
    sums are not finite.
    """

    @staticmethod
    def forward(
        ctx: Any,
        receiver: Tensor,
        sender: Tensor,
        weight: Tensor,
        radial: Tensor,
        gain: Tensor,
        bias: Tensor,
        settings: _Settings,
    ) -> tuple[Tensor, Tensor, Tensor]:
        from molcryst_bench.models.components import gate_loops  # takes time to import

        parts = Ends(receiver.detach(), sender.detach(), weight.detach(), radial)
        moments = torch.zeros((2, len(gain)), dtype=torch.float64)
        blocks = _blocks(radial, settings.neighbors, len(gain))
        one_by_one = (_combined(parts, block, settings, moments) for block in blocks)
        # The mean of a batch is known only after all of its edges.
        combined = list(one_by_one) if settings.known is None else one_by_one
        mean, variance = settings.known or _statistics(moments, settings)
        inverse = torch.rsqrt(variance + settings.epsilon)  # (2 width,)
        scale, kept = gain.detach() * inverse, []
        offset = bias.detach() - mean * scale
        total = receiver.new_zeros((len(receiver), len(gain) // 2))  # (nodes, width)
        for block, values in zip(blocks, combined, strict=True):
            rest, logarithm = _opened(values, scale, offset)
            gate_loops.collect(*arrays(rest, logarithm, block.receiver, total))
            kept += [values, rest, logarithm] if settings.differentiable else []
        ctx.save_for_backward(weight, radial, mean, inverse, scale, *kept)
        ctx.settings, ctx.nodes = settings, len(receiver)
        ctx.mark_non_differentiable(mean, variance)
        return total, mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        from molcryst_bench.models.components import gate_loops

        weight, radial, mean, inverse, scale, *kept = ctx.saved_tensors
        settings, features = ctx.settings, len(mean)
        blocks = _blocks(radial, settings.neighbors, features)
        whole = list(zip(blocks, *(kept[i::3] for i in range(3)), strict=True))
        gradient, scratch = gradient.contiguous(), mean.new_empty((1, features))
        moments = torch.zeros((2, features), dtype=torch.float64)
        for block, values, rest, logarithm in whole:
            sums = torch.zeros((2, features), dtype=mean.dtype)
            what = (rest, logarithm, values, mean, block.receiver, gradient, scratch, sums)
            gate_loops.sum_gradients(*arrays(*what))
            moments += sums
        for_bias, for_gain = moments[0].to(mean), moments[1].to(mean) * inverse
        # The derivative of a normalisation: less its mean, and less what only scales the spread.
        edges = settings.neighbors.directions if settings.known is None else float("inf")
        factors = torch.stack(
            [scale, -scale * for_bias / edges, -scale * inverse * for_gain / edges]
        )
        for_receiver, for_sender = gradient.new_zeros((2, ctx.nodes, features))
        for_weight = torch.zeros_like(weight)
        for block, values, rest, logarithm in whole:
            for_distance = gradient.new_empty((len(block.radial), features))
            gate_loops.spread_gradients(
                settings.neighbors.step,
                *arrays(rest, logarithm, values, mean, factors, block.receiver, block.sender),
                *arrays(gradient, scratch, for_receiver, for_sender, for_distance),
            )
            for_weight += outer(for_distance, block.radial)
        return for_receiver, for_sender, for_weight, None, for_gain, for_bias, None


def _blocks(radial: Tensor, neighbors: Neighbors, features: int) -> list[_Block]:
    """Return all edges in blocks of the two directions of as many pairs."""
    pairs = max(_BLOCK * torch.get_num_threads() // (features * neighbors.step), 1)
    directed, edges = neighbors.directed(), pairs * neighbors.step
    ends = (torch.split(each, edges) for each in (directed.receiver, directed.sender))
    return list(map(_Block, torch.split(radial, pairs), *ends))


def _combined(parts: Ends, block: _Block, settings: _Settings, moments: Tensor) -> Tensor:
    """Return z of the edges of a block, (edges, 2 width), and add what is summed of it."""
    from molcryst_bench.models.components import gate_loops

    distance = multiply(block.radial, parts.weight)  # (edges / step, 2 width)
    values = distance.new_empty((len(block.receiver), distance.shape[1]))
    sums = torch.zeros(moments.shape, dtype=values.dtype)
    ends = (parts.receiver, parts.sender, distance, block.receiver, block.sender)
    gate_loops.combine(settings.neighbors.step, *arrays(*ends, settings.about, values, sums))
    moments += sums
    return values


def _statistics(moments: Tensor, settings: _Settings) -> tuple[Tensor, Tensor]:
    """Return mean and variance, (2 width,) each."""
    deviation, square = moments / settings.neighbors.directions
    mean, variance = settings.about + deviation, square - deviation.square()
    return mean.to(settings.about), variance.clamp(min=0).to(settings.about)


def _opened(values: Tensor, scale: Tensor, offset: Tensor) -> tuple[Tensor, Tensor]:
    """Return gates and q, (edges, 2 width), and the logarithm of q, (edges, width)."""
    from molcryst_bench.models.components import gate_loops

    rest = torch.empty_like(values)
    gate_loops.normalise(*arrays(values, *_signed(scale, offset), rest))
    rest.sigmoid_()
    return rest, rest[:, len(scale) // 2 :].log()


def _signed(*features: Tensor) -> Iterator[Tensor]:
    """Turn the sign of cores, the second half of (2 width,)."""
    for each in features:
        gate, core = each.chunk(2)
        yield torch.cat([gate, -core])
