"""Numbering equal keys."""

from __future__ import annotations

import torch
from torch import Tensor


def occurrence(keys: Tensor) -> Tensor:
    """Return how many equal keys stand before each of (keys,)."""
    ordered, order = keys.sort(stable=True)
    first = torch.searchsorted(ordered, ordered)  # (keys,)
    rank = torch.arange(len(keys), device=keys.device) - first
    return torch.empty_like(rank).index_copy(0, order, rank)
