"""Linear layers that take the faster of two libraries for their products."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from molcryst_bench.models.components.wanted import weights_are_wanted

_WORTHWHILE = 2**22  # multiplications; below, preparing oneDNN's kernel takes longer than MKL's


class Linear(nn.Linear):
    """``nn.Linear`` with Glorot weights and a zero bias; on AMD processors twice as fast."""

    def reset_parameters(self) -> None:
        """Draw the weights."""
        nn.init.xavier_uniform_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        """Map (rows, in_features) to (rows, out_features)."""
        return linear(input, self.weight, self.bias)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return ``x @ weight.T + bias``, differentiable any number of times.

    Args:
        x: (rows, inputs).
        weight: (outputs, inputs).
        bias: (outputs,).
    """
    if not _takes_onednn(x, weight):
        return F.linear(x, weight, bias)
    product: Tensor = _Product.apply(x, weight, bias)  # type: ignore[no-untyped-call]
    return product


def multiply(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return the same without a record for derivatives."""
    if not _takes_onednn(x, weight):
        return F.linear(x, weight, bias)
    return _by_onednn(x, weight, bias, "none")


def outer(gradient: Tensor, x: Tensor) -> Tensor:
    """Return the gradient of a matrix, (outputs, inputs), differentiable any number of times.

    For it torch's own library is the faster one on any processor, with the shorter side first.

    Args:
        gradient: (rows, outputs) of what the matrix maps ``x`` to.
        x: (rows, inputs).
    """
    return torch.mm(x.T, gradient).T


def multiply_sigmoid(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return the logistic function of that, in one go where the library can."""
    if not _takes_onednn(x, weight):
        return F.linear(x, weight, bias).sigmoid_()
    return _by_onednn(x, weight, bias, "sigmoid")


def _by_onednn(x: Tensor, weight: Tensor, bias: Tensor | None, then: str) -> Tensor:
    operands = (_dense(x), _dense(weight), bias)
    product: Tensor = torch.ops.mkldnn._linear_pointwise(*operands, then, [], "")
    return product


def _dense(matrix: Tensor) -> Tensor:
    """Return a matrix without gaps: a slice of a wider one takes oneDNN a thousand times longer."""
    return matrix if matrix.is_contiguous() or matrix.T.is_contiguous() else matrix.contiguous()


class _Product(torch.autograd.Function):
    """``x @ weight.T + bias`` by oneDNN, whose derivatives are products of the same kind."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return multiply(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        for_x, for_weight, for_bias = ctx.needs_input_grad
        for_weight &= weights_are_wanted()
        for_bias &= weights_are_wanted()
        return (
            linear(gradient, weight.T) if for_x else None,
            outer(gradient, x) if for_weight else None,
            gradient.sum(0) if for_bias else None,
        )


def _takes_onednn(x: Tensor, weight: Tensor) -> bool:
    """Return whether oneDNN multiplies these, in full float32 precision."""
    if torch.compiler.is_compiling() or not _onednn_is_faster():  # compilers know torch's own
        return False
    return (
        x.numel() * weight.shape[0] >= _WORTHWHILE
        and x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
    )


@cache
def _onednn_is_faster() -> bool:
    """Return whether this processor is one for oneDNN.

    On processors of AMD, MKL, which torch takes by itself, leaves half of vector units of 512 bits
    idle. With those of 256, and on Intel's, it is the faster one.
    """
    from llvmlite.binding import get_host_cpu_name  # takes time to import

    has_onednn: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    wide = torch.backends.cpu.get_cpu_capability() == "AVX512"
    return has_onednn and wide and get_host_cpu_name().startswith("znver")
