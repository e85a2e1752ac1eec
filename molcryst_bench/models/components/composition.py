"""What a structure is made of."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

ELEMENTS = 119  # one row for each atomic number up to 118; row 0 stays empty


def element_counts(batch: Any) -> Tensor:
    """Return the number of atoms of each element in each graph, (graphs, 119) in float64."""
    graph = torch.zeros_like(batch.z) if batch.batch is None else batch.batch
    graphs = 1 if batch.batch is None else batch.num_graphs
    ones = torch.ones_like(batch.z, dtype=torch.float64)
    flat = ones.new_zeros(graphs * ELEMENTS).index_add_(0, graph * ELEMENTS + batch.z, ones)
    return flat.view(graphs, ELEMENTS)
