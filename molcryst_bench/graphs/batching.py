"""Cutting an order of graphs into batches, by count or by a budget of atoms or edges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from molcryst_bench.base.errors import SettingsError
from molcryst_bench.graphs.gather import fill_batches


@dataclass(frozen=True)
class BatchLimit:
    """How large a batch may become; frameworks differ so much in size that a count is no limit."""

    graphs: int | None = None
    atoms: int | None = None
    edges: int | None = None  # directed, as in ``edge_index``

    def __post_init__(self) -> None:
        given = {"batch_size": self.graphs, "max_atoms": self.atoms, "max_edges": self.edges}
        for name, value in given.items():
            if value is not None and value < 1:
                raise SettingsError(f"{name} is {value}: it must be at least 1")
        if not any(given.values()):
            raise SettingsError("give a batch_size, max_atoms or max_edges")

    def cut(self, order: Tensor, atoms: Tensor, edges: Tensor) -> list[Tensor]:
        """Cut an order of graphs into consecutive batches, each as large as the limits allow.

        Args:
            order: (graphs,) rows.
            atoms: (rows,) atoms of every graph.
            edges: (rows,) directed edges of every graph.

        Raises:
            SettingsError: if a single graph is over a limit.
        """
        if self.atoms is None and self.edges is None:
            return list(torch.split(order, self.graphs or len(order) or 1))
        budgets = [(self.graphs, torch.ones_like(order))]
        for name, limit, sizes in (("atoms", self.atoms, atoms), ("edges", self.edges, edges)):
            sizes = sizes[order]
            if limit is not None and len(order) and int(sizes.max()) > limit:
                message = f"a graph of {int(sizes.max()):,} {name} does not fit into a batch of"
                raise SettingsError(f"{message} at most {limit:,}: raise max_{name}")
            budgets.append((limit, sizes))
        kept = [(limit, sizes) for limit, sizes in budgets if limit is not None]
        limits, each = zip(*kept, strict=True)
        counts = fill_batches(torch.stack(each).numpy(), np.array(limits))
        return list(torch.split(order, counts[counts > 0].tolist()))
