"""How sure a roughness is, and what to compare it with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy import stats
from sklearn.decomposition import PCA

from molcryst_bench.base.errors import SettingsError
from molcryst_bench.interpret.dendrogram import Dendrogram
from molcryst_bench.interpret.pairs import largest_distance, pairs_of
from molcryst_bench.interpret.roughness import Axis, normalised, roughness_on

Progress = Callable[[int, int], None]
_AXES: tuple[Axis, ...] = ("distance", "clusters")


def _silent(done: int, total: int) -> None:
    del done, total


class Interval(NamedTuple):
    """A value with bounds."""

    value: float
    low: float
    high: float


class Study(NamedTuple):
    """The roughness of one representation for one property, beside its ceiling."""

    rogi: float
    rogi_xd: float
    shuffled: float  # ROGI of shuffled labels, the mean over shuffles
    shuffled_xd: float
    points: int
    width: int


def study(X: Any, y: Any, metric: str = "euclidean", *, shuffles: int = 20, seed: int = 0) -> Study:  # noqa: N803
    """Return both indices of labels and of the same labels in random order, on one tree.

    Shuffled labels know nothing of the points: no representation is rougher for them.

    Args:
        X: (points, features), or as ``pairs_of`` says.
        y: (points,) labels.
        metric: see ``pairs_of``.
        shuffles: how many random orders to average over.
        seed: of the orders.
    """
    pairs = pairs_of(X, metric)
    labels = normalised(y, pairs.points)
    tree = Dendrogram.of(pairs)
    draw = np.random.default_rng(seed)
    shuffled = [draw.permutation(labels) for _ in range(shuffles)]

    def ceiling(axis: Axis) -> float:
        return float(np.mean([roughness_on(tree, order, axis) for order in shuffled]))

    return Study(
        rogi=roughness_on(tree, labels, "distance"),
        rogi_xd=roughness_on(tree, labels, "clusters"),
        shuffled=ceiling("distance"),
        shuffled_xd=ceiling("clusters"),
        points=pairs.points,
        width=np.shape(X)[-1],
    )


def rogi_interval(
    X: Any,  # noqa: N803
    y: Any,
    metric: str = "euclidean",
    *,
    axis: Axis = "distance",
    resamples: int = 200,
    coverage: float = 0.95,
    seed: int = 0,
    progress: Progress = _silent,
) -> Interval:
    """Return the roughness with bounds from resampling points with their labels.

    A point that is drawn twice counts twice, in one place. Its copies are no new neighbours, so
    that resamples are of fewer places and their mean lies beside the value: the bounds have the
    width of their spread around the value.

    Args:
        X: (points, features), or as ``pairs_of`` says.
        y: (points,) labels.
        metric: see ``pairs_of``.
        axis: ``distance`` for ROGI, ``clusters`` for ROGI-XD.
        resamples: how many to draw.
        coverage: how often such bounds are to hold the roughness of all that could be drawn.
        seed: of the draws.
        progress: told how many of how many resamples are done.
    """
    return rogi_intervals(
        X, y, metric, resamples=resamples, coverage=coverage, seed=seed, progress=progress
    )[axis]


def rogi_intervals(
    X: Any,  # noqa: N803
    y: Any,
    metric: str = "euclidean",
    *,
    resamples: int = 200,
    coverage: float = 0.95,
    seed: int = 0,
    progress: Progress = _silent,
) -> dict[Axis, Interval]:
    """Return both indices with bounds, from the same resamples; see ``rogi_interval``."""
    largest = largest_distance(X, metric)
    whole = pairs_of(X, metric, largest)
    labels, tree = normalised(y, whole.points), Dendrogram.of(whole)
    values = {axis: roughness_on(tree, labels, axis) for axis in _AXES}
    found: dict[Axis, list[float]] = {axis: [] for axis in _AXES}
    draw = np.random.default_rng(seed)
    for done in range(resamples):
        counts = np.bincount(draw.integers(0, whole.points, whole.points), minlength=whole.points)
        rows = np.flatnonzero(counts)
        tree = Dendrogram.of(pairs_of(_rows(X, rows, metric), metric, largest))
        for axis in _AXES:
            found[axis].append(roughness_on(tree, labels[rows], axis, counts[rows]))
        progress(done + 1, resamples)
    return {axis: _centred(values[axis], found[axis], coverage) for axis in _AXES}


def _centred(value: float, resampled: list[float], coverage: float) -> Interval:
    """Return bounds around a value that are as wide as the spread of its resamples."""
    tails = [(1 - coverage) / 2, (1 + coverage) / 2]
    low, high = value + np.quantile(resampled, tails) - np.mean(resampled)
    return Interval(value, float(low), float(high))


class Sampled(NamedTuple):
    """The mean roughness of random parts of a set."""

    mean: Interval  # 95 % bounds of the mean over parts
    points: int  # of each part
    parts: int


def sampled_rogi(
    X: Any,  # noqa: N803
    y: Any,
    points: int,
    metric: str = "euclidean",
    *,
    axis: Axis = "distance",
    most: int = 20,
    seed: int = 0,
    progress: Progress = _silent,
) -> Sampled:
    """Return the roughness of random parts of a set whose distances no memory could hold.

    The set is cut at random into disjoint parts, so that every point counts once if ``most``
    allows, and parts are independent but for what the set has not got twice. The bounds are those
    of Student for the mean. Fewer points are further apart: the value belongs to sets of this many
    points, and should be compared with those of the same size; see ``extrapolated``.

    Args:
        X: (points, features).
        y: (points,) labels.
        points: of each part.
        metric: see ``pairs_of``.
        axis: ``distance`` for ROGI, ``clusters`` for ROGI-XD.
        most: of the parts that are looked at.
        seed: of the cut.
        progress: told how many of how many parts are done.

    Raises:
        SettingsError: if there are fewer than two parts.
    """
    table, count = np.asarray(X), len(X) // points
    if count < 2:
        problem = f"{len(X):,} points do not make two parts of {points:,}"
        raise SettingsError(f"{problem}: choose a smaller part, or all of them")
    labels, largest = normalised(y, len(table)), largest_distance(table, metric)
    order, found = np.random.default_rng(seed).permutation(len(table)), []
    for part in range(min(count, most)):
        rows = order[part * points : (part + 1) * points]
        tree = Dendrogram.of(pairs_of(table[rows], metric, largest))
        found.append(roughness_on(tree, labels[rows], axis))
        progress(part + 1, min(count, most))
    return Sampled(_mean_interval(found), points, len(found))


def extrapolated(sizes: list[Sampled], points: int) -> Interval:
    """Return what the roughness of ``points`` would be, from parts of at least three sizes.

    The mean roughness is fitted by a straight line in the logarithm of the number of points; the
    bounds add the uncertainty of the line at ``points`` (95 %), and nothing for what is not linear.
    """
    x = np.log([each.points for each in sizes])
    y = np.array([each.mean.value for each in sizes])
    line = stats.linregress(x, y)
    freedom, at = len(x) - 2, np.log(points)
    residual = np.sqrt(((y - line.intercept - line.slope * x) ** 2).sum() / freedom)
    spread = np.sqrt(1 / len(x) + (at - x.mean()) ** 2 / ((x - x.mean()) ** 2).sum())
    half = float(stats.t.ppf(0.975, freedom) * residual * spread)
    value = float(line.intercept + line.slope * at)
    return Interval(value, value - half, value + half)


def reduced(X: Any, width: int) -> np.ndarray:  # noqa: N803
    """Return the first principal components, (points, width), to compare at equal width.

    Raises:
        SettingsError: if there are fewer features or points than that.
    """
    table = np.asarray(X, np.float64)
    if width > min(table.shape):
        raise SettingsError(f"{table.shape} has no {width} principal components: choose fewer")
    solver = "covariance_eigh" if table.shape[1] <= table.shape[0] else "full"  # what is smaller
    components: np.ndarray = PCA(width, svd_solver=solver).fit_transform(table)
    return components


def _rows(X: Any, rows: np.ndarray, metric: str) -> np.ndarray:  # noqa: N803
    table = np.asarray(X)
    if metric != "precomputed":
        chosen: np.ndarray = table[rows]
        return chosen
    if table.ndim == 2:
        square: np.ndarray = table[np.ix_(rows, rows)]
        return square
    n = round((1 + (1 + 8 * table.size) ** 0.5) / 2)
    i, j = rows[:, None], rows[None, :]
    upper = np.triu_indices(len(rows), 1)
    part: np.ndarray = table[(i * n - i * (i + 1) // 2 + j - i - 1)[upper]]
    return part


def _mean_interval(values: list[float]) -> Interval:
    mean = float(np.mean(values))
    half = float(stats.t.ppf(0.975, len(values) - 1) * stats.sem(values))
    return Interval(mean, mean - half, mean + half)
