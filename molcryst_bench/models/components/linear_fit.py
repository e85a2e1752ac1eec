"""Ridge regression whose penalty is chosen by leaving one out, in closed form."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

_PENALTIES = tuple(10.0**power for power in range(-4, 7))
_NO_SPREAD = 1e-9


class LinearFit(NamedTuple):
    """``y = where(x.isnan(), typical, x) @ weight + offset``, in the features as they are."""

    weight: Tensor  # (features, targets)
    offset: Tensor  # (targets,)
    typical: Tensor  # (features,) means, which stand for missing values
    residual: Tensor  # (graphs, targets), each predicted from all graphs but itself


def fit_linear(x: Tensor, y: Tensor) -> LinearFit:
    r"""Fit standardised features with the L2 penalty of the least leave-one-out error.

    With the eigenvectors :math:`Q` and values :math:`\lambda` of :math:`X^\top X`, the residual of
    graph :math:`i` without itself is :math:`r_i / (1 - h_{ii})`, where
    :math:`h_{ii} = 1/n + \sum_k (XQ)_{ik}^2 / (\lambda_k + \alpha)`.

    Args:
        x: (graphs, features), NaN where missing.
        y: (graphs, targets).
    """
    typical = x.nanmean(0).nan_to_num()
    x = torch.where(x.isnan(), typical, x).sub_(typical)
    spread = torch.linalg.vector_norm(x, dim=0) / len(x) ** 0.5
    used = spread > _NO_SPREAD
    x = x[:, used].div_(spread[used])
    mean = y.mean(0)
    values, vectors = torch.linalg.eigh(x.T @ x)
    x = x @ vectors
    fits = [_fit(x, values.clamp(min=0), y - mean, alpha) for alpha in _PENALTIES]
    coefficients, residual = min(fits, key=lambda fit: float(fit[1].square().sum()))
    weight = y.new_zeros(len(used), y.shape[1])
    weight[used] = vectors @ coefficients / spread[used, None]
    return LinearFit(weight, mean - typical @ weight, typical, residual)


def _fit(x: Tensor, values: Tensor, y: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """Return coefficients and leave-one-out residuals for one penalty."""
    shrunk = 1 / (values + alpha)
    coefficients = shrunk[:, None] * (x.T @ y)
    leverage = 1 / len(x) + x.square() @ shrunk  # (graphs,)
    # A graph that nothing else resembles would be divided by zero.
    return coefficients, (y - x @ coefficients) / (1 - leverage).clamp(min=1e-6)[:, None]
