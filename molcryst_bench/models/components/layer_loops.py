"""Second derivatives of a layer norm and of the SiLU, each in one pass.

Names are those of ``vector_loops``: ``for_`` is a gradient that is added to, ``_`` at the end a
direction, by which what the first derivative gives is weighted.
"""

from __future__ import annotations

from molcryst_bench.base.compiled import compiled
from molcryst_bench.models.components.vector_loops import OPTIONS, Array


def _norm_second_gradient(
    x: Array,
    mean: Array,
    inverse: Array,
    weight: Array,
    gradient: Array,
    x_: Array,
    for_gradient: Array,
    for_x: Array,
    for_weight: Array,
) -> None:
    r"""Add the derivatives of :math:`\langle g, \mathrm{norm}'(x)\,x\_\rangle`.

    With :math:`n = (x - \bar x) / s`, :math:`p = g \circ w`, and the means :math:`\bar p`,
    :math:`q = \overline{n p}` and :math:`c = \overline{n x\_}` over features, the direction of
    :math:`n` is :math:`n\_ = (x\_ - \bar x\_ - c n) / s`, and the derivative by :math:`x`

    .. math:: -\big[b n + c (p - \bar p - q n) + q (x\_ - \bar x\_ - c n)\big] / s^2,
              \qquad b = \overline{p x\_} - \bar p \bar x\_ - q c

    Args:
        x: (nodes, width).
        mean: (nodes, 1) over features.
        inverse: (nodes, 1) one over their deviation s.
        weight: (width,) w.
        gradient: (nodes, width) g.
        x_: (nodes, width).
        for_gradient: (nodes, width).
        for_x: (nodes, width).
        for_weight: (width,).
    """
    width = x.shape[1]
    for i in range(len(x)):
        center, scale = mean[i, 0], inverse[i, 0]
        p_mean = x_mean = q = c = px = x.dtype.type(0)
        for f in range(width):
            n, p = (x[i, f] - center) * scale, gradient[i, f] * weight[f]
            p_mean += p
            x_mean += x_[i, f]
            q += n * p
            c += n * x_[i, f]
            px += p * x_[i, f]
        p_mean, x_mean, q, c, px = p_mean / width, x_mean / width, q / width, c / width, px / width
        b = px - p_mean * x_mean - q * c
        for f in range(width):
            n, p = (x[i, f] - center) * scale, gradient[i, f] * weight[f]
            turned = x_[i, f] - x_mean - c * n
            for_gradient[i, f] += weight[f] * turned * scale
            for_weight[f] += gradient[i, f] * turned * scale
            for_x[i, f] -= (b * n + c * (p - p_mean - q * n) + q * turned) * scale * scale


def _silu_second_gradient(
    x: Array, sigmoid: Array, gradient: Array, x_: Array, for_gradient: Array, for_x: Array
) -> None:
    r"""Write the derivatives of :math:`\langle g, \mathrm{SiLU}'(x) \circ x\_\rangle`.

    ``sigmoid`` is that of x; all are (rows, features).
    """
    for i in range(len(x)):
        for f in range(x.shape[1]):
            at, rest = sigmoid[i, f], sigmoid[i, f] * (1 - sigmoid[i, f])
            for_gradient[i, f] = (at + x[i, f] * rest) * x_[i, f]
            curve = rest * (2 + x[i, f] * (1 - 2 * at))
            for_x[i, f] = gradient[i, f] * curve * x_[i, f]


norm_second_gradient = compiled(_norm_second_gradient, **OPTIONS)
silu_second_gradient = compiled(_silu_second_gradient, **OPTIONS)
