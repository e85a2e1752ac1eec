"""Attention between atoms that carry vectors (Thölke and De Fabritiis 2022)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from molcryst_bench.models.components.edge_map import DerivativeByAutograd, Message


@dataclass(frozen=True)
class VectorAttention:
    r"""What atom :math:`j` sends to atom :math:`i`, a number and a vector for each feature.

    .. math::

        a &= C\,\mathrm{SiLU}\Big(\sum_{\text{head}} q_i \circ k_j \circ D^k\Big), \qquad
        x = a\,(s_j \circ D^0) \\
        \vec w &= \vec u_j \circ D^1 F + (t_j \circ D^2)\,\vec d

    with filters :math:`D` and envelopes :math:`C` and :math:`F` of the distance, and the direction
    :math:`\vec d`. Features are split over heads, of which each has its own :math:`a`.
    """

    def __call__(self, *parts: Tensor) -> Sequence[Tensor]:
        """Return x and the three components of w, (edges, 4, heads, width / heads).

        Args:
            parts: q (edges, heads, width / heads), [k, s, t, u] (edges, 6, heads, width / heads),
                the filters D (edges, 4, heads, width / heads), C and F (edges, 1, 1), and d
                (edges, 3, 1, 1).
        """
        q, sender, filters, envelope, fade, direction = parts
        k, s, t, *u = sender.unbind(1)
        dk, d0, d1, d2 = filters.unbind(1)
        attention = F.silu((q * k * dk).sum(2, keepdim=True)) * envelope
        d1 = d1 * fade
        along = t * d2
        sent = [(s * d0, attention), *((component, d1) for component in u)]
        message = _products(sent)
        vector = message[:, 1:]
        if torch.is_grad_enabled():
            return (torch.cat([message[:, :1], vector + along[:, None] * direction], 1),)
        vector.addcmul_(along[:, None], direction)
        return (message,)

    def derivative(self, wanted: Sequence[bool]) -> Message:
        """Return the gradient, written by hand to share what its terms have in common."""
        return VectorAttentionGradient(tuple(wanted))


@dataclass(frozen=True)
class VectorAttentionGradient:
    """Gradients of the parts of ``VectorAttention``."""

    wanted: tuple[bool, ...]

    def __call__(self, *parts: Tensor) -> Sequence[Tensor]:
        """Return the gradients of wanted parts; the last of ``parts`` is that of what is sent."""
        q, sender, filters, envelope, fade, direction, gradient = parts
        k, s, t, *u = sender.unbind(1)
        dk, d0, d1, d2 = filters.unbind(1)
        gx, *gw = gradient.unbind(1)

        qk = q * k
        score = (qk * dk).sum(2, keepdim=True)  # (edges, heads, 1)
        sigmoid = torch.sigmoid(score)
        silu = score * sigmoid
        gx_s = gx * s
        g_attention = (gx_s * d0).sum(2, keepdim=True)
        g_score = g_attention * envelope * (sigmoid * (1 + score - silu))
        attention = silu * envelope
        dk = dk * g_score
        along = _dot(gw, direction.unbind(1))
        by_u = _dot(gw, u)
        faded = d1 * fade

        vectors = [(component, faded) for component in gw]
        gradients: tuple[Callable[[], Tensor], ...] = (
            lambda: dk * k,
            lambda: _products([(dk, q), (gx * attention, d0), (along, d2), *vectors]),
            lambda: _products([(qk, g_score), (gx_s, attention), (by_u, fade), (along, t)]),
            lambda: (g_attention * silu).sum(1, keepdim=True),
            lambda: (by_u * d1).sum((1, 2), keepdim=True),
            lambda: (gradient[:, 1:] * (t * d2)[:, None]).sum((2, 3), keepdim=True),
        )
        return [by_part() for by_part, want in zip(gradients, self.wanted, strict=True) if want]

    def derivative(self, wanted: Sequence[bool]) -> Message:
        """Return the second derivative."""
        return DerivativeByAutograd(self, wanted)


def _products(pairs: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """Return products (edges, ...) side by side, (edges, products, ...)."""
    if torch.is_grad_enabled():
        return torch.stack([a * b for a, b in pairs], 1)
    first = pairs[0][0]
    result = first.new_empty(first.shape[0], len(pairs), *first.shape[1:])
    for (a, b), out in zip(pairs, result.unbind(1), strict=True):
        torch.mul(a, b, out=out)
    return result


def _dot(a: Sequence[Tensor], b: Sequence[Tensor]) -> Tensor:
    """Return the scalar product of vectors by components, which is faster than a sum."""
    return torch.addcmul(torch.addcmul(a[0] * b[0], a[1], b[1]), a[2], b[2])
