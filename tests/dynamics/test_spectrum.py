"""The density of states of oscillators whose frequencies are known."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from handmade_runs import run_of
from scipy.constants import speed_of_light

from molcryst_bench.base.errors import RunError
from molcryst_bench.dynamics.spectrum import vibrational_spectrum
from molcryst_bench.dynamics.trajectory import Trajectory

PER_FS = 100 * speed_of_light * 1e-15  # 1/cm in 1/fs


def oscillators(wavenumbers: list[float], frames: int = 4000) -> np.ndarray:
    """Return velocities (frames, 2, atoms, 3): each atom moves along x with its own frequency."""
    time = np.arange(frames)  # fs
    phase = np.random.default_rng(0).uniform(0, 2 * np.pi, (2, len(wavenumbers)))
    turns = 2 * np.pi * PER_FS * np.multiply.outer(time, np.array(wavenumbers))
    velocities = np.zeros((frames, 2, len(wavenumbers), 3))
    velocities[..., 0] = np.cos(turns[:, None] + phase)
    return velocities


def a_run(velocities: np.ndarray | None, atoms: Atoms, frames: int = 4000) -> Trajectory:
    return run_of(atoms, np.zeros((frames, 2, len(atoms), 3)), velocities)


@pytest.mark.parametrize("wavenumber", [400.0, 1650.0, 3100.0])
def test_an_oscillator_has_its_peak_at_its_frequency(wavenumber: float) -> None:
    found = vibrational_spectrum(a_run(oscillators([wavenumber]), Atoms("H")))
    peak = found.wavenumber[found.density.argmax()]
    assert peak == pytest.approx(wavenumber, abs=10)
    assert np.trapezoid(found.density, found.wavenumber) == pytest.approx(1)
    near = np.abs(found.wavenumber - wavenumber) < 40
    assert np.trapezoid(found.density[near], found.wavenumber[near]) > 0.95
    assert found.replicas.shape == (2, len(found.wavenumber))


def test_atoms_count_by_their_mass() -> None:
    atoms = Atoms("HC")
    atoms.set_masses([1.0, 3.0])
    found = vibrational_spectrum(a_run(oscillators([3000.0, 1000.0]), atoms))
    low = found.wavenumber < 2000
    assert np.trapezoid(found.density[low], found.wavenumber[low]) == pytest.approx(0.75, abs=0.02)


def test_replicas_that_failed_are_left_out() -> None:
    velocities = oscillators([1500.0])
    velocities[2000:, 1] = np.nan
    found = vibrational_spectrum(a_run(velocities, Atoms("H")))
    assert found.replicas.shape[0] == 1
    assert np.isfinite(found.density).all()


def test_a_run_without_velocities_or_with_too_few_frames_is_refused() -> None:
    with pytest.raises(RunError, match="no velocities"):
        vibrational_spectrum(a_run(None, Atoms("H")))
    with pytest.raises(RunError, match="too few"):
        vibrational_spectrum(a_run(oscillators([1500.0], 10), Atoms("H"), 10))
