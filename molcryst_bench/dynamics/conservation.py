"""Whether a run keeps its energy, how hot it is, and how long it lasts."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from molcryst_bench.dynamics.trajectory import Trajectory

_TAIL = 0.025  # on either side of a 95 % interval
_RESAMPLES = 2000
_FEWEST = 3  # frames that a slope takes


class Estimate(NamedTuple):
    """A mean over replicas with a 95 % interval, from resampling them."""

    value: float
    low: float
    high: float


class Lifetime(NamedTuple):
    """How long the replicas of a run have lasted."""

    failed: int
    replicas: int
    first: float | None  # fs until the first failure
    survival: float  # mean time until failure or the end, as part of the whole
    reasons: tuple[str, ...]  # of the failures, each once


def energy_drift(run: Trajectory, seed: int = 0) -> Estimate | None:
    """Return the drift of the total energy in meV/atom/ps, of replicas with three frames or more.

    It is the mean size of the slopes of least-squares lines through the total energy of each
    replica, since drifts up and down do not make up for one another; nothing without any replica.
    """
    total = run.potential + run.kinetic  # (frames, replicas) eV
    slopes = [_slope(run.time, energies) for energies in total.T]
    per_atom = 1e6 / len(run.numbers)  # eV/fs to meV/ps, for each atom
    known = np.abs([slope for slope in slopes if slope is not None]) * per_atom
    return _mean_of(known, seed) if known.size else None


def mean_temperature(run: Trajectory, seed: int = 0) -> Estimate | None:
    """Return the mean kinetic temperature in K; nothing without any frame."""
    found = run.temperature  # (frames, replicas)
    known = np.array([each[np.isfinite(each)].mean() for each in found.T if _any(each)])
    return _mean_of(known, seed) if known.size else None


def lifetime(run: Trajectory, planned: float) -> Lifetime:
    """Return how many replicas have failed, when and why.

    Args:
        run: with the status of each replica.
        planned: time in fs that each was to last.
    """
    failed = [status for status in run.status if status.failed]
    lasted = [max(0.0, s.time) / planned if s.failed else 1.0 for s in run.status]
    first = min((max(0.0, status.time) for status in failed), default=None)
    reasons = tuple(sorted({status.reason for status in failed}))
    return Lifetime(len(failed), run.replicas, first, float(np.mean(lasted)), reasons)


def _slope(time: np.ndarray, energies: np.ndarray) -> float | None:
    known = np.isfinite(energies)
    if known.sum() < _FEWEST:
        return None
    slope, _ = np.polyfit(time[known], energies[known], 1)
    return float(slope)


def _any(values: np.ndarray) -> bool:
    return bool(np.isfinite(values).any())


def _mean_of(values: np.ndarray, seed: int) -> Estimate:
    draw = np.random.default_rng(seed)
    means = draw.choice(values, (_RESAMPLES, len(values))).mean(1)
    low, high = np.quantile(means, [_TAIL, 1 - _TAIL])
    return Estimate(float(values.mean()), float(low), float(high))
