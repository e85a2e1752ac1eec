"""Functions of a distance."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_LOG2_E = math.log2(math.e)
_SMALLEST = -126.0  # exponent of two in float32


class GaussianBasis(nn.Module):
    r"""Equally spaced Gaussians, :math:`e_k(d) = \exp(-\tfrac12 (d - \mu_k)^2 / \sigma^2)`.

    ``count`` centres lie from 0 to ``cutoff`` (Å); :math:`\sigma` is ``width`` (Å), by default
    their spacing (Schütt et al. 2018, eq. 11).
    """

    centers: Tensor

    def __init__(self, count: int, cutoff: float, width: float | None = None) -> None:
        super().__init__()
        self.width = width or cutoff / max(count - 1, 1)
        self.register_buffer("centers", torch.linspace(0, cutoff, count), persistent=False)

    def forward(self, distance: Tensor) -> Tensor:
        """Expand distances (...) to (..., count)."""
        offset = (distance[..., None] - self.centers) / self.width
        # Powers of two are faster than those of e, and numbers below the smallest normal one slow.
        return offset.square().mul_(-0.5 * _LOG2_E).clamp(min=_SMALLEST).exp2_()


class ExponentialBasis(nn.Module):
    r"""Gaussians of the exponential of a distance, :math:`\exp(-\beta_k (e^{-d} - \mu_k)^2)`.

    Distances are in Å. ``count`` centres :math:`\mu_k` begin equally spaced from 1 to
    :math:`e^{-r_c}`, and all :math:`\beta_k` at the inverse square of twice their spacing; both are
    trained and stay positive (Unke and Meuwly 2019, eq. 7).
    """

    def __init__(self, count: int, cutoff: float) -> None:
        super().__init__()
        nearest = math.exp(-cutoff)
        centers = torch.linspace(1.0, nearest, count, dtype=torch.float64)
        widths = torch.full_like(centers, (count / (2 * (1 - nearest))) ** 2)
        self.raw_centers = nn.Parameter(_inverse_softplus(centers).float())
        self.raw_widths = nn.Parameter(_inverse_softplus(widths).float())

    def forward(self, distance: Tensor) -> Tensor:
        """Expand distances (...) to (..., count)."""
        offset = torch.exp(-distance)[..., None] - F.softplus(self.raw_centers)
        return torch.exp(-F.softplus(self.raw_widths) * offset.square())


class ExponentialNormalBasis(nn.Module):
    r"""Smooth Gaussians of the exponential, :math:`C(d)\exp(-\beta (e^{-5d/r_c} - \mu_k)^2)`.

    ``count`` fixed centres :math:`\mu_k` lie equally spaced from :math:`e^{-r_c}` to 1, and
    :math:`\beta` is the inverse square of twice their spacing. The cosine cut-off :math:`C` takes
    all of them to 0 (Thölke and De Fabritiis 2022, eq. 1 and 2).
    """

    centers: Tensor

    def __init__(self, count: int, cutoff: float) -> None:
        super().__init__()
        nearest = math.exp(-cutoff)
        self.cutoff = cutoff
        self.width = (count / (2 * (1 - nearest))) ** 2
        self.register_buffer("centers", torch.linspace(nearest, 1, count), persistent=False)

    def forward(self, distance: Tensor) -> Tensor:
        """Expand distances (edges,) to (edges, count)."""
        offset = torch.exp(distance * (-5 / self.cutoff))[:, None] - self.centers
        envelope = cosine_cutoff(distance, self.cutoff)
        return torch.exp(-self.width * offset.square()) * envelope[:, None]


def _inverse_softplus(x: Tensor) -> Tensor:
    return x + torch.log(-torch.expm1(-x))


def cosine_cutoff(distance: Tensor, cutoff: float) -> Tensor:
    r"""Return :math:`\tfrac12 (\cos(\pi d / r_c) + 1)` below the cut-off and 0 beyond it."""
    wave = 0.5 * (torch.cos(distance * (math.pi / cutoff)) + 1)
    return wave * (distance < cutoff)


def polynomial_cutoff(distance: Tensor, cutoff: float) -> Tensor:
    r"""Return :math:`1 - 6x^5 + 15x^4 - 10x^3` of :math:`x = d / r_c`, and 0 beyond the cut-off.

    Its first and second derivatives vanish at both ends (Unke and Meuwly 2019, eq. 8).
    """
    x = (distance / cutoff).clamp(max=1)
    return 1 - x**3 * (10 + x * (6 * x - 15))
