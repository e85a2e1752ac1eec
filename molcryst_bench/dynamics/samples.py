"""Samples of a number along runs, and how far two of them are from one another.

A sample comes in units that are independent of one another: the replicas of a run, or blocks of
consecutive frames of a dataset. Intervals resample units, never single frames, which are alike
where they are close in time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import pdist

RESAMPLES = 400
_HALVES = 100  # ways to cut a sample in two
_TAIL = 0.025  # on either side of a 95 % interval
_BINS = (12, 60)
_PAIRS = 2000  # values of which all pairs are compared


class Distance(NamedTuple):
    """A Wasserstein distance with a 95 % interval, in the unit of the values."""

    value: float
    low: float
    high: float


class Histogram(NamedTuple):
    """A density in bins, with 95 % intervals."""

    edges: np.ndarray  # (bins + 1,)
    density: np.ndarray  # (bins,) per unit of the values
    low: np.ndarray  # (bins,)
    high: np.ndarray  # (bins,)


@dataclass(frozen=True)
class Sample:
    """Values in units that are independent of one another."""

    units: tuple[np.ndarray, ...]  # of each unit (values,); none is empty
    period: float | None = None  # of values on a circle, such as 360°

    @cached_property
    def values(self) -> np.ndarray:
        """All values, (values,)."""
        return np.concatenate(self.units)

    @property
    def mean(self) -> float:
        """Mean of all values; on a circle, the direction of their resultant."""
        if self.period is None:
            return float(self.values.mean())
        turn = self.period / (2 * np.pi)
        return float(np.angle(np.exp(1j * self.values / turn).mean()) * turn)

    @property
    def deviation(self) -> float:
        """Standard deviation of all values, on a circle of their distances from the mean."""
        away = self.values - self.mean
        if self.period is not None:
            away = _wrapped(away, self.period)
        return float(np.sqrt(np.square(away).mean()))

    def mean_difference(self, seed: int = 0) -> float:
        """Return how far two values, drawn at random, are from one another in the mean.

        This is Gini's mean difference: 1.13 standard deviations of a normal distribution, and
        unlike these at home on a circle. Of more than 2,000 values some are drawn.
        """
        values = self.values
        if len(values) > _PAIRS:
            values = np.random.default_rng(seed).choice(values, _PAIRS, replace=False)
        apart = pdist(values[:, None])
        if self.period is not None:
            apart = np.minimum(apart, self.period - apart)
        return float(apart.mean())

    def histogram(self, edges: np.ndarray, seed: int = 0) -> Histogram:
        """Return the density in bins, as part of all values, also those beyond the edges."""
        counts = np.array([np.histogram(unit, edges)[0] for unit in self.units])  # (units, bins)
        sizes = np.array([len(unit) for unit in self.units])
        drawn = _draws(len(self.units), np.random.default_rng(seed))
        resampled = (drawn @ counts) / (drawn @ sizes)[:, None] / np.diff(edges)
        low, high = np.quantile(resampled, [_TAIL, 1 - _TAIL], axis=0)
        return Histogram(edges, counts.sum(0) / sizes.sum() / np.diff(edges), low, high)


def distance(one: Sample, other: Sample, seed: int = 0) -> Distance:
    """Return the first Wasserstein distance of two samples, in the unit of their values.

    It is the mean way that values of one have to go to become those of the other. Resampling adds
    noise of its own to a distance, so that resampled ones are larger: the interval has their
    spread, but lies about the distance itself.
    """
    table = _Cumulative.of(one, other)
    draw = np.random.default_rng(seed)
    here, there = len(one.units), len(other.units)
    first = np.pad(_draws(here, draw), ((0, 0), (0, there)))  # (resamples, units of both)
    second = np.pad(_draws(there, draw), ((0, 0), (here, 0)))
    value = wasserstein(one, other)
    low, middle, high = np.quantile(table.distances(first, second), [_TAIL, 0.5, 1 - _TAIL])
    shift = value - float(middle)
    return Distance(value, max(0.0, float(low) + shift), float(high) + shift)


def wasserstein(one: Sample, other: Sample) -> float:
    """Return the distance alone; on a circle that of the shorter ways.

    On a line it is the area between the cumulative distributions. On a circle these are known but
    for a constant, and the one that makes the area least is the median of their difference
    (Rabin, Delon and Gousseau, J. Math. Imaging Vis. 41, 147 (2011),
    doi 10.1007/s10851-011-0284-0).
    """
    table = _Cumulative.of(one, other)
    here = np.repeat([1.0, 0.0], [len(one.units), len(other.units)])
    return float(table.distances(here[None], 1 - here[None])[0])


def noise(sample: Sample, seed: int = 0) -> float:
    """Return how far halves of a sample are from one another: what a distance is for no reason.

    The mean over random halves of its units; not a number for a single unit.
    """
    count = len(sample.units)
    if count < 2:
        return float("nan")
    draw = np.random.default_rng(seed)
    order = draw.permuted(np.tile(np.arange(count), (_HALVES, 1)), axis=1)
    first = (order < count // 2).astype(float)  # (halves, units)
    return float(_Cumulative.of(sample).distances(first, 1 - first).mean())


class _Cumulative(NamedTuple):
    """How many values of each unit are up to each of the values of all."""

    widths: np.ndarray  # (points,) from each value to the next one
    counts: np.ndarray  # (units, points)
    period: float | None

    @classmethod
    def of(cls, *samples: Sample) -> _Cumulative:
        units = [unit for sample in samples for unit in sample.units]
        points, place = np.unique(np.concatenate(units), return_inverse=True)
        counts = np.zeros((len(units), len(points)))
        rows = np.repeat(np.arange(len(units)), [len(unit) for unit in units])
        np.add.at(counts, (rows, place), 1)
        period = samples[0].period
        # Beyond the last value both distributions are whole; on a circle the first one follows.
        beyond = 0.0 if period is None else period - (points[-1] - points[0])
        return cls(np.append(np.diff(points), beyond), counts.cumsum(1), period)

    def distances(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return the distance of two weightings of the units, both (rows, units)."""
        return np.array([self._distance(*each) for each in zip(first, second, strict=True)])

    def _distance(self, first: np.ndarray, second: np.ndarray) -> float:
        one, other = first @ self.counts, second @ self.counts  # (points,)
        apart = one / one[-1] - other / other[-1]
        if self.period is not None:
            apart = apart - _weighted_median(apart, self.widths)
        return float(np.abs(apart) @ self.widths)


