"""A run of molecular dynamics in chunks, each of which follows from the state before it alone."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms, units
from ase.neighborlist import neighbor_list

from molcryst_bench.base.errors import RunError, StoppedError
from molcryst_bench.base.files import write_json
from molcryst_bench.base.locks import exclusive
from molcryst_bench.base.stopping import told_to_stop
from molcryst_bench.dynamics.force_field import ForceField
from molcryst_bench.dynamics.motion import Langevin, Motion, VelocityVerlet
from molcryst_bench.dynamics.settings import RunSettings
from molcryst_bench.dynamics.state import State, load_state, save_state
from molcryst_bench.dynamics.trajectory import (
    FORMAT_VERSION,
    RUN,
    FrameWriter,
    ReplicaStatus,
    chunk_path,
    read_run,
)
from molcryst_bench.dynamics.velocities import at_rest, degrees_of_freedom
from molcryst_bench.dynamics.watch import Watch
from molcryst_bench.sources.record import BadRecordError

_CLOSEST = 0.4  # Å, less than any bond
_LOOK = 10  # steps between two looks at bonds and energies
_UNITS = {"positions": "Å", "time": "fs", "energy": "eV", "forces": "eV/Å", "temperature": "K"}


class Progress(NamedTuple):
    """How far a run is."""

    step: int  # negative while equilibrating
    temperature: float  # K, mean over the replicas that run
    drift: float  # meV/atom since the first frame, mean of the same; NaN with a thermostat
    running: int  # replicas


def run_dynamics(
    folder: Path,
    structure: Atoms,
    field: ForceField,
    settings: RunSettings,
    progress: Callable[[Progress], None] = lambda progress: None,
) -> State:
    """Run replicas of a structure, or go on where a run of the same settings ended.

    A run that was killed goes on with its last whole chunk and ends with the same bits as one that
    was not, if the force field gives equal forces for equal positions. A replica whose energy or
    forces are no numbers, whose bond breaks or whose energy runs away stops, the others go on.

    Args:
        folder: of this run alone.
        structure: where all replicas begin, in Å.
        field: of the forces.
        settings: of the run.
        progress: told now and then.

    Returns:
        the state at the end.

    Raises:
        RunError: if the folder holds another run, or the structure has atoms in one place.
        StoppedError: if the process was told to stop; the same call goes on.
        MolcrystError: if the disk is full.
    """
    check_structure(structure)
    with exclusive(folder / ".lock"):
        _check_or_write(folder, _run_record(structure, field, settings))
        state = load_state(folder) or State.first(structure, settings)
        work = _Work(folder, structure, field, settings, progress)
        while not work.is_done(state):
            state = work.next_chunk(state)
            if told_to_stop() and not work.is_done(state):
                raise StoppedError(f"{folder}: stopped at step {state.step:,}; run again to go on")
    return state


def check_structure(structure: Atoms) -> None:
    """Refuse what no dynamics can start from.

    Raises:
        RunError: if there is no atom, a coordinate is no number, or two atoms are in one place.
    """
    if not len(structure) or not np.isfinite(structure.positions).all():
        raise RunError("the structure has no atoms, or a coordinate that is not finite")
    first, second, distance = neighbor_list("ijd", structure, _CLOSEST)
    if len(distance):
        pair = distance.argmin()
        ends = " and ".join(f"{structure.symbols[e[pair]]}{e[pair]}" for e in (first, second))
        problem = f"atoms {ends} are {distance[pair]:.2f} Å apart"
        raise RunError(f"{problem}: no two atoms are closer than {_CLOSEST} Å; mend the structure")


class _Work:
    def __init__(
        self,
        folder: Path,
        structure: Atoms,
        field: ForceField,
        settings: RunSettings,
        progress: Callable[[Progress], None],
    ) -> None:
        self.folder, self.structure, self.field = folder, structure, field
        self.settings, self.progress = settings, progress
        self.masses = structure.get_masses()
        thermal = (field, self.masses, settings.time_step, settings.temperature, settings.friction)
        self.langevin = Langevin(*thermal)
        self.verlet = VelocityVerlet(field, self.masses, settings.time_step)

    def is_done(self, state: State) -> bool:
        whole = state.step >= self.settings.steps and state.chunks > 0
        return whole or not len(state.running)

    def next_chunk(self, state: State) -> State:
        """Integrate to the end of the next chunk, and write frames before the state."""
        end = self._end_of_chunk(state.step)
        frames = FrameWriter(self.structure)
        after = _Chunk(self, state, end, frames).integrate()
        if state.step >= 0:
            frames.write(chunk_path(self.folder, state.chunks))
            after = replace(after, chunks=state.chunks + 1)
        save_state(self.folder, after)
        return after

    def _end_of_chunk(self, step: int) -> int:
        end = (step // self.settings.chunk + 1) * self.settings.chunk
        return min(end, self.settings.steps if step >= 0 else 0)


class _Chunk:
    """One chunk; its outcome is a function of the state at its start."""

    def __init__(self, work: _Work, state: State, end: int, frames: FrameWriter) -> None:
        self.work, self.settings, self.frames = work, work.settings, frames
        self.state, self.step, self.end = state, state.step, end
        self.warm = self.step < 0 or self.settings.thermostat == "langevin"
        self.integrator = work.langevin if self.warm else work.verlet
        self.degrees = degrees_of_freedom(work.structure, drifts=self.warm)
        self.watch = Watch(work.structure, self.settings.temperature, self.degrees)
        self.rows = state.running
        self.status = list(state.status)
        self.positions, self.velocities = state.positions.copy(), state.velocities.copy()
        self.start_energies = state.start_energies.copy()
        self.generators = _copies(state.generators)

    def integrate(self) -> State:
        """Take all steps of the chunk."""
        self.work.field.start(self.work.structure)
        self._settle()
        self.motion = self._begin()
        self._drop(self.watch.numbers(self.motion))
        if self.step == 0:
            self.start_energies[self.rows] = self._total()
            self._record()
        while self.step < self.end and len(self.rows):
            self._step()
        return self._after()

    def _settle(self) -> None:
        """Take drift and rotation out of what the thermostat leaves, before it is left alone."""
        if self.step == 0 and self.settings.equilibration and not self.warm:
            for row in self.rows:
                self.velocities[row] = at_rest(
                    self.work.structure, self.positions[row], self.velocities[row]
                )

    def _begin(self) -> Motion:
        place, speed = self.positions[self.rows], self.velocities[self.rows]
        return Motion.begin(place, speed, self.work.field)

    def _step(self) -> None:
        chance = [self.generators[row] for row in self.rows]
        try:
            self.integrator.step(self.motion, chance)
        except BadRecordError as error:
            self._give_up_lost(str(error))
            return
        self.step += 1
        looks = self.step % _LOOK == 0 or self.step == self.end
        start = None if self.warm else self.start_energies[self.rows]
        failed = self.watch.all(self.motion, start) if looks else self.watch.numbers(self.motion)
        self._drop(failed)
        if self.step % self.settings.every == 0 and len(self.rows):
            self._record()

    def _give_up_lost(self, reason: str) -> None:
        """End the replicas whose atoms have gone where no force field can follow."""
        place = np.abs(self.motion.positions)
        lost = ~(place.max((1, 2)) < 1e4) if len(place) else np.empty(0, bool)
        rows = np.flatnonzero(lost).tolist() or list(range(len(self.rows)))
        self.step += 1
        self._drop(dict.fromkeys(rows, reason))
        if len(self.rows):
            self.integrator.finish(self.motion)  # where the error has left the others

    def _drop(self, failed: dict[int, str]) -> None:
        """Stop replicas, given by their rows among those that run."""
        if not failed:
            return
        self._keep()
        for row, reason in failed.items():
            self.status[self.rows[row]] = ReplicaStatus("failed", self._time(), reason)
        kept = np.array([row for row in range(len(self.rows)) if row not in failed], np.int64)
        self.rows, self.motion = self.rows[kept], self.motion.only(kept)

    def _keep(self) -> None:
        self.positions[self.rows] = self.motion.positions
        self.velocities[self.rows] = self.motion.velocities

    def _record(self) -> None:
        motion = self.motion
        if self.step >= 0:
            place, speed = motion.positions.copy(), motion.velocities.copy()
            self.frames.add(self._time(), self.rows, place, speed, motion.energies)
        kinetic = float(motion.kinetic(self.work.masses).mean())
        temperature = 2 * kinetic / (max(self.degrees, 1) * units.kB)
        gain = np.nan if self.warm else float((self._total() - self._started()).mean())
        drift = 1e3 * gain / len(self.work.masses)
        self.work.progress(Progress(self.step, temperature, drift, len(self.rows)))

    def _total(self) -> np.ndarray:
        total: np.ndarray = self.motion.energies + self.motion.kinetic(self.work.masses)
        return total

    def _started(self) -> np.ndarray:
        started: np.ndarray = self.start_energies[self.rows]
        return started

    def _time(self) -> float:
        return self.step * self.settings.time_step

    def _after(self) -> State:
        self._keep()
        done = self.end >= self.settings.steps and self.state.step >= 0
        for row in self.rows:
            self.status[row] = ReplicaStatus("finished" if done else "running", self._time())
        return State(
            step=self.end,
            chunks=self.state.chunks,
            positions=self.positions,
            velocities=self.velocities,
            start_energies=self.start_energies,
            status=self.status,
            generators=self.generators,
        )


def _copies(generators: list[np.random.Generator]) -> list[np.random.Generator]:
    return [deepcopy(each) for each in generators]


def _run_record(structure: Atoms, field: ForceField, settings: RunSettings) -> dict[str, Any]:
    warm = settings.thermostat == "langevin"
    return {
        "format_version": FORMAT_VERSION,
        "settings": settings.model_dump(),
        "structure": {
            "numbers": structure.numbers.tolist(),
            "positions": structure.positions.tolist(),
            "masses": structure.get_masses().tolist(),
            "cell": structure.cell.array.tolist(),
            "pbc": structure.pbc.tolist(),
        },
        "forces": field.description(),
        "degrees_of_freedom": degrees_of_freedom(structure, drifts=warm),
        "units": _UNITS,
    }


def _check_or_write(folder: Path, record: dict[str, Any]) -> None:
    """Write what is to be done, or see that it is what was to be done before."""
    if not (folder / RUN).exists():
        write_json(folder / RUN, record)
        return
    known = read_run(folder)
    if known != record:
        differing = ", ".join(sorted(k for k in record if known.get(k) != record[k]))
        problem = f"{folder} holds a run with other {differing}"
        raise RunError(f"{problem}: choose another folder, or delete this one")
