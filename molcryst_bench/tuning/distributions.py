"""Which values a hyperparameter may take, and how likely they are at first."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

GOLDEN = 0.381966  # part of a range at which there is no round number


@dataclass(frozen=True)
class Range:
    """Numbers between two bounds, both of which belong to it."""

    low: float
    high: float
    log: bool = False
    whole: bool = False  # integers alone
    mean: float | None = None  # of a normal distribution; where ``log``, its median
    deviation: float | None = None  # of it; where ``log``, in powers of ten

    def contains(self, value: Any) -> bool:
        """Return whether a value is one of the range."""
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and self.low <= value <= self.high and (not self.whole or value % 1 == 0)

    def examples(self) -> list[float]:
        """Return values that a setting must accept for the range to be one of its."""
        if self.whole:
            return [int(self.low), int(self.high)]
        return [self.low, self.high, self.low + GOLDEN * (self.high - self.low)]

    def narrowed(self, high: float) -> Range:
        """Return the part of the range up to a value."""
        return replace(self, high=min(self.high, high))

    def bounds(self) -> tuple[float, float]:
        """Return the least and the largest code."""
        return (self.low, self.high) if self.mean is None else (0.0, 1.0)

    def coded(self, value: float) -> float:
        """Return what the optimiser sees of a value.

        That is the value itself, or the part of a normal distribution that lies below it:
        DeepHyper draws normal numbers outside the bounds, and knows no log-normal ones.
        """
        if self.mean is None:
            return value
        start, end = self._shares()
        return (self._normal().cdf(self._scaled(value)) - start) / (end - start)

    def decoded(self, code: float) -> float:
        """Return the value of a code; never outside the bounds by rounding."""
        value = code
        if self.mean is not None:
            start, end = self._shares()
            scaled = self._normal().inv_cdf(start + code * (end - start))
            value = 10**scaled if self.log else scaled
        value = min(max(value, self.low), self.high)
        return round(value) if self.whole else float(value)

    def _normal(self) -> NormalDist:
        if self.mean is None or self.deviation is None:
            raise ValueError(f"{self} is not normal")
        return NormalDist(self._scaled(self.mean), self.deviation)

    def _shares(self) -> tuple[float, float]:
        """Return the parts of the normal distribution below the bounds."""
        return self._normal().cdf(self._scaled(self.low)), self._normal().cdf(
            self._scaled(self.high)
        )

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self.log else value


@dataclass(frozen=True)
class Choice:
    """A few values, of any kind."""

    values: tuple[Any, ...]

    def contains(self, value: Any) -> bool:
        """Return whether a value is one of them; 1 is not true."""
        return any(_same(value, each) for each in self.values)

    def examples(self) -> list[Any]:
        """Return values that a setting must accept for the choice to be one of its."""
        return list(self.values)

    @property
    def ordered(self) -> bool:
        """Whether the values are numbers, which come in an order."""
        return all(isinstance(v, int | float) and not isinstance(v, bool) for v in self.values)

    def coded(self, value: Any) -> int:
        """Return what the optimiser sees of a value: its place."""
        return next(i for i, each in enumerate(self.values) if _same(value, each))

    def decoded(self, code: int) -> Any:
        """Return the value at a place."""
        return self.values[code]


Distribution = Range | Choice


def _same(one: Any, other: Any) -> bool:
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)
