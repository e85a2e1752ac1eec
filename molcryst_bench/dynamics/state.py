"""Where a run is: all that its next chunk depends on, to the last bit."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from ase import Atoms

from molcryst_bench.base.errors import RunError
from molcryst_bench.base.files import whole_file
from molcryst_bench.dynamics.settings import RunSettings
from molcryst_bench.dynamics.trajectory import STATE, ReplicaStatus
from molcryst_bench.dynamics.velocities import thermal_velocities

_ARRAYS = ("positions", "velocities", "start_energies")


@dataclass
class State:
    """All replicas at the end of a chunk."""

    step: int  # negative while equilibrating
    chunks: int  # of frames, written so far
    positions: np.ndarray  # (replicas, atoms, 3) Å
    velocities: np.ndarray  # (replicas, atoms, 3) Å by ASE's unit of time
    start_energies: np.ndarray  # (replicas,) eV, total at the first frame; NaN before
    status: list[ReplicaStatus]
    generators: list[np.random.Generator]

    @classmethod
    def first(cls, structure: Atoms, settings: RunSettings) -> State:
        """Set replicas in motion; each depends on the seed and on its number alone."""
        generators = [
            np.random.Generator(np.random.PCG64([settings.seed, replica]))
            for replica in range(settings.replicas)
        ]
        velocities = [thermal_velocities(structure, settings.temperature, g) for g in generators]
        begin = -settings.equilibration
        return cls(
            step=begin,
            chunks=0,
            positions=np.tile(structure.positions, (settings.replicas, 1, 1)),
            velocities=np.array(velocities),
            start_energies=np.full(settings.replicas, np.nan),
            status=[ReplicaStatus("running", begin * settings.time_step)] * settings.replicas,
            generators=generators,
        )

    @property
    def running(self) -> np.ndarray:
        """The numbers of the replicas that go on."""
        return np.flatnonzero([each.state == "running" for each in self.status])


def save_state(folder: Path, state: State) -> None:
    """Write a state, whole or not at all."""
    facts = {
        "step": state.step,
        "chunks": state.chunks,
        "status": state.status,
        "generators": [each.bit_generator.state for each in state.generators],
    }
    arrays = {name: getattr(state, name) for name in _ARRAYS}
    with whole_file(folder / STATE) as partial, partial.open("wb") as file:
        np.savez(file, allow_pickle=False, facts=json.dumps(facts), **arrays)


def load_state(folder: Path) -> State | None:
    """Read the state of a run, or nothing if it has none yet.

    Raises:
        RunError: if the file is damaged.
    """
    path = folder / STATE
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as found:
            arrays = {name: found[name] for name in _ARRAYS}
            facts = json.loads(str(found["facts"]))
        return State(
            step=facts["step"],
            chunks=facts["chunks"],
            status=[ReplicaStatus(*each) for each in facts["status"]],
            generators=[_generator(each) for each in facts["generators"]],
            **arrays,
        )
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile) as error:
        raise RunError(f"{path} is damaged: {error}; delete {folder} and run again") from error


def _generator(state: Any) -> np.random.Generator:
    bits = np.random.PCG64()
    bits.state = state
    return np.random.Generator(bits)
