"""Whole runs: kills, failures, bad input, and reading what they leave."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from test_motion import Wells, argon, lennard_jones

from molcryst_bench.base.errors import MolcrystError, RunError
from molcryst_bench.dynamics.force_field import CalculatorForceField
from molcryst_bench.dynamics.run import run_dynamics
from molcryst_bench.dynamics.settings import RunSettings
from molcryst_bench.dynamics.state import load_state
from molcryst_bench.dynamics.trajectory import chunk_path, read_trajectory
from molcryst_bench.training.force_field import Evaluation

SETTINGS: dict[str, Any] = {
    "steps": 120,
    "time_step": 2.0,
    "temperature": 30.0,
    "replicas": 3,
    "equilibration": 60,
    "chunk": 40,
}


def run(folder: Path, field: Any = None, **changes: Any) -> None:
    settings = RunSettings(**{**SETTINGS, **changes})
    run_dynamics(
        folder, argon(), field or CalculatorForceField(lennard_jones, "Lennard-Jones"), settings
    )


def same_run(one: Path, other: Path) -> None:
    first, second = read_trajectory(one), read_trajectory(other)
    for name in ("time", "positions", "velocities", "potential", "kinetic"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    ends = [load_state(folder) for folder in (one, other)]
    assert ends[0] is not None
    assert ends[1] is not None
    np.testing.assert_array_equal(ends[0].positions, ends[1].positions)
    np.testing.assert_array_equal(ends[0].velocities, ends[1].velocities)


def test_what_a_run_leaves(tmp_path: Path) -> None:
    run(tmp_path)
    found = read_trajectory(tmp_path)
    assert found.positions.shape == (13, 3, 4, 3)
    np.testing.assert_allclose(found.time, np.arange(0, 241, 20.0))
    assert [each.state for each in found.status] == ["finished"] * 3
    total = found.potential + found.kinetic
    assert np.abs(total - total[0]).max() < 1e-4
    assert not np.array_equal(found.positions[-1, 0], found.positions[-1, 1])


class Killed(Exception):
    pass


class Fragile(CalculatorForceField):
    """Ends the run after some calls, wherever in a chunk it is."""

    def __init__(self, calls: int) -> None:
        super().__init__(lennard_jones, "Lennard-Jones")
        self.calls = calls

    def __call__(self, positions: np.ndarray) -> Evaluation:
        self.calls -= 1
        if not self.calls:
            raise Killed
        return super().__call__(positions)


@pytest.mark.parametrize("thermostat", ["none", "langevin"])
def test_a_broken_run_goes_on_to_the_same_bits(tmp_path: Path, thermostat: str) -> None:
    run(tmp_path / "whole", thermostat=thermostat)
    for calls in (30, 70, 25, 60):
        with pytest.raises(Killed):
            run(tmp_path / "broken", Fragile(calls), thermostat=thermostat)
    run(tmp_path / "broken", thermostat=thermostat)
    same_run(tmp_path / "whole", tmp_path / "broken")


def test_a_killed_process_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"steps": 4000, "time_step": 0.5}
    run(tmp_path / "whole", Wells(argon().positions), **changes)
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[2]);"
        "import test_runs as t;"
        "t.run(Path(sys.argv[1]), t.Wells(t.argon().positions), steps=4000, time_step=0.5)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "killed"), str(Path(__file__).parent)]
    process = subprocess.Popen(command)
    while not chunk_path(tmp_path / "killed", 3).exists():
        assert process.poll() is None
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert len(read_trajectory(tmp_path / "killed").time) < 401
    run(tmp_path / "killed", Wells(argon().positions), **changes)
    same_run(tmp_path / "whole", tmp_path / "killed")


class Sick(Wells):
    """Gives no numbers for the second replica after some calls, while there are three."""

    def __init__(self) -> None:
        super().__init__(argon().positions)
        self.calls = 0

    def __call__(self, positions: np.ndarray) -> Evaluation:
        energies, forces = super().__call__(positions)
        self.calls += 1
        if self.calls == 50 and len(positions) == 3:
            energies[1] = np.nan
        return Evaluation(energies, forces)


def test_a_replica_that_fails_costs_itself_alone(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"equilibration": 0, "time_step": 0.1, "chunk": 200}
    run(tmp_path / "well", Wells(argon().positions), **changes)
    run(tmp_path / "sick", Sick(), **changes)
    well, sick = read_trajectory(tmp_path / "well"), read_trajectory(tmp_path / "sick")
    assert [each.state for each in sick.status] == ["finished", "failed", "finished"]
    assert sick.status[1].time == pytest.approx(4.9)
    assert "not finite" in sick.status[1].reason
    assert np.isnan(sick.positions[5:, 1]).all()
    assert np.isfinite(sick.positions[:5]).all()
    np.testing.assert_array_equal(sick.positions[:, [0, 2]], well.positions[:, [0, 2]])


@pytest.mark.parametrize(
    ("atoms", "words"),
    [
        (Atoms("Ar2", [[0, 0, 0], [0, 0, 0.1]]), "0.10 Å apart"),
        (Atoms("Ar", [[0, 0, np.nan]]), "not finite"),
        (Atoms(), "no atoms"),
    ],
)
def test_what_cannot_start_is_refused(tmp_path: Path, atoms: Atoms, words: str) -> None:
    with pytest.raises(RunError, match=words):
        run_dynamics(tmp_path, atoms, Wells(), RunSettings(steps=1))


def test_another_run_is_not_overwritten(tmp_path: Path) -> None:
    run(tmp_path)
    with pytest.raises(RunError, match="other settings"):
        run(tmp_path, seed=1)


def test_a_full_disk_leaves_what_was_there(small_disk: Path) -> None:
    changes: dict[str, Any] = {"steps": 20_000, "time_step": 0.1, "every": 1, "equilibration": 0}
    with pytest.raises(MolcrystError, match="the disk is full"):
        run(small_disk / "run", Wells(argon().positions), **changes)
    assert len(read_trajectory(small_disk / "run").time) > 40


def test_what_is_no_run_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"run.json is missing"):
        read_trajectory(tmp_path)
