"""Which distances between which elements a training set has."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
import torch
from ase.data import chemical_symbols
from torch import Tensor

from molcryst_bench.models.components.composition import ELEMENTS
from molcryst_bench.models.components.neighbors import Neighbors

if TYPE_CHECKING:
    from molcryst_bench.training.data import TaskData

STEP = 0.1  # Å
_STEPS = 1_000  # more than any cut-off has
Ranges = dict[str, list[tuple[float, float]]]


def seen_distances(data: TaskData) -> Ranges:
    """Return the ranges in Å of the distances within the cut-off, for each pair of elements.

    They begin and end at whole tenths of an Å. A pair such as ``C-O`` has the lighter element
    first; one that never comes as close as the cut-off is not there.
    """
    codes = [torch.unique(_codes(batch)) for batch in data.batches("train")]
    found: Ranges = {}
    for code in torch.unique(torch.cat(codes)).split(1):
        pair, step = divmod(int(code), _STEPS)
        found.setdefault(pair_name(*divmod(pair, ELEMENTS)), []).append((step, step + 1))
    return {name: _joined(ranges) for name, ranges in found.items()}


def table_of(ranges: Mapping[str, list[tuple[float, float]]], numbers: np.ndarray) -> np.ndarray:
    """Return whether a distance is near to one that was seen, as a table to look up.

    A trajectory of a thousand frames does not come into every step of the tails of its
    distributions: the steps beside one that was seen count as seen.

    Args:
        ranges: as ``seen_distances`` gives them.
        numbers: (elements,) atomic numbers, in the order of the rows.

    Returns:
        (elements, elements, steps) bool.
    """
    table = np.zeros((len(numbers), len(numbers), _STEPS), bool)
    for row, first in enumerate(numbers.tolist()):
        for column, second in enumerate(numbers.tolist()):
            name = pair_name(min(first, second), max(first, second))
            for low, high in ranges.get(name, []):
                table[row, column, max(round(low / STEP) - 1, 0) : round(high / STEP) + 1] = True
    return table


def steps_of(distance: np.ndarray) -> np.ndarray:
    """Return the last index of ``table_of`` for distances (...) in Å."""
    return np.minimum(distance / STEP, _STEPS - 1).astype(np.int64)


def pair_name(first: int, second: int) -> str:
    """Return such as ``C-O`` for atomic numbers, the smaller one first."""
    return f"{chemical_symbols[first]}-{chemical_symbols[second]}"


def _codes(batch: object) -> Tensor:
    """Return a number for the elements and the distance of each edge, (edges,)."""
    edges = Neighbors.of(batch)
    z: Tensor = batch.z.long()  # type: ignore[attr-defined]
    ends = torch.stack([z[edges.sender], z[edges.receiver]]).sort(0).values  # (2, edges)
    step = (edges.distance.double() / STEP).long().clamp(max=_STEPS - 1)
    return (ends[0] * ELEMENTS + ends[1]) * _STEPS + step


def _joined(steps: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Join steps (first, last) that touch, and turn them into Å."""
    runs = groupby(enumerate(steps), key=lambda each: each[1][0] - each[0])
    groups = [[step for _, step in group] for _, group in runs]
    return [(round(group[0][0] * STEP, 1), round(group[-1][1] * STEP, 1)) for group in groups]
