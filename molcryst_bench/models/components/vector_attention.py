"""Attention between atoms that carry vectors (Thölke and De Fabritiis 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F


@dataclass(frozen=True)
class VectorAttention:
    r"""What atoms :math:`j` send to atom :math:`i`, a number and a vector for each feature.

    .. math::

        a_{ij} &= C_{ij}\,\mathrm{SiLU}\Big(\sum_{\text{head}} q_i \circ k_j \circ D^k_{ij}\Big) \\
        x_i &= \sum_j a_{ij}\,(s_j \circ D^0_{ij}) \\
        \vec w_i &= \sum_j \vec u_j \circ D^1_{ij} F_{ij} + (t_j \circ D^2_{ij})\,\vec d_{ij}

    with filters :math:`D` and envelopes :math:`C` and :math:`F` of the distance, and the direction
    :math:`\vec d`. Features are split over heads, of which each has its own :math:`a`.

    On a CPU compiled loops compute it and its first and second derivatives; elsewhere, and for a
    compiler that sees through operations of torch, it is made of those.
    """

    ends: Tensor  # (3, edges) receiver and sender, and the row of the filters
    heads: int

    def __call__(
        self,
        q: Tensor,
        sent: Tensor,
        filters: Tensor,
        envelope: Tensor,
        fade: Tensor,
        direction: Tensor,
    ) -> Tensor:
        """Return x and the components of w, (nodes, 4, width).

        Args:
            q: (nodes, width) of receivers.
            sent: (nodes, 6, width), of senders k, s, t and the three components of u.
            filters: (distances, 4, width), of which each edge sees its row.
            envelope: (edges,) C.
            fade: (edges,) F.
            direction: (edges, 3).
        """
        inputs = (q, sent, filters, envelope, fade, direction)
        if not _runs_in_loops(inputs):
            return self.in_operations(*inputs)
        result: Tensor = _Attention.apply(self.ends, self.heads, *inputs)  # type: ignore[no-untyped-call]
        return result

    def in_operations(
        self,
        q: Tensor,
        sent: Tensor,
        filters: Tensor,
        envelope: Tensor,
        fade: Tensor,
        direction: Tensor,
    ) -> Tensor:
        """Return the same from operations of torch."""
        receiver, sender, row = self.ends
        k, s, t, u = torch.split(sent.index_select(0, sender), [1, 1, 1, 3], 1)
        dk, d0, d1, d2 = filters.index_select(0, row).chunk(4, 1)  # (edges, 1, width)
        products = q.index_select(0, receiver)[:, None] * k * dk
        score = products.unflatten(2, (self.heads, -1)).sum(3, keepdim=True)
        attention = F.silu(score) * envelope[:, None, None, None]  # (edges, 1, heads, 1)
        x = (attention * (s * d0).unflatten(2, (self.heads, -1))).flatten(2)
        w = u * (d1 * fade[:, None, None]) + (t * d2) * direction[:, :, None]  # (edges, 3, width)
        sums = q.new_zeros(len(q), 4, q.shape[1])
        return sums.index_add(0, receiver, torch.cat([x, w], 1))


def _runs_in_loops(inputs: tuple[Tensor, ...]) -> bool:
    if torch.compiler.is_compiling():
        return False
    return all(
        each.device.type == "cpu"
        and each.dtype == inputs[0].dtype
        and each.dtype in (torch.float32, torch.float64)
        for each in inputs
    )


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, ends: Tensor, heads: int, *inputs: Tensor) -> Tensor:
        from molcryst_bench.models.components import attention_loops  # compiled at its first use

        inputs = tuple(each.contiguous() for each in inputs)
        ctx.save_for_backward(ends, *inputs)
        ctx.heads = heads
        q = inputs[0]
        sums = q.new_zeros(len(q), 4, q.shape[1])
        attention_loops.attend(*_given(inputs, ends, heads), sums.numpy())
        return sums

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        ends, *inputs = ctx.saved_tensors
        return None, None, *_AttentionGradient.apply(ends, ctx.heads, gradient, *inputs)


class _AttentionGradient(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, ends: Tensor, heads: int, gradient: Tensor, *inputs: Tensor
    ) -> tuple[Tensor, ...]:
        from molcryst_bench.models.components import attention_loops

        gradient = gradient.contiguous()
        ctx.save_for_backward(ends, gradient, *inputs)
        ctx.heads = heads
        sums = tuple(map(torch.zeros_like, inputs))
        given = (*_given(inputs, ends, heads), *_as_arrays([gradient]))
        attention_loops.attend_gradient(*given, *_as_arrays(sums))
        return sums

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *toward: Tensor) -> tuple[Tensor | None, ...]:
        from molcryst_bench.models.components import attention_loops

        ends, gradient, *inputs = ctx.saved_tensors
        sums = tuple(map(torch.zeros_like, (gradient, *inputs)))
        given = (*_given(inputs, ends, ctx.heads), *_as_arrays([gradient, *toward]))
        attention_loops.attend_second_gradient(*given, *_as_arrays(sums))
        return None, None, *sums


def _given(inputs: Sequence[Tensor], ends: Tensor, heads: int) -> tuple[Any, ...]:
    """Return what all loops are given first."""
    from molcryst_bench.models.components.attention_loops import SCRATCH

    scratch = torch.empty(SCRATCH, inputs[0].shape[1], dtype=inputs[0].dtype)
    return *_as_arrays([*inputs, ends]), heads, scratch.numpy()


def _as_arrays(tensors: Sequence[Tensor]) -> list[Any]:
    return [each.detach().contiguous().numpy() for each in tensors]
