"""Functions of a distance."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class GaussianBasis(nn.Module):
    r"""Equally spaced Gaussians, :math:`e_k(d) = \exp(-\tfrac12 (d - \mu_k)^2 / \Delta^2)`.

    ``count`` centres lie from 0 to ``cutoff`` (Å), and :math:`\Delta` is their spacing (Schütt et
    al. 2018, eq. 11).
    """

    centers: Tensor

    def __init__(self, count: int, cutoff: float) -> None:
        super().__init__()
        self.spacing = cutoff / max(count - 1, 1)
        self.register_buffer("centers", torch.linspace(0, cutoff, count), persistent=False)

    def forward(self, distance: Tensor) -> Tensor:
        """Expand distances (edges,) to (edges, count)."""
        offset = (distance[:, None] - self.centers) / self.spacing
        return torch.exp(-0.5 * offset.square())


def cosine_cutoff(distance: Tensor, cutoff: float) -> Tensor:
    r"""Return :math:`\tfrac12 (\cos(\pi d / r_c) + 1)` below the cut-off and 0 beyond it."""
    wave = 0.5 * (torch.cos(distance * (math.pi / cutoff)) + 1)
    return wave * (distance < cutoff)
