"""Drift, temperature and time to failure of runs whose energies are written down."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms, units
from handmade_runs import run_of

from molcryst_bench.dynamics.conservation import energy_drift, lifetime, mean_temperature
from molcryst_bench.dynamics.trajectory import ReplicaStatus, Trajectory

WATER = Atoms("OH2", [[0.0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])
FRAMES, REPLICAS = 200, 6


def a_run(total: np.ndarray, kinetic: np.ndarray, **known: object) -> Trajectory:
    positions = np.tile(WATER.positions, (*total.shape, 1, 1))
    return run_of(WATER, positions, potential=total - kinetic, kinetic=kinetic, **known)


def test_the_drift_is_the_slope_of_the_energy_per_atom_and_picosecond() -> None:
    draw = np.random.default_rng(0)
    slopes = np.array([2.0, -2, 2, -2, 2, -2])  # meV/atom/ps
    time = np.arange(1, FRAMES + 1) * 0.005  # ps
    total = 1e-3 * 3 * np.outer(time, slopes) + draw.normal(0, 1e-6, (FRAMES, REPLICAS))
    kinetic = draw.uniform(0, 0.5, (FRAMES, REPLICAS))
    found = energy_drift(a_run(total, kinetic, interval=5.0))
    assert found is not None
    assert found.value == pytest.approx(2, rel=1e-2)  # ups and downs do not cancel
    assert found.low <= found.value <= found.high


def test_the_interval_of_the_drift_holds_the_mean_over_replicas() -> None:
    time = np.arange(1, FRAMES + 1) * 0.005
    total = 1e-3 * 3 * np.outer(time, [1, 2, 3, 4, 5, 6])
    found = energy_drift(a_run(total, np.zeros_like(total), interval=5.0))
    assert found is not None
    assert found.value == pytest.approx(3.5)
    assert 1.5 < found.low < 3
    assert 4 < found.high < 5.5


def test_frames_after_a_failure_do_not_count() -> None:
    total = np.zeros((FRAMES, REPLICAS))
    total[100:, 1] = np.nan
    kinetic = np.full_like(total, 1.5 * units.kB * 400)  # 3 degrees of freedom
    kinetic[100:, 1] = np.nan
    run = a_run(total, kinetic)
    drift, temperature = energy_drift(run), mean_temperature(run)
    assert drift is not None
    assert drift.value == 0
    assert temperature is not None
    assert temperature.value == pytest.approx(400)


def test_without_a_frame_there_is_no_drift_and_no_temperature() -> None:
    nothing = np.full((FRAMES, 2), np.nan)
    assert energy_drift(a_run(nothing, nothing)) is None
    assert mean_temperature(a_run(nothing, nothing)) is None


def test_lifetimes_count_the_time_until_failure() -> None:
    total = np.zeros((FRAMES, 4))
    status = [
        ReplicaStatus("finished", 200.0),
        ReplicaStatus("failed", 50.0, "the bond C-C broke"),
        ReplicaStatus("failed", 100.0, "the bond C-C broke"),
        ReplicaStatus("failed", -20.0, "energy or forces are not finite"),
    ]
    found = lifetime(a_run(total, total, status=status), 200.0)
    assert (found.failed, found.replicas, found.first) == (3, 4, 0.0)
    assert found.survival == pytest.approx((1 + 0.25 + 0.5 + 0) / 4)
    assert found.reasons == ("energy or forces are not finite", "the bond C-C broke")
