"""What a run of molecular dynamics leaves in its folder, and reading it.

``run.json`` says what was to be done, ``chunk_00000.traj`` and so on hold frames as trajectories of
ASE, and ``state.npz`` is where the last whole chunk ended. An image holds all replicas that were
still running, side by side: the tag of an atom is the number of its replica, and ``info`` has the
time in fs and the potential energy of each replica in eV.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple
from zipfile import BadZipFile

import numpy as np
from ase import Atoms, units
from ase.io.trajectory import TrajectoryReader, TrajectoryWriter

from molcryst_bench.base.errors import RunError
from molcryst_bench.base.files import whole_file

RUN, STATE = "run.json", "state.npz"
FORMAT_VERSION = 1  # of run.json and what lies beside it


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
        found: np.ndarray = 2 * self.kinetic / (self.degrees_of_freedom * units.kB)
        return found

    def atoms(self, frame: int, replica: int = 0) -> Atoms:
        """Return one frame of one replica."""
        place = self.positions[frame, replica]
        return Atoms(self.numbers, place, masses=self.masses, cell=self.cell, pbc=self.pbc)


def chunk_path(folder: Path, number: int) -> Path:
    """Return where a chunk of frames lies."""
    return folder / f"chunk_{number:05d}.traj"


class FrameWriter:
    """Keeps the frames of a chunk until they are written."""

    def __init__(self, structure: Atoms) -> None:
        self.structure = structure
        self.images: list[Atoms] = []

    def add(
        self,
        time: float,
        replicas: np.ndarray,
        positions: np.ndarray,
        velocities: np.ndarray,
        potential: np.ndarray,
    ) -> None:
        """Keep a frame.

        Args:
            time: fs.
            replicas: (running,) their numbers.
            positions: (running, atoms, 3) Å.
            velocities: (running, atoms, 3) Å by ASE's unit of time.
            potential: (running,) eV.
        """
        count, atoms = positions.shape[:2]
        image = Atoms(
            np.tile(self.structure.numbers, count),
            positions.reshape(-1, 3),
            masses=np.tile(self.structure.get_masses(), count),
            cell=self.structure.cell,
            pbc=self.structure.pbc,
            tags=np.repeat(replicas, atoms),
            info={"time": time, "potential": potential.tolist()},
        )
        image.set_velocities(velocities.reshape(-1, 3))
        self.images.append(image)

    def write(self, path: Path) -> None:
        """Write all frames, whole or not at all."""
        with whole_file(path) as partial, TrajectoryWriter(partial, "w") as writer:
            for image in self.images:
                writer.write(image)


def read_trajectory(folder: str | Path) -> Trajectory:
    """Read all whole chunks of a run, be it finished, killed or still going on.

    Raises:
        RunError: if there is no run in the folder, or a file of it is damaged.
    """
    path = Path(folder)
    settings = read_run(path)
    facts = _facts(path / STATE)
    status = tuple(ReplicaStatus(*each) for each in facts["status"])
    structure = structure_in(settings)
    images = [image for number in range(facts["chunks"]) for image in _chunk(path, number)]
    shape = (len(images), len(status), len(structure), 3)
    positions, velocities = np.full(shape, np.nan), np.full(shape, np.nan)
    potential = np.full(shape[:2], np.nan)
    for frame, image in enumerate(images):
        replicas = image.get_tags()[:: len(structure)]
        positions[frame, replicas] = image.positions.reshape(-1, *shape[2:])
        velocities[frame, replicas] = image.get_velocities().reshape(-1, *shape[2:])
        potential[frame, replicas] = image.info["potential"]
    masses = structure.get_masses()
    return Trajectory(
        numbers=structure.numbers.astype(np.int64),
        masses=masses,
        time=np.array([image.info["time"] for image in images]),
        positions=positions,
        velocities=velocities * units.fs,
        potential=potential,
        kinetic=0.5 * np.einsum("frai,frai,a->fr", velocities, velocities, masses),
        degrees_of_freedom=settings["degrees_of_freedom"],
        status=status,
        settings=settings,
        cell=structure.cell.array,
        pbc=structure.pbc,
    )


def read_run(folder: Path) -> dict[str, Any]:
    """Read ``run.json``.

    Raises:
        RunError: if it is missing or damaged, or of a version that this program does not read.
    """
    path = folder / RUN
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        version = found["format_version"]
    except FileNotFoundError:
        raise RunError(f"{folder} holds no molecular dynamics: {RUN} is missing") from None
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path} is damaged: {error}") from error
    if version != FORMAT_VERSION:
        problem = f"{path} has format version {version}"
        raise RunError(f"{problem}, this program reads {FORMAT_VERSION}")
    return found


def structure_in(settings: dict[str, Any]) -> Atoms:
    """Return the structure at the start, as ``run.json`` has it."""
    return Atoms(**settings["structure"])


def _facts(path: Path) -> dict[str, Any]:
    """Read what the state says beside its arrays."""
    if not path.exists():
        raise RunError(f"{path.parent} has no whole chunk yet: wait, or run it again")
    try:
        with np.load(path, allow_pickle=False) as found:
            facts: dict[str, Any] = json.loads(str(found["facts"]))
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise RunError(f"{path} is damaged: {error}") from error
    return facts


def _chunk(folder: Path, number: int) -> list[Atoms]:
    path = chunk_path(folder, number)
    try:
        with TrajectoryReader(path) as reader:
            return list(reader)
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise RunError(f"{path} is missing or damaged: {error}") from error
