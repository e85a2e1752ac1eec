"""The layers of TorchMD-NET and their derivatives as loops over edges and atoms.

As operations of torch, each of them on all edges, a message takes dozens of passes through memory,
its second derivative hundreds. Here what an edge needs stays in a core's cache. The formulae stand
in ``vector_attention``. In names, ``for_`` is a gradient that is added to, and ``_`` at the end a
direction (tangent): what gradients give is linear in the gradient of the output, so that a sum of
it, weighted by such directions, is the derivative of the output along them.

All arrays are contiguous and of one floating type: atoms (nodes, 5, width) with q, k, s, t and r,
vectors (nodes, 3, width), filters (distances, 4, width), envelope and fade (edges,), direction
(edges, 3). Ends (3, edges) are the receiver, the sender and the row of filters of each edge. If
nothing is ``moving``, vectors and their directions are zero, and their gradients left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit

from molcryst_bench.base.compiled import compiled

Array = np.ndarray[Any, np.dtype[Any]]
_Function = TypeVar("_Function", bound=Callable[..., Any])
BLOCK = 16  # features of a head that are taken at once: a loop of known length needs no remainder
ROWS = 25  # of scratch (rows, width) at most

# Sums may be reordered, so that they are vectorised; infinities and NaN stay what they are. To
# count the references to each row would take more time than computing with it: none are counted.
OPTIONS: Any = {"error_model": "numpy", "fastmath": {"reassoc", "contract"}, "_nrt": False}


def _compiled(loop: _Function) -> _Function:
    return cast(_Function, compiled(loop, **OPTIONS))


def _inlined(loop: _Function) -> _Function:
    return cast(_Function, njit(inline="always", **OPTIONS)(loop))


@_compiled
def attend(
    ends: Array,
    heads: int,
    moving: bool,
    scratch: Array,
    sent: Array,
    atoms: Array,
    vectors: Array,
    filters: Array,
    envelope: Array,
    fade: Array,
    direction: Array,
    x: Array,
    w: Array,
) -> None:
    """Add the messages of all edges to ``x`` (nodes, width) and ``w`` (nodes, 3, width)."""
    size = atoms.shape[2] // heads
    product, attention, sd, faded, td = scratch[0], scratch[1], scratch[2], scratch[3], scratch[4]
    u = sent[0]  # (nodes, 3, width)
    for j in range(len(u) if moving else 0):
        for m in range(3):
            _product(u[j, m], vectors[j, m], atoms[j, 4])
    for e in range(ends.shape[1]):
        i, j, d = ends[0, e], ends[1, e], filters[ends[2, e]]
        _product(product, atoms[i, 0], atoms[j, 1])
        _product(product, product, d[0])
        for h in range(heads):
            start, stop = h * size, (h + 1) * size
            score = _total(product, start, stop)
            _fill(attention, start, stop, score * _sigmoid(score) * envelope[e])
        _product(sd, atoms[j, 2], d[1])
        _add(x[i], attention, sd)
        _product(td, atoms[j, 3], d[3])
        for m in range(3):
            _add_scaled(w[i, m], td, direction[e, m])
        if moving:
            _scaled(faded, d[2], fade[e])
            for m in range(3):
                _add(w[i, m], u[j, m], faded)


@_compiled
def attend_gradient(
    ends: Array,
    heads: int,
    moving: bool,
    scratch: Array,
    sent: Array,
    atoms: Array,
    vectors: Array,
    filters: Array,
    envelope: Array,
    fade: Array,
    direction: Array,
    by_x: Array,
    by_w: Array,
    for_atoms: Array,
    for_vectors: Array,
    for_filters: Array,
    for_envelope: Array,
    for_fade: Array,
    for_direction: Array,
) -> None:
    """Add the gradients of all inputs; ``by_x`` and ``by_w`` are those of both sums."""
    size = atoms.shape[2] // heads
    product, qk, sd, gs = scratch[0], scratch[1], scratch[2], scratch[3]
    attention, by_score, faded, along = scratch[4], scratch[5], scratch[6], scratch[7]
    td, gu = scratch[8], scratch[9]
    u, for_u = sent[0], sent[1]  # (nodes, 3, width)
    for j in range(len(u) if moving else 0):
        for m in range(3):
            _product(u[j, m], vectors[j, m], atoms[j, 4])
            for_u[j, m] = 0
    for e in range(ends.shape[1]):
        i, j, r = ends[0, e], ends[1, e], ends[2, e]
        k, s, t, d = atoms[j, 1], atoms[j, 2], atoms[j, 3], filters[r]
        gx, gw, to, to_d = by_x[i], by_w[i], for_atoms[j], for_filters[r]
        _product(qk, atoms[i, 0], k)
        _product(product, qk, d[0])
        _product(gs, gx, s)
        _product(sd, gs, d[1])
        for h in range(heads):
            start, stop = h * size, (h + 1) * size
            score, by_silu = _total(product, start, stop), _total(sd, start, stop)
            sigmoid = _sigmoid(score)
            silu = score * sigmoid
            slope = sigmoid + silu * (1 - sigmoid)
            _fill(attention, start, stop, silu * envelope[e])
            _fill(by_score, start, stop, by_silu * slope * envelope[e])
            for_envelope[e] += by_silu * silu
        _product(product, by_score, d[0])
        _add(for_atoms[i, 0], product, k)
        _add(to[1], product, atoms[i, 0])
        _add(to_d[0], by_score, qk)
        _product(product, attention, gx)
        _add(to[2], product, d[1])
        _add(to_d[1], product, s)

        _combined(along, gw, direction[e])
        _add(to[3], along, d[3])
        _add(to_d[3], along, t)
        _product(td, t, d[3])
        for m in range(3):
            for_direction[e, m] += _dot(gw[m], td)
        if moving:
            _dots(gu, gw, u[j])
            _add_scaled(to_d[2], gu, fade[e])
            for_fade[e] += _dot(gu, d[2])
            _scaled(faded, d[2], fade[e])
            for m in range(3):
                _add(for_u[j, m], gw[m], faded)
    for j in range(len(u) if moving else 0):
        for m in range(3):
            _add(for_vectors[j, m], for_u[j, m], atoms[j, 4])
            _add(for_atoms[j, 4], for_u[j, m], vectors[j, m])


@_compiled
def attend_second_gradient(
    ends: Array,
    heads: int,
    moving: bool,
    scratch: Array,
    sent: Array,
    atoms: Array,
    vectors: Array,
    filters: Array,
    envelope: Array,
    fade: Array,
    direction: Array,
    by_x: Array,
    by_w: Array,
    atoms_: Array,
    vectors_: Array,
    filters_: Array,
    envelope_: Array,
    fade_: Array,
    direction_: Array,
    for_by_x: Array,
    for_by_w: Array,
    for_atoms: Array,
    for_vectors: Array,
    for_filters: Array,
    for_envelope: Array,
    for_fade: Array,
    for_direction: Array,
) -> None:
    """Add the gradients of the sum of what ``attend_gradient`` gives, weighted by directions."""
    size = atoms.shape[2] // heads
    kd, kd_, qd, qd_ = scratch[0], scratch[1], scratch[2], scratch[3]
    qk, qk_, sd, sd_ = scratch[4], scratch[5], scratch[6], scratch[7]
    product, product_, gsd, gsd_ = scratch[8], scratch[9], scratch[10], scratch[11]
    attention, attention_ = scratch[12], scratch[13]
    by_score, by_score_ = scratch[14], scratch[15]
    faded, faded_, td, td_ = scratch[16], scratch[17], scratch[18], scratch[19]
    along, along_, gu, gu_ = scratch[20], scratch[21], scratch[22], scratch[23]
    rest = scratch[24]
    u, u_, for_u, for_u_ = sent[0], sent[1], sent[2], sent[3]  # (nodes, 3, width)
    for j in range(len(u) if moving else 0):
        for m in range(3):
            _product(u[j, m], vectors[j, m], atoms[j, 4])
            _products(u_[j, m], vectors_[j, m], atoms[j, 4], vectors[j, m], atoms_[j, 4])
            for_u[j, m] = 0
            for_u_[j, m] = 0
    for e in range(ends.shape[1]):
        i, j, r = ends[0, e], ends[1, e], ends[2, e]
        q, k, s, t, d = atoms[i, 0], atoms[j, 1], atoms[j, 2], atoms[j, 3], filters[r]
        q_, k_, s_, t_, d_ = atoms_[i, 0], atoms_[j, 1], atoms_[j, 2], atoms_[j, 3], filters_[r]
        gx, gw, to_gx, to_gw = by_x[i], by_w[i], for_by_x[i], for_by_w[i]
        to, to_d, cut, cut_ = for_atoms[j], for_filters[r], envelope[e], envelope_[e]

        _product(kd, k, d[0])
        _products(kd_, k_, d[0], k, d_[0])
        _product(qd, q, d[0])
        _products(qd_, q_, d[0], q, d_[0])
        _product(qk, q, k)
        _products(qk_, q_, k, q, k_)
        _product(sd, s, d[1])
        _products(sd_, s_, d[1], s, d_[1])
        _product(product, qk, d[0])
        _products(product_, qk_, d[0], qk, d_[0])
        _product(gsd, gx, sd)
        _product(gsd_, gx, sd_)
        for h in range(heads):
            start, stop = h * size, (h + 1) * size
            score, score_ = _total(product, start, stop), _total(product_, start, stop)
            by_silu, by_silu_ = _total(gsd, start, stop), _total(gsd_, start, stop)
            sigmoid = _sigmoid(score)
            silu, slope = score * sigmoid, sigmoid + score * sigmoid * (1 - sigmoid)
            curve = sigmoid * (1 - sigmoid) * (2 + score * (1 - 2 * sigmoid))
            _fill(attention, start, stop, silu * cut)
            _fill(attention_, start, stop, slope * score_ * cut + silu * cut_)
            _fill(by_score, start, stop, by_silu * slope * cut)
            bent = by_silu * (curve * score_ * cut + slope * cut_) + by_silu_ * slope * cut
            _fill(by_score_, start, stop, bent)
            for_envelope[e] += by_silu * slope * score_ + by_silu_ * silu
        _add_products(for_atoms[i, 0], by_score_, kd, by_score, kd_)
        _add_products(to[1], by_score_, qd, by_score, qd_)
        _add_products(to_d[0], by_score_, qk, by_score, qk_)
        _add_products(to_gx, attention_, sd, attention, sd_)
        _products(rest, attention_, d[1], attention, d_[1])
        _add(to[2], gx, rest)
        _products(rest, attention_, s, attention, s_)
        _add(to_d[1], gx, rest)

        _combined(along, gw, direction[e])
        _combined(along_, gw, direction_[e])
        _add_products(to[3], along_, d[3], along, d_[3])
        _add_products(to_d[3], along_, t, along, t_)
        _product(td, t, d[3])
        _products(td_, t_, d[3], t, d_[3])
        for m in range(3):
            _add_scaled(to_gw[m], td_, direction[e, m])
            _add_scaled(to_gw[m], td, direction_[e, m])
            for_direction[e, m] += _dot(gw[m], td_)
        if moving:
            _dots(gu, gw, u[j])
            _dots(gu_, gw, u_[j])
            _add_scaled(to_d[2], gu_, fade[e])
            _add_scaled(to_d[2], gu, fade_[e])
            for_fade[e] += _dot(gu_, d[2]) + _dot(gu, d_[2])
            _scaled(faded, d[2], fade[e])
            _scaled(faded_, d_[2], fade[e])
            _add_scaled(faded_, d[2], fade_[e])
            for m in range(3):
                _add_products(to_gw[m], u_[j, m], faded, u[j, m], faded_)
                _add(for_u[j, m], gw[m], faded_)
                _add(for_u_[j, m], gw[m], faded)
    for j in range(len(u) if moving else 0):
        for m in range(3):
            _add_products(for_vectors[j, m], for_u[j, m], atoms[j, 4], for_u_[j, m], atoms_[j, 4])
            _add_products(for_atoms[j, 4], for_u[j, m], vectors[j, m], for_u_[j, m], vectors_[j, m])


@_compiled
def update(out: Array, mapped: Array, for_x: Array, for_vectors: Array) -> None:
    """Add what an atom gains to its features (nodes, width) and vectors (nodes, 3, width).

    ``out`` (nodes, 3, width) holds o0, o1 and o2, ``mapped`` (nodes, 3, 3, width) for each
    component U1 v, U2 v and U3 v.
    """
    for i in range(len(out)):
        for f in range(out.shape[2]):
            for_x[i, f] += out[i, 2, f]
        for m in range(3):
            u = mapped[i, m]
            for f in range(out.shape[2]):
                for_x[i, f] += out[i, 1, f] * u[0, f] * u[1, f]
            _add(for_vectors[i, m], out[i, 0], u[2])


@_compiled
def update_gradient(
    out: Array, mapped: Array, gx: Array, gv: Array, for_out: Array, for_mapped: Array
) -> None:
    """Add the gradients of both inputs."""
    for i in range(len(out)):
        for f in range(out.shape[2]):
            for_out[i, 2, f] += gx[i, f]
        for m in range(3):
            u, to = mapped[i, m], for_mapped[i, m]
            for f in range(out.shape[2]):
                for_out[i, 1, f] += gx[i, f] * u[0, f] * u[1, f]
            for f in range(out.shape[2]):
                to[0, f] += gx[i, f] * out[i, 1, f] * u[1, f]
            for f in range(out.shape[2]):
                to[1, f] += gx[i, f] * out[i, 1, f] * u[0, f]
            _add(for_out[i, 0], gv[i, m], u[2])
            _add(to[2], gv[i, m], out[i, 0])


@_compiled
def update_second_gradient(
    out: Array,
    mapped: Array,
    gx: Array,
    gv: Array,
    out_: Array,
    mapped_: Array,
    for_gx: Array,
    for_gv: Array,
    for_out: Array,
    for_mapped: Array,
) -> None:
    """Add the gradients of the sum of what ``update_gradient`` gives, weighted by directions."""
    width = out.shape[2]
    for i in range(len(out)):
        o0, o1, o0_, o1_ = out[i, 0], out[i, 1], out_[i, 0], out_[i, 1]
        g, to_g = gx[i], for_gx[i]
        for f in range(width):
            to_g[f] += out_[i, 2, f]
        for m in range(3):
            u, u_, to = mapped[i, m], mapped_[i, m], for_mapped[i, m]
            for f in range(width):
                square_ = u_[0, f] * u[1, f] + u[0, f] * u_[1, f]
                to_g[f] += o1_[f] * u[0, f] * u[1, f] + o1[f] * square_
            for f in range(width):
                square_ = u_[0, f] * u[1, f] + u[0, f] * u_[1, f]
                for_out[i, 1, f] += g[f] * square_
            for f in range(width):
                to[0, f] += g[f] * (o1_[f] * u[1, f] + o1[f] * u_[1, f])
            for f in range(width):
                to[1, f] += g[f] * (o1_[f] * u[0, f] + o1[f] * u_[0, f])
            _add(for_out[i, 0], gv[i, m], u_[2])
            _add(to[2], gv[i, m], o0_)
            _add_products(for_gv[i, m], o0_, u[2], o0, u_[2])


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
def _total(a: Array, start: int, stop: int) -> Any:
    result = a.dtype.type(0)
    whole = start + (stop - start) // BLOCK * BLOCK
    for block in range(start, whole, BLOCK):
        for f in range(BLOCK):
            result += a[block + f]
    for f in range(whole, stop):
        result += a[f]
    return result


@_inlined
def _fill(out: Array, start: int, stop: int, value: float) -> None:
    whole = start + (stop - start) // BLOCK * BLOCK
    for block in range(start, whole, BLOCK):
        for f in range(BLOCK):
            out[block + f] = value
    for f in range(whole, stop):
        out[f] = value


@_inlined
def _dot(a: Array, b: Array) -> Any:
    result = a.dtype.type(0)
    for f in range(len(a)):
        result += a[f] * b[f]
    return result


@_inlined
def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))
