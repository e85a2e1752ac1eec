"""Residual blocks."""

from __future__ import annotations

from torch import Tensor, nn

from molcryst_bench.models.components.activations import shifted_softplus
from molcryst_bench.models.components.linear import Linear


class Residual(nn.Module):
    r"""A pre-activated residual block, :math:`x + W_2\,\sigma(W_1\,\sigma(x) + b_1) + b_2`.

    The form that K. He et al. 2016 (arXiv 1603.05027) propose, with the shifted softplus as
    :math:`\sigma`. Weights begin orthogonal, biases at zero.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.into = orthogonal_linear(width)
        self.out = orthogonal_linear(width)

    def forward(self, x: Tensor) -> Tensor:
        """Return features of the same shape (nodes, width)."""
        update: Tensor = self.out(shifted_softplus(self.into(shifted_softplus(x))))
        return x + update


def residual_stack(blocks: int, width: int) -> nn.Sequential:
    """Return some residual blocks one after the other."""
    return nn.Sequential(*(Residual(width) for _ in range(blocks)))


def orthogonal_linear(width: int) -> Linear:
    """Return a square layer with an orthogonal matrix, of Glorot's variance, and zero bias."""
    layer = Linear(width, width)
    nn.init.orthogonal_(layer.weight)
    return layer
