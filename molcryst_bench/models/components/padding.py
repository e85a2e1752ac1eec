"""Graphs of different size side by side, for operations within each graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Padding:
    """Where each atom stands when every graph is filled up to the size of the largest one."""

    row: Tensor  # (nodes,) among graphs * largest
    present: Tensor  # (graphs, largest) whether an atom stands there

    @classmethod
    def of(cls, batch: Any) -> Padding:
        """Number the atoms of a batch within their graphs."""
        if batch.batch is None:
            row = torch.arange(len(batch.z), device=batch.z.device)
            return cls(row, torch.ones_like(row, dtype=torch.bool)[None])
        # PyG keeps on the CPU where graphs begin: to ask the device would be to wait for it.
        largest = int(batch._slice_dict["z"].diff().max())
        graph = batch.batch
        nodes = torch.arange(len(graph), device=graph.device)
        row = nodes - batch.ptr[graph] + graph * largest
        present = graph.new_zeros(batch.num_graphs * largest, dtype=torch.bool)
        present = present.index_fill(0, row, True)
        return cls(row, present.view(batch.num_graphs, largest))

    def pad(self, values: Tensor) -> Tensor:
        """Spread (nodes, ...) to (graphs, largest, ...) with zeros where no atom is."""
        padded = values.new_zeros(self.present.numel(), *values.shape[1:])
        return padded.index_copy(0, self.row, values).view(*self.present.shape, *values.shape[1:])

    def unpad(self, padded: Tensor) -> Tensor:
        """Gather (graphs, largest, ...) back to (nodes, ...)."""
        return padded.flatten(0, 1).index_select(0, self.row)
