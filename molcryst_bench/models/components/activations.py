"""Activation functions that torch does not have."""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn import functional as F


def shifted_softplus(x: Tensor) -> Tensor:
    r"""Return :math:`\ln(\tfrac12 e^x + \tfrac12)`, which is 0 at 0 (Schütt et al. 2018)."""
    return F.softplus(x) - math.log(2.0)
