"""Reading a set by attention."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from molcryst_bench.models.components.padding import Padding


class Set2Set(nn.Module):
    r"""Reads the atoms of a graph, in whatever order, in several steps of attention.

    From :math:`q^*_0 = 0`, each step does

    .. math::

        q_t = \mathrm{LSTM}(q^*_{t-1}), \quad
        a_{it} = \mathrm{softmax}_i(x_i \cdot q_t), \quad
        q^*_t = \Big[q_t, \sum_i a_{it}\,x_i\Big].

    Atoms are averaged, so a repeated cell reads like one cell. The recurrence is torch's cell
    rather than its layer because forces need second derivatives, which cuDNN's layer lacks.

    Reference: O. Vinyals, S. Bengio, M. Kudlur, Order matters: sequence to sequence for sets,
    ICLR 2016, arXiv 1511.06391, eq. 3 to 7.
    """

    def __init__(self, width: int, steps: int) -> None:
        super().__init__()
        self.width = width
        self.steps = steps
        self.cell = nn.LSTMCell(2 * width, width)

    def forward(self, x: Tensor, padding: Padding) -> Tensor:
        """Return what is read, (graphs, 2 width), of features (nodes, width)."""
        atoms = padding.pad(x)  # (graphs, largest, width)
        absent = ~padding.present[:, :, None]
        query = memory = x.new_zeros(len(atoms), self.width)
        read = x.new_zeros(len(atoms), 2 * self.width)
        for _ in range(self.steps):
            query, memory = self.cell(read, (query, memory))
            score = atoms @ query[:, :, None]  # (graphs, largest, 1)
            weight = score.masked_fill(absent, -torch.inf).softmax(1)
            read = torch.cat([query, (weight * atoms).sum(1)], dim=1)
        return read
