"""What is done to each edge of a gated convolution and its gradient, as loops over edges.

Arrays are contiguous and of one floating type. Those of edges, (edges, 2 width), hold the gate in
their first half and the core in the second; ``sender`` and ``receiver`` are (edges,). If ``step``
is 2, two edges that follow each other, both directions of a pair, share one row of the distance.
``scratch`` has rows (2 width,), ``sums`` two of them that are added to.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np

from molcryst_bench.base.compiled import compiled

Array = np.ndarray[Any, np.dtype[Any]]
_Function = TypeVar("_Function")

# To count references to rows takes longer than to work with them.
_OPTIONS: Any = {"error_model": "numpy", "_nrt": False}


def _combine(
    step: int,
    at_receiver: Array,
    at_sender: Array,
    distance: Array,
    receiver: Array,
    sender: Array,
    center: Array,
    combined: Array,
    sums: Array,
) -> None:
    """Write what ends and distance of each edge add up to, and sum deviations from ``center``.

    Args:
        step: edges of a row of ``distance``.
        at_receiver: (nodes, 2 width).
        at_sender: (nodes, 2 width).
        distance: (edges / step, 2 width).
        receiver: (edges,).
        sender: (edges,).
        center: (2 width,).
        combined: (edges, 2 width), written.
        sums: (2, 2 width) of deviations and of their squares.
    """
    for e in range(len(receiver)):
        r, s, d = receiver[e], sender[e], e // step
        for f in range(combined.shape[1]):
            combined[e, f] = at_receiver[r, f] + at_sender[s, f] + distance[d, f]
        for f in range(combined.shape[1]):
            deviation = combined[e, f] - center[f]
            sums[0, f] += deviation
            sums[1, f] += deviation * deviation


def _normalise(combined: Array, scale: Array, offset: Array, normalised: Array) -> None:
    """Write ``combined * scale + offset``.

    Args:
        combined: (edges, 2 width).
        scale: (2 width,).
        offset: (2 width,).
        normalised: (edges, 2 width), written.
    """
    for e in range(len(combined)):
        for f in range(combined.shape[1]):
            normalised[e, f] = combined[e, f] * scale[f] + offset[f]


def _collect(rest: Array, logarithm: Array, receiver: Array, total: Array) -> None:
    r"""Add :math:`\sigma(g) \ln(1 + e^c)` of each edge to its receiver.

    Args:
        rest: (edges, 2 width) :math:`\sigma(g)` and :math:`\sigma(-c)`.
        logarithm: (edges, width) of the second half of these.
        receiver: (edges,).
        total: (nodes, width), added to.
    """
    for e in range(len(receiver)):
        r = receiver[e]
        for f in range(logarithm.shape[1]):
            total[r, f] -= rest[e, f] * logarithm[e, f]


def _sum_gradients(
    rest: Array,
    logarithm: Array,
    combined: Array,
    center: Array,
    receiver: Array,
    gradient: Array,
    scratch: Array,
    sums: Array,
) -> None:
    """Sum the gradients by what is normalised, and their products with its deviations.

    Args:
        rest: as above.
        logarithm: as above.
        combined: (edges, 2 width) before it is normalised.
        center: (2 width,) its mean.
        receiver: (edges,).
        gradient: (nodes, width) by the total of each node.
        scratch: (1, 2 width).
        sums: (2, 2 width).
    """
    width, one = logarithm.shape[1], scratch.dtype.type(1)
    for e in range(len(receiver)):
        r = receiver[e]
        for f in range(width):
            by_core = gradient[r, f] * rest[e, f]
            scratch[0, f] = -by_core * logarithm[e, f] * (one - rest[e, f])
            scratch[0, width + f] = by_core * (one - rest[e, width + f])
        for f in range(2 * width):
            sums[0, f] += scratch[0, f]
            sums[1, f] += scratch[0, f] * (combined[e, f] - center[f])


def _spread_gradients(
    step: int,
    rest: Array,
    logarithm: Array,
    combined: Array,
    center: Array,
    factors: Array,
    receiver: Array,
    sender: Array,
    gradient: Array,
    scratch: Array,
    for_receiver: Array,
    for_sender: Array,
    for_distance: Array,
) -> None:
    """Bring the gradients through the normalisation to the ends and the distance of each edge.

    Args:
        step: edges of a row of ``for_distance``.
        rest: as above.
        logarithm: as above.
        combined: as above.
        center: as above.
        factors: (3, 2 width) of the gradient, of one, and of the deviation from the center.
        receiver: (edges,).
        sender: (edges,).
        gradient: (nodes, width).
        scratch: (1, 2 width).
        for_receiver: (nodes, 2 width), added to.
        for_sender: (nodes, 2 width), added to.
        for_distance: (edges / step, 2 width), written.
    """
    width, one = logarithm.shape[1], scratch.dtype.type(1)
    for e in range(len(receiver)):
        r, s, d = receiver[e], sender[e], e // step
        for f in range(width):
            by_core = gradient[r, f] * rest[e, f]
            scratch[0, f] = -by_core * logarithm[e, f] * (one - rest[e, f])
            scratch[0, width + f] = by_core * (one - rest[e, width + f])
        for f in range(2 * width):
            turned = factors[1, f] + factors[2, f] * (combined[e, f] - center[f])
            scratch[0, f] = factors[0, f] * scratch[0, f] + turned
        for f in range(2 * width):
            for_receiver[r, f] += scratch[0, f]
        for f in range(2 * width):
            for_sender[s, f] += scratch[0, f]
        if e % step == 0:
            for f in range(2 * width):
                for_distance[d, f] = scratch[0, f]
        else:
            for f in range(2 * width):
                for_distance[d, f] += scratch[0, f]


combine = compiled(_combine, **_OPTIONS)
normalise = compiled(_normalise, **_OPTIONS)
collect = compiled(_collect, **_OPTIONS)
sum_gradients = compiled(_sum_gradients, **_OPTIONS)
spread_gradients = compiled(_spread_gradients, **_OPTIONS)
