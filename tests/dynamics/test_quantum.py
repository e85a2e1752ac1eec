"""Runs on GFN2-xTB itself, which conserves energy as far as the time step lets it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase.optimize import BFGS
from tblite.ase import TBLite

from molcryst_bench.dynamics.conservation import energy_drift, mean_temperature
from molcryst_bench.dynamics.force_field import CalculatorForceField
from molcryst_bench.dynamics.molecules import structure_of
from molcryst_bench.dynamics.run import run_dynamics
from molcryst_bench.dynamics.settings import RunSettings
from molcryst_bench.dynamics.trajectory import Trajectory, read_trajectory

LENGTH = 400.0  # fs


def xtb() -> TBLite:
    return TBLite(method="GFN2-xTB", verbosity=0, accuracy=0.01)


def run(folder: Path, time_step: float) -> Trajectory:
    ethanol = structure_of("ethanol")
    ethanol.calc = xtb()
    BFGS(ethanol, logfile=None).run(fmax=0.01)
    ethanol.calc = None
    steps = round(LENGTH / time_step)
    settings = RunSettings(steps=steps, time_step=time_step, temperature=500.0, every=5)
    run_dynamics(folder, ethanol, CalculatorForceField(xtb, "GFN2-xTB"), settings)
    return read_trajectory(folder)


@pytest.mark.slow
def test_energy_is_conserved_to_the_square_of_the_time_step(tmp_path: Path) -> None:
    runs = [run(tmp_path / str(time_step), time_step) for time_step in (0.5, 0.25)]
    wide, narrow = (float(np.std((each.potential + each.kinetic)[:, 0])) for each in runs)
    assert 3 < wide / narrow < 5
    drift = energy_drift(runs[1])
    assert drift is not None
    assert drift.value < 1.0  # meV/atom/ps
    temperature = mean_temperature(runs[1])
    assert temperature is not None
    assert 150 < temperature.value < 400  # from a minimum, half of the energy goes into bonds
