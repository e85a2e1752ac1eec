"""Attention between atoms that carry vectors (Thölke and De Fabritiis 2022)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from molcryst_bench.models.components.looped import Looped, suits_loops


@dataclass(frozen=True)
class VectorAttention:
    r"""What atoms :math:`j` send to atom :math:`i`, a number and a vector for each feature.

    .. math::

        a_{ij} = C_{ij}\,\mathrm{SiLU}\Big(\sum_{\text{head}} q_i \circ k_j \circ D^k_{ij}\Big),
        \qquad x_i = \sum_j a_{ij}\,(s_j \circ D^0_{ij})

    .. math::

        \vec w_i = \sum_j r_j \circ \vec v_j \circ D^1_{ij} F_{ij}
                   + (t_j \circ D^2_{ij})\,\vec d_{ij}

    with filters :math:`D` and envelopes :math:`C` and :math:`F` of the distance, and the direction
    :math:`\vec d`. Features are split over heads, of which each has its own :math:`a`.

    On a CPU compiled loops compute it and its first and second derivatives; elsewhere, and for a
    compiler that sees through operations of torch, it is made of those.
    """

    ends: Tensor  # (3, edges) receiver and sender, and the row of the filters
    heads: int

    def __call__(
        self,
        atoms: Tensor,
        vectors: Tensor,
        filters: Tensor,
        envelope: Tensor,
        fade: Tensor,
        direction: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Return x (nodes, width) and w (nodes, 3, width).

        Args:
            atoms: (nodes, 5, width) q, k, s, t and r.
            vectors: (nodes, 3, width) v.
            filters: (distances, 4, width), of which each edge sees its row.
            envelope: (edges,) C.
            fade: (edges,) F.
            direction: (edges, 3).
        """
        inputs = (atoms, vectors, filters, envelope, fade, direction)
        if not suits_loops(*inputs):
            return self.in_operations(*inputs)
        x, w = self.in_loops(vectors[:, 0])(*inputs)
        return x, w

    def in_loops(self, x: Tensor, moving: bool = True) -> Looped:
        """Return the loops for atoms with features like these.

        Args:
            x: (nodes, width).
            moving: whether there are vectors that are not zero, or whose gradient is wanted.
        """
        from molcryst_bench.models.components import vector_loops as loops  # are compiled at first

        nodes, width = x.shape
        scratch = torch.empty(loops.ROWS, width, dtype=x.dtype).numpy()
        sent = torch.empty(4, nodes, 3, width, dtype=x.dtype).numpy()
        first = (self.ends.numpy(), self.heads, moving, scratch, sent)
        return Looped(
            partial(loops.attend, *first),
            partial(loops.attend_gradient, *first),
            partial(loops.attend_second_gradient, *first),
            shapes=[(nodes, width), (nodes, 3, width)],
        )

    def in_operations(
        self,
        atoms: Tensor,
        vectors: Tensor,
        filters: Tensor,
        envelope: Tensor,
        fade: Tensor,
        direction: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Return the same from operations of torch."""
        receiver, sender, row = self.ends
        sent = torch.cat([atoms[:, 1:4], vectors * atoms[:, 4:]], 1).index_select(0, sender)
        k, s, t, u = torch.split(sent, [1, 1, 1, 3], 1)
        dk, d0, d1, d2 = filters.index_select(0, row).chunk(4, 1)  # (edges, 1, width)
        q = atoms[:, :1].index_select(0, receiver)
        score = self._by_head(q * k * dk).sum(3, keepdim=True)  # (edges, 1, heads, 1)
        attention = F.silu(score) * envelope[:, None, None, None]
        x = (attention * self._by_head(s * d0)).flatten(2)
        w = u * (d1 * fade[:, None, None]) + (t * d2) * direction[:, :, None]  # (edges, 3, width)
        sums = vectors.new_zeros(len(atoms), 4, atoms.shape[2])
        sums = sums.index_add(0, receiver, torch.cat([x, w], 1))
        return sums[:, 0], sums[:, 1:]

    def _by_head(self, features: Tensor) -> Tensor:
        """Split features (edges, 1, width) to (edges, 1, heads, width / heads)."""
        edges, _, width = features.shape
        return features.view(edges, 1, self.heads, width // self.heads)


def vector_update(out: Tensor, mapped: Tensor) -> tuple[Tensor, Tensor]:
    r"""Return what atoms gain, features (nodes, width) and vectors (nodes, 3, width).

    .. math:: \Delta x = o^2 + o^1 \circ \langle U_1 \vec v, U_2 \vec v\rangle, \qquad
              \Delta \vec v = o^0 \circ U_3 \vec v

    Args:
        out: (nodes, 3, width) o0, o1 and o2.
        mapped: (nodes, 3, 3, width), of each component U1 v, U2 v and U3 v.
    """
    if not suits_loops(out, mapped):
        o0, o1, o2 = out.unbind(1)
        u1, u2, u3 = mapped.unbind(2)  # (nodes, 3, width)
        return torch.addcmul(o2, o1, (u1 * u2).sum(1)), o0[:, None] * u3
    x, vectors = update_in_loops(out[:, 0])(out, mapped)
    return x, vectors


def update_in_loops(x: Tensor) -> Looped:
    """Return the loops of ``vector_update`` for atoms with features like these, (nodes, width)."""
    from molcryst_bench.models.components import vector_loops as loops

    nodes, width = x.shape
    shapes = [(nodes, width), (nodes, 3, width)]
    return Looped(loops.update, loops.update_gradient, loops.update_second_gradient, shapes)
