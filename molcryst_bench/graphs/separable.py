"""Batches that PyTorch Geometric can take apart again."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Batch

_EMPTY_BATCH = Batch()


def separable_batch(
    content: Mapping[str, Any], node_ptr: np.ndarray, edge_ptr: np.ndarray
) -> Batch:
    """Return a batch that knows where each graph lies, for ``to_data_list()`` and ``batch[i]``.

    Args:
        content: ``z``, ``pos``, ``edge_index``, ``targets`` and what else there is.
        node_ptr: (graphs + 1,) first node of each graph, and the number of all.
        edge_ptr: (graphs + 1,) first edge of each graph, and the number of all.
    """
    batch = copy(_EMPTY_BATCH)  # making one anew costs a tenth of a millisecond, and so would
    batch._store._mapping.update(content)  # setting its attributes one by one
    slices, increments = _places(content, node_ptr, edge_ptr)
    vars(batch._store).update(
        _num_graphs=len(node_ptr) - 1, _slice_dict=slices, _inc_dict=increments
    )
    return batch


def _places(
    content: Mapping[str, Any], node_ptr: np.ndarray, edge_ptr: np.ndarray
) -> tuple[dict[str, Any], dict[str, Any]]:
    graphs = len(node_ptr) - 1
    of_graphs, zeros = _numbers(graphs)
    of_nodes, of_edges = torch.from_numpy(node_ptr), torch.from_numpy(edge_ptr)
    slices: dict[str, Any] = {"z": of_nodes, "pos": of_nodes, "edge_index": of_edges}
    if "cell" in content:
        slices |= {"cell": of_graphs, "edge_shift": of_edges}
    if "features" in content:
        slices["features"] = of_graphs
    increments: dict[str, Any] = dict.fromkeys(slices, zeros)
    increments["edge_index"] = of_nodes[:-1]
    targets: Mapping[str, Tensor] = content["targets"]
    slices["targets"] = {
        name: of_graphs if len(values) == graphs else of_nodes for name, values in targets.items()
    }
    increments["targets"] = dict.fromkeys(targets, zeros)
    return slices, increments


@lru_cache(maxsize=1024)
def _numbers(graphs: int) -> tuple[Tensor, Tensor]:
    """Return the numbers of rows that there is one of for each graph, and no increments."""
    return torch.arange(graphs + 1), torch.zeros(graphs, dtype=torch.int64)
