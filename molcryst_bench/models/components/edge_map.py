"""Sums over edges whose messages are never stored.

The messages on all edges of a batch are far larger than a processor's cache: writing and reading
them costs more than computing them. Here edges are taken some at a time, and what they need is
computed again for the derivative.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

EDGES_AT_A_TIME = 512  # 128 numbers for each fit in a cache of 1 MB beside a few more


class Message(Protocol):
    """What happens on each edge by itself, in differentiable operations of torch."""

    def __call__(self, *parts: Tensor) -> Sequence[Tensor]:
        """Turn what each edge sees, (edges, ...), into what it sends, (edges, ...)."""

    def derivative(self, wanted: Sequence[bool]) -> Message:
        """Return the map from parts and gradients of what is sent to gradients of wanted parts."""


@dataclass(frozen=True)
class EdgeMap:
    """A message with the rows of tensors that its edges read, and those to which they add.

    An index that is None means the row of the edge itself.
    """

    message: Message
    edges: int
    read: tuple[Tensor | None, ...]  # of each input, the row that each edge sees, (edges,)
    added: tuple[Tensor | None, ...]  # of each output, the row to which each edge adds, (edges,)
    sizes: tuple[int, ...]  # rows of each output

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return the sums (rows, ...) over the messages of all edges."""
        if torch.compiler.is_compiling():  # the compiler fuses and differentiates by itself
            return self._plain_sums(inputs)
        outputs: tuple[Tensor, ...] = _Differentiable.apply(self, *inputs)  # type: ignore[no-untyped-call]
        return outputs

    def sums(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Compute the sums, some edges at a time."""
        sent = self._sent(inputs, 0)
        sums = [
            part.new_zeros((rows, *part.shape[1:]))
            for part, rows in zip(sent, self.sizes, strict=True)
        ]
        self._add(sums, sent, 0)
        for start in range(EDGES_AT_A_TIME, self.edges, EDGES_AT_A_TIME):
            self._add(sums, self._sent(inputs, start), start)
        return tuple(sums)

    def _plain_sums(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Compute the same in operations that a compiler sees through."""
        sent = self.message(*map(_read, inputs, self.read))
        return tuple(map(_summed, sent, self.added, self.sizes))

    def _sent(self, inputs: Sequence[Tensor], start: int) -> Sequence[Tensor]:
        pairs = zip(inputs, self.read, strict=True)
        return self.message(
            *(
                _some(value, start) if index is None else value.index_select(0, _some(index, start))
                for value, index in pairs
            )
        )

    def _add(self, sums: Sequence[Tensor], sent: Sequence[Tensor], start: int) -> None:
        for total, part, index in zip(sums, sent, self.added, strict=True):
            if index is None:
                _some(total, start).copy_(part)
            else:
                total.index_add_(0, _some(index, start), part)

    def derivative(self, inputs: Sequence[Tensor], wanted: Sequence[bool]) -> EdgeMap:
        """Return the map from inputs and gradients of sums to gradients of wanted inputs."""
        chosen = [number for number, want in enumerate(wanted) if want]
        return EdgeMap(
            message=self.message.derivative(wanted),
            edges=self.edges,
            read=self.read + self.added,
            added=tuple(self.read[number] for number in chosen),
            sizes=tuple(len(inputs[number]) for number in chosen),
        )


def _some(rows: Tensor, start: int) -> Tensor:
    """Return the rows of the edges from ``start`` on that are taken together."""
    if len(rows) <= EDGES_AT_A_TIME:  # a slice would cost as much as a small operation
        return rows
    return rows[start : start + EDGES_AT_A_TIME]


def _read(value: Tensor, index: Tensor | None) -> Tensor:
    return value if index is None else value.index_select(0, index)


def _summed(part: Tensor, index: Tensor | None, rows: int) -> Tensor:
    if index is None:
        return part
    return part.new_zeros(rows, *part.shape[1:]).index_add(0, index, part)


class _Differentiable(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, edge_map: EdgeMap, *inputs: Tensor) -> tuple[Tensor, ...]:
        ctx.edge_map = edge_map
        ctx.save_for_backward(*inputs)
        return edge_map.sums(inputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        inputs, wanted = ctx.saved_tensors, ctx.needs_input_grad[1:]
        derivative = ctx.edge_map.derivative(inputs, wanted)
        known = iter(derivative(*inputs, *gradients))
        return (None, *(next(known) if want else None for want in wanted))


@dataclass(frozen=True)
class DerivativeByAutograd:
    """The derivative of a message whose derivative nobody has written by hand."""

    message: Message
    wanted: Sequence[bool]

    def __call__(self, *parts: Tensor) -> Sequence[Tensor]:
        """Return the gradients of the wanted parts; those of what is sent stand last."""
        create_graph = torch.is_grad_enabled()
        count = len(self.wanted)
        with torch.enable_grad():
            seen = [
                part.detach().requires_grad_(want) if not create_graph else part
                for part, want in zip(parts[:count], self.wanted, strict=True)
            ]
            sent = self.message(*seen)
        wanted = [part for part, want in zip(seen, self.wanted, strict=True) if want]
        return torch.autograd.grad(
            sent, wanted, parts[count:], create_graph=create_graph, materialize_grads=True
        )

    def derivative(self, wanted: Sequence[bool]) -> Message:
        """Return the next derivative, by autograd too."""
        return DerivativeByAutograd(self, wanted)
