"""Batches that PyTorch Geometric can take apart again."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Batch


def make_separable(batch: Batch, node_ptr: Tensor, edge_ptr: Tensor) -> None:
    """Tell PyG where each graph lies, for ``batch.to_data_list()`` and ``batch[i]``."""
    graph_ptr = torch.arange(len(node_ptr))
    graphs, zeros = len(node_ptr) - 1, torch.zeros(len(node_ptr) - 1, dtype=torch.int64)
    slices: dict[str, Any] = {"z": node_ptr, "pos": node_ptr, "edge_index": edge_ptr}
    if "cell" in batch:
        slices |= {"cell": graph_ptr, "edge_shift": edge_ptr}
    if "features" in batch:
        slices["features"] = graph_ptr
    increments: dict[str, Any] = dict.fromkeys(slices, zeros) | {"edge_index": node_ptr[:-1]}
    per_graph = {n: len(values) == graphs for n, values in batch.targets.items()}
    slices["targets"] = {n: graph_ptr if whole else node_ptr for n, whole in per_graph.items()}
    increments["targets"] = dict.fromkeys(per_graph, zeros)
    batch._num_graphs = graphs
    batch._slice_dict = slices
    batch._inc_dict = increments
