"""What CGCNN knows of an element: its tabulated properties, each as one of a few categories."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from molcryst_bench.models.components.element_table import TABLE

_UNKNOWN = "-"


@dataclass(frozen=True)
class _Property:
    """Equally wide categories between two bounds; what lies outside is in the nearest one."""

    column: int  # of the table
    low: float
    high: float
    categories: int
    read: Callable[[str], float] = float

    def one_hot(self, text: str) -> list[float]:
        """Return one for the category of a value and zero for the others, or for all."""
        if text == _UNKNOWN:
            return [0.0] * self.categories
        place = (self.read(text) - self.low) / (self.high - self.low) * self.categories
        found = min(max(math.floor(place), 0), self.categories - 1)
        return [float(category == found) for category in range(self.categories)]


def _each(column: int, first: int, last: int) -> _Property:
    """Return a property with a category for each whole number."""
    return _Property(column, first, last + 1, last + 1 - first)


def _log(text: str) -> float:
    return math.log(float(text))


_PROPERTIES = (
    _each(2, 0, 18),  # group, or none
    _each(3, 1, 7),  # period
    _Property(4, 0.5, 4.0, 10),  # electronegativity
    _Property(5, 25, 250, 10),  # covalent radius in pm
    _each(6, 1, 12),  # valence electrons
    _Property(7, 1.3, 3.3, 10, _log),  # first ionisation energy in eV
    _Property(8, -3.0, 3.7, 10),  # electron affinity in eV
    _Property(9, 0, 4, 4, "spdf".index),  # block
    _Property(10, 1.5, 4.3, 10, _log),  # molar volume in cm^3/mol
)


def element_features() -> Tensor:
    """Return nine properties of each element as one-hot categories, (119, 92), row 0 empty.

    Bounds and numbers of categories are those of the tables of Xie and Grossman 2018 (supplemental
    material), and of their published vectors: 19 for the group, of which one is for the f block,
    and 7 for the period. A property that is not known has no category; the f block's valence
    electrons above 12 count as 12.
    """
    rows = [_features(line.split()) for line in TABLE.splitlines()]
    return torch.tensor([[0.0] * len(rows[0]), *rows])


def _features(row: list[str]) -> list[float]:
    return [value for part in _PROPERTIES for value in part.one_hot(row[part.column])]
