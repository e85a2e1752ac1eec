"""Gathering the rows of many graphs from flat arrays, with few and fast operator calls."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

# Torch copies a row of several small numbers slowly, but one number of the same size fast.
_AS_ONE_NUMBER = {2: torch.int16, 4: torch.int32, 8: torch.int64, 16: torch.complex128}
_LINE = 64  # bytes that a processor fetches at once
_LINES_AHEAD = 4
_LONG = 256  # rows; so long a range is copied faster as a whole than gathered row by row


@dataclass(frozen=True)
class Ranges:
    """Ranges of rows of a flat array, one for each graph of a batch."""

    start: Tensor  # (graphs,) in the flat array
    ptr: Tensor  # (graphs + 1,) in the batch
    graph: Tensor  # (rows,) of the batch

    @classmethod
    def of(cls, start: Tensor, count: Tensor) -> Ranges:
        """Put ranges of ``count`` rows one after the other."""
        ptr = torch.zeros(len(count) + 1, dtype=torch.int64, device=count.device)
        torch.cumsum(count, 0, out=ptr[1:])
        return cls(start, ptr, torch.repeat_interleave(count, output_size=int(ptr[-1])))

    @cached_property
    def rows(self) -> Tensor:
        """Row numbers of all ranges in the flat array, (rows,)."""
        jump = (self.start - self.ptr[:-1]).index_select(0, self.graph)
        return jump.add_(torch.arange(len(jump), device=jump.device))

    def take(self, array: Tensor) -> Tensor:
        """Return these rows of a flat array, (rows, ...)."""
        if len(self.graph) > _LONG * len(self.start):
            bounds = zip(self.start.tolist(), self.ptr.diff().tolist(), strict=True)
            return torch.cat([array.narrow(0, start, count) for start, count in bounds])
        _fetch_ahead(array, self.start)
        return take_rows(array, self.rows)


def _fetch_ahead(array: Tensor, start: Tensor) -> None:
    """Read the first bytes of every range, so that the processor waits for them all at once.

    Ranges drawn from a large array are not in its caches. While it copies one range it does not
    look as far ahead as the next, and would wait for the memory again at each.
    """
    if array.device.type == "cpu" and len(array):
        row_bytes = array.element_size() * array[0].numel()
        steps = torch.arange(0, _LINES_AHEAD * _LINE, _LINE) // row_bytes
        near = (start[:, None] + steps).clamp_(max=len(array) - 1)  # (graphs, lines)
        take_rows(array, near.view(-1))


def take_rows(array: Tensor, rows: Tensor) -> Tensor:
    """Return ``array[rows]``."""
    if array.dim() != 2 or not len(array):  # torch does not view an empty array as another type
        return array.index_select(0, rows)
    whole = _AS_ONE_NUMBER.get(array.element_size() * array.shape[1])
    if whole is None:
        return array.index_select(0, rows)
    taken = array.view(whole).view(-1).index_select(0, rows)  # (rows,)
    return taken.view(array.dtype).view(-1, array.shape[1])


def edge_index(ends: Tensor, first_node: Tensor, *, both: bool) -> Tensor:
    """Return the node numbers of edges in a batch, (2, edges).

    Args:
        ends: (pairs, 2) sender and receiver, counted within their graph.
        first_node: (pairs,) number in the batch of the first node of the graph.
        both: put the reverse of each pair next to it.
    """
    directions = 2 if both else 1
    index = torch.empty((2, len(ends), directions), dtype=torch.int64, device=ends.device)
    ends = ends.long()
    for end in range(2):
        torch.add(ends[:, end], first_node, out=index[end, :, 0])
    if both:
        index[0, :, 1] = index[1, :, 0]
        index[1, :, 1] = index[0, :, 0]
    return index.view(2, -1)
