"""CGCNN on padded adjacency matrices, to compare what the two forms cost."""

from __future__ import annotations

from molcryst_bench.models.cgcnn import CGCNN
from molcryst_bench.models.components.adjacency import AdjacencyMatrix


class CGCNNMatrix(CGCNN):
    """CGCNN (matrix): the same network on padded adjacency matrices.

    Weights are those of ``cgcnn`` and so are predictions. Time and memory grow with the square of
    the number of atoms of the largest structure of a batch, not with the number of edges.
    """

    Format = AdjacencyMatrix
