"""Functions of tensors that compiled loops compute, with their first and second derivatives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Looped:
    """Three loops, each of which adds to the arrays that it is given last.

    ``value`` takes the inputs and the outputs; ``gradient`` the inputs, the gradients of the
    outputs and those of the inputs; ``second`` the inputs, the gradients of the outputs, weights of
    what ``gradient`` gives, and the gradients of the so weighted sum by all but the weights.
    """

    value: Callable[..., None]
    gradient: Callable[..., None]
    second: Callable[..., None]
    shapes: Sequence[Shape]  # of the outputs

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs, differentiable twice."""
        whole = (each.contiguous() for each in inputs)
        outputs: tuple[Tensor, ...] = _Value.apply(self, *whole)  # type: ignore[no-untyped-call]
        return outputs


def suits_loops(*inputs: Tensor) -> bool:
    """Return whether loops take these: on a CPU, of one type, and no compiler looks on."""
    if torch.compiler.is_compiling():
        return False
    types = {each.dtype for each in inputs}
    on_cpu = all(each.device.type == "cpu" for each in inputs)
    return on_cpu and (types == {torch.float32} or types == {torch.float64})


class _Value(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, loops: Looped, *inputs: Tensor) -> tuple[Tensor, ...]:
        ctx.save_for_backward(*inputs)
        ctx.loops = loops
        outputs = tuple(inputs[0].new_zeros(shape) for shape in loops.shapes)
        loops.value(*arrays(*inputs, *outputs))
        return outputs

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        given = (*gradients, *ctx.saved_tensors)
        found = _Gradient.apply(ctx.loops, len(gradients), *given)  # type: ignore[no-untyped-call]
        return None, *found


class _Gradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, loops: Looped, count: int, *given: Tensor) -> tuple[Tensor, ...]:
        ctx.save_for_backward(*given)
        ctx.loops, ctx.count = loops, count
        gradients, inputs = given[:count], given[count:]
        sums = tuple(map(torch.zeros_like, inputs))
        loops.gradient(*arrays(*inputs, *gradients, *sums))
        return sums

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *weights: Tensor) -> tuple[Tensor | None, ...]:
        gradients, inputs = ctx.saved_tensors[: ctx.count], ctx.saved_tensors[ctx.count :]
        sums = tuple(torch.zeros(each.shape, dtype=each.dtype) for each in ctx.saved_tensors)
        ctx.loops.second(*arrays(*inputs, *gradients, *weights, *sums))
        return None, None, *sums


def arrays(*tensors: Tensor) -> list[Any]:
    """Return tensors as arrays in the same memory, if they are contiguous."""
    return [_array(each) for each in tensors]


def _array(tensor: Tensor) -> Any:
    if not tensor.is_contiguous():
        tensor = tensor.contiguous()
    return (tensor.detach() if tensor.requires_grad else tensor).numpy()
