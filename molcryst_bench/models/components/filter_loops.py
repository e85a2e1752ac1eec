"""Sums over neighbours, each weighted by a filter, and their gradients as loops over edges.

Arrays are contiguous and of one floating type: x (nodes, width), weight (edges, width), which the
envelope (edges,) of the cut-off multiplies; sender and receiver (edges,). If ``paired``, each edge
stands for both directions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import numpy as np

from molcryst_bench.base.compiled import compiled

Array = np.ndarray[Any, np.dtype[Any]]
_P = ParamSpec("_P")
_R = TypeVar("_R")


def _loop(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Compile without counting references to rows, which takes longer than to work with them."""
    return compiled(function, error_model="numpy", _nrt=False)


@_loop
def convolve(
    paired: bool,
    x: Array,
    weight: Array,
    envelope: Array,
    sender: Array,
    receiver: Array,
    sums: Array,
) -> None:
    """Add what the neighbours of each node send to ``sums``, (nodes, width)."""
    for e in range(len(sender)):
        s, r, near = sender[e], receiver[e], envelope[e]
        for f in range(x.shape[1]):
            sums[r, f] += x[s, f] * weight[e, f] * near
        if paired:
            for f in range(x.shape[1]):
                sums[s, f] += x[r, f] * weight[e, f] * near


@_loop
def convolve_gradient(
    paired: bool,
    x: Array,
    weight: Array,
    envelope: Array,
    sender: Array,
    receiver: Array,
    gradient: Array,
    for_x: Array,
    for_weight: Array,
) -> None:
    """Add the gradient by x and write that by the weights; ``gradient`` is (nodes, width)."""
    for e in range(len(sender)):
        s, r, near = sender[e], receiver[e], envelope[e]
        for f in range(x.shape[1]):
            for_x[s, f] += gradient[r, f] * weight[e, f] * near
        if paired:
            for f in range(x.shape[1]):
                for_x[r, f] += gradient[s, f] * weight[e, f] * near
            for f in range(x.shape[1]):
                both = gradient[r, f] * x[s, f] + gradient[s, f] * x[r, f]
                for_weight[e, f] = both * near
        else:
            for f in range(x.shape[1]):
                for_weight[e, f] = gradient[r, f] * x[s, f] * near