def _draws(units: int, draw: np.random.Generator) -> np.ndarray:
    """Return how often each unit is drawn in each resample, (resamples, units)."""
    return draw.multinomial(units, np.full(units, 1 / units), RESAMPLES).astype(float)


def _weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    order = np.argsort(values)
    reached = weights[order].cumsum()
    return float(values[order][np.searchsorted(reached, reached[-1] / 2)])


def _wrapped(values: np.ndarray, period: float) -> np.ndarray:
    """Return values on a circle from minus half a period to half a period."""
    return np.asarray((values + period / 2) % period - period / 2)


def as_units(values: np.ndarray, blocks: int) -> tuple[np.ndarray, ...]:
    """Cut (frames, members) into blocks of consecutive frames, as equal as they can be."""
    return tuple(block.ravel() for block in np.array_split(values, blocks) if block.size)


def bins_for(samples: Sequence[Sample]) -> np.ndarray:
    """Return edges, (bins + 1,), between which nearly all values of all samples lie.

    There are as many as the smallest sample has values for (Rice's rule), from 12 to 60.
    """
    values = min(len(sample.values) for sample in samples)
    bins = int(np.clip(round(2 * np.cbrt(values)), *_BINS))
    if samples[0].period is not None:
        return np.linspace(-samples[0].period / 2, samples[0].period / 2, bins + 1)
    ends = np.array([np.quantile(sample.values, [0.001, 0.999]) for sample in samples])
    low, high = ends.min(), ends.max()
    margin = 0.05 * (high - low) or 1e-6
    return np.linspace(low - margin, high + margin, bins + 1)
