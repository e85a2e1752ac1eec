"""Attention between atoms that carry vectors, and its derivatives, as loops over edges.

As operations of torch, each of them on all edges, the message takes dozens of passes through
memory, its second derivative hundreds. Here what an edge needs stays in a core's cache. The
formulae stand in ``vector_attention``.

All arrays are contiguous and of one floating type: q (nodes, width); sent (nodes, 6, width) with
keys k, values s, t and vectors u; filters (distances, 4, width); envelope and fade (edges,);
direction (edges, 3). Ends (3, edges) are the receiver, the sender and the row of filters of each
edge. What is summed is added to arrays that are given, one for each array it is the gradient of;
``scratch`` (SCRATCH, width) is overwritten.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

Array = np.ndarray[Any, np.dtype[Any]]

SCRATCH = 25  # rows of ``scratch`` at most

# Sums may be reordered, so that they are vectorised; infinities and NaN stay what they are. Counting
# the references to each row would take more time than computing with it, hence none are counted.
_options = {"error_model": "numpy", "fastmath": {"reassoc", "contract"}, "_nrt": False}
_compiled = njit(cache=True, nogil=True, **_options)
_inlined = njit(inline="always", **_options)


@_compiled
def attend(
    q: Array,
    sent: Array,
    filters: Array,
    envelope: Array,
    fade: Array,
    direction: Array,
    ends: Array,
    heads: int,
    scratch: Array,
    out: Array,
) -> None:
    """Add the messages x and w of all edges to ``out``, (nodes, 4, width)."""
    width = q.shape[1]
    size = width // heads
    product, attention, sd, faded = scratch[0], scratch[1], scratch[2], scratch[3]
    td = scratch[4]
    for e in range(ends.shape[1]):
        to, own, d = out[ends[0, e]], sent[ends[1, e]], filters[ends[2, e]]
        k, s, t, u = own[0], own[1], own[2], own[3:]
        _product(product, q[ends[0, e]], k)
        _product(product, product, d[0])
        for h in range(heads):
            start, stop = h * size, (h + 1) * size
            score = _sum(product, start, stop)
            _fill(attention, start, stop, score * _sigmoid(score) * envelope[e])
        _product(sd, s, d[1])
        _add(to[0], attention, sd)
        _scaled(faded, d[2], fade[e])
        _product(td, t, d[3])
        for m in range(3):
            _add(to[1 + m], u[m], faded)
            _add_scaled(to[1 + m], td, direction[e, m])


@_compiled
def attend_gradient(
    q: Array,
    sent: Array,
    filters: Array,
    envelope: Array,
    fade: Array,
    direction: Array,
    ends: Array,
    heads: int,
    scratch: Array,
    gradient: Array,
    for_q: Array,
    for_sent: Array,
    for_filters: Array,
    for_envelope: Array,
    for_fade: Array,
    for_direction: Array,
) -> None:
    """Add the gradients of all inputs; ``gradient`` (nodes, 4, width) is that of ``out``."""
    width = q.shape[1]
    size = width // heads
    product, qk, sd, gs = scratch[0], scratch[1], scratch[2], scratch[3]
    attention, by_score, faded, along = scratch[4], scratch[5], scratch[6], scratch[7]
    td, gu = scratch[8], scratch[9]
    for e in range(ends.shape[1]):
        i, j, r = ends[0, e], ends[1, e], ends[2, e]
        own, d, g = sent[j], filters[r], gradient[i]
        k, s, t, u, gx, gw = own[0], own[1], own[2], own[3:], g[0], g[1:]
        to, to_d = for_sent[j], for_filters[r]
        _product(qk, q[i], k)
        _product(product, qk, d[0])
        _product(gs, gx, s)
        _product(sd, gs, d[1])
        for h in range(heads):
            start, stop = h * size, (h + 1) * size
            score, by_attention = _sum(product, start, stop), _sum(sd, start, stop)
            sigmoid = _sigmoid(score)
            silu = score * sigmoid
            slope = sigmoid + silu * (1 - sigmoid)
            _fill(attention, start, stop, silu * envelope[e])
            _fill(by_score, start, stop, by_attention * slope * envelope[e])
            for_envelope[e] += by_attention * silu
        _product(product, by_score, d[0])
        _add(for_q[i], product, k)
        _add(to[0], product, q[i])
        _add(to_d[0], by_score, qk)
        _product(product, attention, gx)
        _add(to[1], product, d[1])
        _add(to_d[1], product, s)

        _combined(along, gw, direction[e])
        _add(to[2], along, d[3])
        _add(to_d[3], along, t)
        _dots(gu, gw, u)
        _add_scaled(to_d[2], gu, fade[e])
        for_fade[e] += _dot(gu, d[2])
        _scaled(faded, d[2], fade[e])
        _product(td, t, d[3])
        for m in range(3):
            _add(to[3 + m], gw[m], faded)
            for_direction[e, m] += _dot(gw[m], td)


@_compiled
def attend_second_gradient(
    q: Array,
    sent: Array,
    filters: Array,
    envelope: Array,
    fade: Array,
    direction: Array,
    ends: Array,
    heads: int,
    scratch: Array,
    gradient: Array,
    toward_q: Array,
    toward_sent: Array,
    toward_filters: Array,
    toward_envelope: Array,
    toward_fade: Array,
    toward_direction: Array,
    for_gradient: Array,
    for_q: Array,
    for_sent: Array,
    for_filters: Array,
    for_envelope: Array,
    for_fade: Array,
    for_direction: Array,
) -> None:
    """Add the gradients of what ``attend_gradient`` gives, each weighted by a ``toward_``.

    What ``attend_gradient`` gives is linear in ``gradient``, so that the weighted sum is the
    derivative of all messages, times ``gradient``, along the direction ``toward_``.
    """
    width = q.shape[1]
    size = width // heads
    kd, kd_, qd, qd_ = scratch[0], scratch[1], scratch[2], scratch[3]
    qk, qk_, sd, sd_ = scratch[4], scratch[5], scratch[6], scratch[7]
    rest = scratch[8]
    product, product_, gsd, gsd_ = scratch[9], scratch[10], scratch[11], scratch[12]
    attention, attention_, by_score, by_score_ = scratch[13], scratch[14], scratch[15], scratch[16]
    faded, faded_, td, td_ = scratch[17], scratch[18], scratch[19], scratch[20]
    along, along_, gu, gu_ = scratch[21], scratch[22], scratch[23], scratch[24]
    for e in range(ends.shape[1]):
        i, j, r = ends[0, e], ends[1, e], ends[2, e]
        own, own_, d, d_, g = sent[j], toward_sent[j], filters[r], toward_filters[r], gradient[i]
        k, s, t, u, gx, gw = own[0], own[1], own[2], own[3:], g[0], g[1:]
        k_, s_, t_, u_ = own_[0], own_[1], own_[2], own_[3:]
        cut, cut_ = envelope[e], toward_envelope[e]
        to, to_d, to_g = for_sent[j], for_filters[r], for_gradient[i]

        _product(kd, k, d[0])
        _products(kd_, k_, d[0], k, d_[0])
        _product(qd, q[i], d[0])
        _products(qd_, toward_q[i], d[0], q[i], d_[0])
        _product(qk, q[i], k)
        _products(qk_, toward_q[i], k, q[i], k_)
        _product(sd, s, d[1])
        _products(sd_, s_, d[1], s, d_[1])
        _product(product, qk, d[0])
        _products(product_, qk_, d[0], qk, d_[0])
        _product(gsd, gx, sd)
        _product(gsd_, gx, sd_)
        for h in range(heads):
            start, stop = h * size, (h + 1) * size
            score, score_ = _sum(product, start, stop), _sum(product_, start, stop)
            by_silu, by_silu_ = _sum(gsd, start, stop), _sum(gsd_, start, stop)
            sigmoid = _sigmoid(score)
            silu, slope = score * sigmoid, sigmoid + score * sigmoid * (1 - sigmoid)
            curve = sigmoid * (1 - sigmoid) * (2 + score * (1 - 2 * sigmoid))
            _fill(attention, start, stop, silu * cut)
            _fill(attention_, start, stop, slope * score_ * cut + silu * cut_)
            _fill(by_score, start, stop, by_silu * slope * cut)
            bent = by_silu * (curve * score_ * cut + slope * cut_) + by_silu_ * slope * cut
            _fill(by_score_, start, stop, bent)
            for_envelope[e] += by_silu * slope * score_ + by_silu_ * silu
        _add_products(for_q[i], by_score_, kd, by_score, kd_)
        _add_products(to[0], by_score_, qd, by_score, qd_)
        _add_products(to_d[0], by_score_, qk, by_score, qk_)
        _add_products(to_g[0], attention_, sd, attention, sd_)
        _products(rest, attention_, d[1], attention, d_[1])
        _add(to[1], gx, rest)
        _products(rest, attention_, s, attention, s_)
        _add(to_d[1], gx, rest)

        _combined(along, gw, direction[e])
        _combined(along_, gw, toward_direction[e])
        _add_products(to[2], along_, d[3], along, d_[3])
        _add_products(to_d[3], along_, t, along, t_)
        _dots(gu, gw, u)
        _dots(gu_, gw, u_)
        _add_scaled(to_d[2], gu_, fade[e])
        _add_scaled(to_d[2], gu, toward_fade[e])
        for_fade[e] += _dot(gu_, d[2]) + _dot(gu, d_[2])
        _scaled(faded, d[2], fade[e])
        _scaled(faded_, d_[2], fade[e])
        _add_scaled(faded_, d[2], toward_fade[e])
        _product(td, t, d[3])
        _products(td_, t_, d[3], t, d_[3])
        for m in range(3):
            _add_products(to_g[1 + m], u_[m], faded, u[m], faded_)
            _add_scaled(to_g[1 + m], td_, direction[e, m])
            _add_scaled(to_g[1 + m], td, toward_direction[e, m])
            _add(to[3 + m], gw[m], faded_)
            for_direction[e, m] += _dot(gw[m], td_)


@_inlined
def _product(out: Array, a: Array, b: Array) -> None:
    for f in range(len(out)):
        out[f] = a[f] * b[f]


@_inlined
def _products(out: Array, a: Array, b: Array, c: Array, d: Array) -> None:
    for f in range(len(out)):
        out[f] = a[f] * b[f] + c[f] * d[f]


@_inlined
def _scaled(out: Array, a: Array, scale: float) -> None:
    for f in range(len(out)):
        out[f] = a[f] * scale


@_inlined
def _combined(out: Array, a: Array, weights: Array) -> None:
    for f in range(len(out)):
        out[f] = a[0, f] * weights[0] + a[1, f] * weights[1] + a[2, f] * weights[2]


@_inlined
def _dots(out: Array, a: Array, b: Array) -> None:
    for f in range(len(out)):
        out[f] = a[0, f] * b[0, f] + a[1, f] * b[1, f] + a[2, f] * b[2, f]


@_inlined
def _add(out: Array, a: Array, b: Array) -> None:
    for f in range(len(out)):
        out[f] += a[f] * b[f]


@_inlined
def _add_products(out: Array, a: Array, b: Array, c: Array, d: Array) -> None:
    for f in range(len(out)):
        out[f] += a[f] * b[f] + c[f] * d[f]


@_inlined
def _add_scaled(out: Array, a: Array, scale: float) -> None:
    for f in range(len(out)):
        out[f] += a[f] * scale


@_inlined
def _sum(a: Array, start: int, stop: int) -> float:
    total = a.dtype.type(0)
    for f in range(start, stop):
        total += a[f]
    return total


@_inlined
def _fill(out: Array, start: int, stop: int, value: float) -> None:
    for f in range(start, stop):
        out[f] = value


@_inlined
def _dot(a: Array, b: Array) -> float:
    total = a.dtype.type(0)
    for f in range(len(a)):
        total += a[f] * b[f]
    return total


@_inlined
def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))
