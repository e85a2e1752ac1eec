"""From atoms to graphs."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

Readout = Literal["sum", "mean"]


def pool(values: Tensor, batch: Any, readout: Readout) -> Tensor:
    """Sum or average ``values`` (nodes, width) over the atoms of each graph to (graphs, width)."""
    # Half precision is for products, not for sums over hundreds of atoms.
    values = values.to(torch.promote_types(values.dtype, torch.float32))
    if batch.batch is None:
        return values.sum(0, keepdim=True) if readout == "sum" else values.mean(0, keepdim=True)
    pooled = values.new_zeros(batch.num_graphs, values.shape[1])
    pooled = pooled.index_add(0, batch.batch, values)
    return pooled if readout == "sum" else pooled / _atoms(batch, values).clamp(min=1)


def _atoms(batch: Any, values: Tensor) -> Tensor:
    """Return the number of atoms of each graph, (graphs, 1)."""
    ones = torch.ones_like(values[:, :1])
    return values.new_zeros(batch.num_graphs, 1).index_add(0, batch.batch, ones)
