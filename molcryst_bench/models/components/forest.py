"""Regression trees as plain tensors, which any device evaluates and any checkpoint holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

_MOST_AT_ONCE = 2**22  # pairs of a graph and a tree


class Forest(nn.Module):
    """Sums of regression trees, one forest for each output.

    All nodes of all trees stand in one row of each tensor. A leaf is its own child, so that all
    trees are descended in step. The number of nodes is known after growing or loading only.
    """

    feature: Tensor  # (nodes,) that a node looks at
    threshold: Tensor  # (nodes,) up to which it goes left
    missing_left: Tensor  # (nodes,) whether it goes left for NaN
    child: Tensor  # (nodes, 2) left and right
    value: Tensor  # (nodes,) of the leaves
    root: Tensor  # (outputs, trees)
    start: Tensor  # (outputs,) to which the trees are added

    def __init__(self, outputs: int, depth: int) -> None:
        super().__init__()
        self.depth = depth
        self.register_buffer("feature", torch.zeros(0, dtype=torch.int64))
        self.register_buffer("threshold", torch.zeros(0, dtype=torch.float64))
        self.register_buffer("missing_left", torch.zeros(0, dtype=torch.bool))
        self.register_buffer("child", torch.zeros(0, 2, dtype=torch.int64))
        self.register_buffer("value", torch.zeros(0, dtype=torch.float64))
        self.register_buffer("root", torch.zeros(outputs, 0, dtype=torch.int64))
        self.register_buffer("start", torch.zeros(outputs, dtype=torch.float64))
        self.register_load_state_dict_pre_hook(_take_sizes)  # type: ignore[no-untyped-call]

    def plant(self, fitted: Sequence[Any]) -> None:
        """Take the trees of one fitted ``HistGradientBoostingRegressor`` for each output."""
        trees = [step[0].nodes for model in fitted for step in model._predictors]
        first = np.cumsum([0, *(len(tree) for tree in trees)])
        nodes = np.concatenate(trees)
        own, shift = np.arange(len(nodes)), np.repeat(first[:-1], np.diff(first))
        leaf = nodes["is_leaf"].astype(bool)
        children = [np.where(leaf, own, nodes[side] + shift) for side in ("left", "right")]
        columns = {
            "feature": np.where(leaf, 0, nodes["feature_idx"]),
            "threshold": nodes["num_threshold"],
            "missing_left": nodes["missing_go_to_left"].astype(bool),
            "child": np.stack(children, axis=1),
            "value": np.where(leaf, nodes["value"], 0.0),
            "root": first[:-1].reshape(len(fitted), -1),
            "start": np.array([np.ravel(model._baseline_prediction)[0] for model in fitted]),
        }
        for name, values in columns.items():
            old = self.get_buffer(name)
            setattr(self, name, torch.from_numpy(np.ascontiguousarray(values)).to(old))

    def forward(self, x: Tensor) -> Tensor:
        """Predict from features (rows, features), which may be NaN; (rows, outputs)."""
        rows = max(_MOST_AT_ONCE // max(self.root.numel(), 1), 1)
        return torch.cat([self._descend(part) for part in torch.split(x, rows)])

    def _descend(self, x: Tensor) -> Tensor:
        node = self.root.flatten().expand(len(x), -1)  # (rows, outputs * trees)
        for _ in range(self.depth if node.numel() else 0):
            seen = x.gather(1, self.feature[node])
            left = torch.where(seen.isnan(), self.missing_left[node], seen <= self.threshold[node])
            node = self.child[node, (~left).long()]
        return self.value[node].view(len(x), *self.root.shape).sum(2) + self.start


def _take_sizes(forest: nn.Module, weights: Mapping[str, Tensor], prefix: str, *_: object) -> None:
    """Before weights are loaded, make room for as many nodes as they have."""
    for name, buffer in list(forest.named_buffers(recurse=False)):
        if (given := weights.get(prefix + name)) is not None and given.dim() == buffer.dim():
            setattr(forest, name, buffer.new_empty(given.shape))
