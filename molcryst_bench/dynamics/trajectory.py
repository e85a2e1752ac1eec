"""What a run of molecular dynamics leaves in its folder, and reading it.

``run.json`` says what was to be done, ``chunk_00000.traj`` and so on hold frames as trajectories of
ASE, and ``state.npz`` is where the last whole chunk ended. An image holds all replicas that were
still running, side by side: the tag of an atom is the number of its replica, and ``info`` has the
time in fs and the potential energy of each replica in eV.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from ase import Atoms, units

RUN, STATE = "run.json", "state.npz"


class ReplicaStatus(NamedTuple):
    """How far a replica has come."""

    state: Literal["running", "finished", "failed"]
    time: float  # fs, of its last step; of a failed one, when it failed
    reason: str = ""  # of the failure

    @property
    def failed(self) -> bool:
        """Whether it stopped before its time."""
        return self.state == "failed"


@dataclass(frozen=True)
class Trajectory:
    """Frames of all replicas of one structure, in Å, fs and eV.

    A replica that has failed has NaN in the frames from then on.
    """

    numbers: np.ndarray  # (atoms,) int64
    masses: np.ndarray  # (atoms,) u
    time: np.ndarray  # (frames,) fs from the end of the equilibration
    positions: np.ndarray  # (frames, replicas, atoms, 3) float64 Å; molecules are not wrapped
    velocities: np.ndarray | None  # (frames, replicas, atoms, 3) float64 Å/fs
    potential: np.ndarray  # (frames, replicas) float64 eV
    kinetic: np.ndarray  # (frames, replicas) float64 eV
    degrees_of_freedom: int  # 3 atoms - 6 of a molecule without drift and rotation
    status: tuple[ReplicaStatus, ...]  # of each replica
    settings: dict[str, Any]  # all of ``run.json``
    cell: np.ndarray  # (3, 3) Å; zero if not periodic
    pbc: np.ndarray  # (3,) bool

    @property
    def replicas(self) -> int:
        """How many there were at first."""
        return len(self.status)

    @property
    def temperature(self) -> np.ndarray:
        """Instantaneous temperatures, (frames, replicas) K."""
        return 2 * self.kinetic / (self.degrees_of_freedom * units.kB)

    def atoms(self, frame: int, replica: int = 0) -> Atoms:
        """Return one frame of one replica."""
        place = self.positions[frame, replica]
        return Atoms(self.numbers, place, masses=self.masses, cell=self.cell, pbc=self.pbc)


def chunk_path(folder: Path, number: int) -> Path:
    """Return where a chunk of frames lies."""
    return folder / f"chunk_{number:05d}.traj"


def read_trajectory(folder: str | Path) -> Trajectory:
    """Read all whole chunks of a run, be it finished, killed or still going on.

    Raises:
        RunError: if there is no run in the folder, or a file of it is damaged.
    """
    raise NotImplementedError
