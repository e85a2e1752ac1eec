"""CGCNN on padded adjacency matrices, to compare what the two forms cost."""

from __future__ import annotations

from typing import Any

from molcryst_bench.models.cgcnn import CGCNN
from molcryst_bench.models.components.adjacency import Adjacency, AdjacencyMatrix


class CGCNNMatrix(CGCNN):
    """CGCNN (matrix): the same network on padded adjacency matrices.

    Weights are those of ``cgcnn`` and so are predictions. Time and memory grow with the square of
    the number of atoms of the largest structure of a batch, not with the number of edges.

    Reference: T. Xie, J. C. Grossman, Crystal graph convolutional neural networks for an accurate
    and interpretable prediction of material properties, Phys. Rev. Lett. 120, 145301 (2018), doi
    10.1103/PhysRevLett.120.145301.
    """

    def adjacency(self, batch: Any) -> Adjacency:
        """Fill up the adjacency matrix of each graph to the largest of the batch."""
        return AdjacencyMatrix(batch)
