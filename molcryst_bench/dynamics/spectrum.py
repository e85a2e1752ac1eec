r"""The vibrational density of states of a run, from the velocities of its atoms.

It is the Fourier transform of the mass-weighted velocity autocorrelation,
:math:`D(\nu) \propto \sum_i m_i \int \langle v_i(0) v_i(t) \rangle e^{-2\pi i \nu t} dt`
(Dickey and Paskin, Phys. Rev. 188, 1407 (1969), doi 10.1103/PhysRev.188.1407), which by the theorem
of Wiener and Khinchin is the mean power spectrum of the velocities.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.constants import speed_of_light
from scipy.signal import welch

from molcryst_bench.base.errors import RunError
from molcryst_bench.dynamics.trajectory import Trajectory

_FEWEST = 16  # frames in which there is anything to see
_PER_CM = 1e15 / (100 * speed_of_light)  # 1/fs in 1/cm


class Spectrum(NamedTuple):
    """A density of states whose integral is one."""

    wavenumber: np.ndarray  # (points,) 1/cm
    density: np.ndarray  # (points,) cm
    replicas: np.ndarray  # (replicas, points) cm, of each on its own


def vibrational_spectrum(run: Trajectory, resolution: float = 10.0) -> Spectrum:
    """Return the vibrational density of states of the replicas that have not failed.

    Args:
        run: with velocities, at least every 5 fs for vibrations of hydrogen.
        resolution: in 1/cm; where a run is too short for it, what the run allows.

    Raises:
        RunError: if there are no velocities, or no replica has 16 frames or more.
    """
    if run.velocities is None:
        raise RunError("the run has no velocities: run it again and keep them")
    whole = np.flatnonzero(np.isfinite(run.velocities).all((0, 2, 3)))
    if len(run.time) < _FEWEST or not whole.size:
        raise RunError(f"no replica has {_FEWEST} frames: too few for a spectrum")
    return _spectrum(run.velocities[:, whole], run.masses, run.time[1] - run.time[0], resolution)


def _spectrum(
    velocities: np.ndarray, masses: np.ndarray, interval: float, resolution: float
) -> Spectrum:
    """Average over overlapping windows of a length that gives the resolution (Welch's method)."""
    wanted = int(_PER_CM / (resolution * interval))
    window = min(len(velocities), max(_FEWEST, wanted))
    frequency, power = welch(
        velocities, 1 / interval, nperseg=window, axis=0, detrend="constant"
    )  # (points, replicas, atoms, 3)
    density = np.einsum("pram,a->rp", power, masses)  # (replicas, points)
    wavenumber = frequency * _PER_CM
    density /= np.trapezoid(density, wavenumber, axis=1)[:, None]
    return Spectrum(wavenumber, density.mean(0), density)
