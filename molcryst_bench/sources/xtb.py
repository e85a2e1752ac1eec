"""GFN2-xTB molecular dynamics of six molecules, computed here instead of fetched.

A raw file is one trajectory. It carries a digest of how it was made, so that one that was made
otherwise is never taken for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms

from molcryst_bench.base.code import code_digest
from molcryst_bench.base.errors import RunError, SourceError
from molcryst_bench.base.files import digest_of, whole_file
from molcryst_bench.base.locks import exclusive
from molcryst_bench.base.settings import read_yaml
from molcryst_bench.sources.fetch import RawFile
from molcryst_bench.sources.making import Making
from molcryst_bench.sources.npz import read_npz
from molcryst_bench.sources.record import Dataset, RawRecord, Record
from molcryst_bench.sources.simulate import RECIPE, Molecule, Recipe, Trajectory, simulate

STEPS_LIMIT = 1_000_000  # a frame's number is trajectory * STEPS_LIMIT + step
_STARTS = Path(__file__).with_name("xtb.yaml")
_STAMP = "recipe"
_REMAKE = "delete it and run again"


class Frame(NamedTuple):
    """One frame of a trajectory."""

    numbers: np.ndarray  # (atoms,)
    positions: np.ndarray  # (atoms, 3) Å
    energy: float  # eV
    forces: np.ndarray  # (atoms, 3) eV/Å


@dataclass(frozen=True)
class Simulation:
    """Trajectories of some molecules."""

    molecules: tuple[Molecule, ...]
    recipe: Recipe = RECIPE
    name: str = "tblite"
    files: tuple[RawFile, ...] = ()

    def make(self, folder: Path, making: Making) -> dict[str, Path]:
        """Run the trajectories that are not there yet, in parallel."""
        # What takes longest must not begin last, when other workers have nothing left to do.
        largest_first = sorted(self.molecules, key=lambda one: len(one.symbols), reverse=True)
        jobs = {
            folder / f"{molecule.name}_{number:04d}.npz": (molecule, number, self.recipe)
            for number in range(making.generation.trajectories)
            for molecule in largest_first
        }
        with exclusive(folder / ".making.lock"):
            missing = {path: job for path, job in jobs.items() if not _is_made(path, *job)}
            _run(missing, len(jobs), making)
        return {path.name: path for path in sorted(jobs)}

    def raw_records(self, paths: Mapping[str, Path]) -> Iterator[RawRecord]:
        """Yield the frames by molecule, trajectory and time."""
        for name, path in sorted(paths.items()):
            molecule, _, number = path.stem.rpartition("_")
            trajectory = _read(path)
            for row, step in enumerate(trajectory.steps.tolist()):
                identity = f"{molecule}/{int(number) * STEPS_LIMIT + step:010d}"
                yield RawRecord(name, identity, _frame(trajectory, row))

    def parse(self, raw: RawRecord) -> Record:
        """Make a record of a frame."""
        frame: Frame = raw.payload
        atoms = Atoms(frame.numbers, positions=frame.positions)
        return Record(raw.id, atoms, {"energy": frame.energy, "forces": frame.forces})


def importer() -> Dataset:
    """Return the importer of the dataset, which makes it."""
    return Dataset("xtb", (Simulation(starting_molecules()),))


def starting_molecules() -> tuple[Molecule, ...]:
    """Return the six molecules at minima of GFN2-xTB."""
    return tuple(
        Molecule(name, tuple(row[0] for row in rows), tuple(tuple(row[1:]) for row in rows))
        for name, rows in read_yaml(_STARTS).items()
    )


def write_trajectory(path: Path, molecule: Molecule, number: int, recipe: Recipe) -> None:
    """Run a trajectory and write it, whole or not at all."""
    arrays = simulate(molecule, number, recipe)._asdict()
    with whole_file(path) as partial, partial.open("wb") as file:
        np.savez(file, allow_pickle=False, recipe=_stamp(molecule, number, recipe), **arrays)


def _run(missing: dict[Path, tuple[Any, ...]], total: int, making: Making) -> None:
    running: set[Future[None]] = set()
    done = total - len(missing)
    try:
        for path, job in missing.items():
            running.add(making.executor.submit(write_trajectory, path, *job))
            done += _forget_finished(running, timeout=0)
            making.progress(done, total)
        while running:
            done += _forget_finished(running, timeout=None)
            making.progress(done, total)
    except BrokenExecutor as error:
        problem = "a worker process ended abruptly, perhaps for want of memory"
        advice = "Finished trajectories are kept: run the same command again"
        raise RunError(f"{problem}. {advice}, with fewer workers.") from error


def _forget_finished(running: set[Future[None]], timeout: float | None) -> int:
    """Drop what has finished, or raise its error; wait for one unless there is a timeout."""
    finished = wait(running, timeout, FIRST_COMPLETED).done
    for future in finished:
        future.result()
    running -= finished
    return len(finished)


def _stamp(molecule: Molecule, number: int, recipe: Recipe) -> str:
    """Identify a trajectory by all that it depends on, save the kind of processor."""
    code = code_digest(simulate.__module__)
    versions = {package: version(package) for package in ("ase", "tblite")}
    return digest_of([molecule, number, asdict(recipe), versions, code])


def _is_made(path: Path, molecule: Molecule, number: int, recipe: Recipe) -> bool:
    """Return whether a trajectory is there and was made in this way."""
    if not path.exists():
        return False
    stamp = _arrays(path, (_STAMP,))[_STAMP]
    return stamp.shape == () and str(stamp) == _stamp(molecule, number, recipe)


def _arrays(path: Path, keys: tuple[str, ...]) -> dict[str, np.ndarray]:
    with path.open("rb") as file:
        try:
            return read_npz(file, keys, str(path))
        except SourceError as error:
            raise SourceError(f"{error}; {_REMAKE}") from error


def _read(path: Path) -> Trajectory:
    """Read a trajectory and check that its arrays belong together."""
    arrays = _arrays(path, Trajectory._fields)
    atoms, frames = arrays["numbers"].size, arrays["steps"].size
    vectors = ("f8", (frames, atoms, 3))
    expected = {
        "numbers": ("i8", (atoms,)),
        "steps": ("i8", (frames,)),
        "positions": vectors,
        "energy": ("f8", (frames,)),
        "forces": vectors,
    }
    for key, (dtype, shape) in expected.items():
        if arrays[key].dtype != dtype or arrays[key].shape != shape:
            found = f"{arrays[key].dtype} {arrays[key].shape}"
            raise SourceError(f"{path}: {key} is {found}, not {dtype} {shape}; {_REMAKE}")
    return Trajectory(**arrays)


def _frame(trajectory: Trajectory, row: int) -> Frame:
    energy = float(trajectory.energy[row])
    return Frame(trajectory.numbers, trajectory.positions[row], energy, trajectory.forces[row])
