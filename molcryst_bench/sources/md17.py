"""Molecular dynamics of ten molecules: MD17, and rMD17 with the same frames computed anew.

The files of rMD17 hold the labels of both (Chmiela et al. 2017; Christensen and von Lilienfeld
2020). The authors of rMD17 publish five splits with 1,000 frames each to train and to test on:
these frames are the dataset, whether they come from the small files of the splits or from the
archive of all frames.
"""

from __future__ import annotations

import bz2
import io
import re
import tarfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from pydantic import Field

from molcryst_bench.base.errors import SourceError
from molcryst_bench.base.project import dataset_folder
from molcryst_bench.base.settings import Settings
from molcryst_bench.sources.card import load_card
from molcryst_bench.sources.fetch import RawFile
from molcryst_bench.sources.npz import read_npz
from molcryst_bench.sources.record import BadRecordError, Dataset, RawRecord, Record

_LISTING = Path(__file__).with_name("md17.yaml")
_SPLIT_FILE = re.compile(r"rmd17_([a-z]+)_(train|test)_(\d\d)\.npz")
_ARCHIVE_MEMBER = re.compile(r"rmd17_([a-z]+)\.npz")
_ARCHIVE = "rmd17.tar.bz2"
_NUMBERS, _POSITIONS, _TIMES = "nuclear_charges", "coords", "old_indices"
_MOST_FRAMES = 1_000_000  # ids have six digits, so that they sort like numbers
_LARGEST_MEMBER = 1 << 29  # bytes; that of azobenzene, the largest molecule, has a third of it
_NOT_AN_ARCHIVE = (tarfile.TarError, EOFError, OSError, ValueError)


class Labels(NamedTuple):
    """Names of the arrays that hold the labels."""

    energy: str
    forces: str


class Frame(NamedTuple):
    """One frame as it stands in a file."""

    numbers: np.ndarray  # (atoms,)
    positions: np.ndarray  # (atoms, 3) Å
    energy: float  # kcal/mol
    forces: np.ndarray  # (atoms, 3) kcal/mol/Å
    differs_from: str = ""  # a file that has the same frame with other numbers


@dataclass(frozen=True)
class SplitFiles:
    """The published training and test sets: npz files with 1,000 frames of a molecule each."""

    labels: Labels
    files: tuple[RawFile, ...]
    name: str = "npz"

    def raw_records(self, paths: Mapping[str, Path]) -> Iterator[RawRecord]:
        """Yield each frame once, by molecule and time."""
        names: defaultdict[str, list[str]] = defaultdict(list)
        for file in self.files:
            names[_parts_of(file.name)[0]].append(file.name)
        for molecule in sorted(names):
            frames = [_read_file(paths[name], self.labels) for name in sorted(names[molecule])]
            yield from _records(molecule, frames)

    def parse(self, raw: RawRecord) -> Record:
        """Make a record of a frame."""
        return _parse(raw)

    def published_splits(self, paths: Mapping[str, Path]) -> dict[str, dict[str, str]]:
        """Return ``train`` or ``test`` for each frame of each split."""
        splits: defaultdict[str, dict[str, str]] = defaultdict(dict)
        for file in self.files:
            molecule, subset, split = _parts_of(file.name)
            for time in _read_file(paths[file.name], self.labels).times.tolist():
                identity = _identity(molecule, time)
                if splits[split].setdefault(identity, subset) != subset:
                    problem = f"frame {time} is in the training set and in the test set"
                    raise SourceError(f"{paths[file.name]}: {problem}")
        return dict(splits)


@dataclass(frozen=True)
class Archive:
    """The release on figshare: one npz file for each molecule with all its frames, in a tar."""

    labels: Labels
    listing: Path  # a split, whose ids say which frames to take
    files: tuple[RawFile, ...]
    name: str = "archive"

    def raw_records(self, paths: Mapping[str, Path]) -> Iterator[RawRecord]:
        """Yield the frames that the published splits have, by molecule and time."""
        path = paths[self.files[0].name]
        wanted = _listed_times(self.listing)
        found: defaultdict[str, list[_Frames]] = defaultdict(list)
        for molecule, content in _archive_members(path):
            if molecule in wanted:
                frames = _read_frames(io.BytesIO(content), f"rmd17_{molecule}.npz", self.labels)
                found[molecule].append(frames.at(wanted[molecule]))
        for molecule in sorted(wanted):
            _check_complete(path, molecule, wanted[molecule], found[molecule])
            yield from _records(molecule, found[molecule])

    def parse(self, raw: RawRecord) -> Record:
        """Make a record of a frame."""
        return _parse(raw)


def rmd17() -> Dataset:
    """Return the importer of rMD17."""
    return _importer("rmd17")


def md17() -> Dataset:
    """Return the importer of MD17, whose labels stand beside those of rMD17."""
    return _importer("md17")


class _Published(Settings):
    """What a file is known by."""

    size: int = Field(gt=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class _Listing(Settings):
    """The content of ``md17.yaml``."""

    splits_address: str
    archive_address: str
    archive: _Published
    splits: dict[str, _Published]


def _importer(dataset: str) -> Dataset:
    listing = _Listing.load(_LISTING)
    targets = load_card(dataset).targets
    labels = Labels(**{name: target.raw.column for name, target in targets.items() if target.raw})
    splits = tuple(
        _raw_file(name, published, listing.splits_address + name)
        for name, published in sorted(listing.splits.items())
    )
    archive = _raw_file(_ARCHIVE, listing.archive, listing.archive_address)
    frames = dataset_folder(dataset) / "splits" / "01.parquet"
    return Dataset(dataset, (SplitFiles(labels, splits), Archive(labels, frames, (archive,))))


def _raw_file(name: str, published: _Published, address: str) -> RawFile:
    checksum = f"sha256:{published.sha256}"
    return RawFile(name, checksum, published.size, (address,), mirror=f"rmd17/{name}")


def _parts_of(name: str) -> tuple[str, str, str]:
    """Return molecule, subset and split that the name of a file tells."""
    match = _SPLIT_FILE.fullmatch(name)
    if match is None:
        raise SourceError(f"{name} is not named like rmd17_ethanol_train_01.npz")
    molecule, subset, split = match.groups()
    return molecule, subset, split


@dataclass(frozen=True)
class _Frames:
    """Frames of one molecule in one file."""

    file: str
    numbers: np.ndarray  # (atoms,)
    times: np.ndarray  # (frames,) numbers of the frames in the trajectory of MD17
    positions: np.ndarray  # (frames, atoms, 3) Å
    energy: np.ndarray  # (frames,) kcal/mol
    forces: np.ndarray  # (frames, atoms, 3) kcal/mol/Å

    def at(self, times: np.ndarray) -> _Frames:
        """Return the frames with these times."""
        rows = np.flatnonzero(np.isin(self.times, times))
        columns = (self.times, self.positions, self.energy, self.forces)
        return _Frames(self.file, self.numbers, *(column[rows] for column in columns))

    def frame(self, row: int) -> Frame:
        return Frame(self.numbers, self.positions[row], float(self.energy[row]), self.forces[row])


def _read_file(path: Path, labels: Labels) -> _Frames:
    with path.open("rb") as file:
        return _read_frames(file, path.name, labels)


def _read_frames(file: BinaryIO, name: str, labels: Labels) -> _Frames:
    """Read the frames of one npz file and check that its arrays belong together."""
    arrays = read_npz(file, (_NUMBERS, _TIMES, _POSITIONS, *labels), name)
    atoms, frames = arrays[_NUMBERS].size, arrays[_TIMES].size
    _check_integers(name, _NUMBERS, arrays[_NUMBERS], range(1, len(chemical_symbols)))
    _check_integers(name, _TIMES, arrays[_TIMES], range(_MOST_FRAMES))
    vectors = (frames, atoms, 3)
    _check_numbers(name, _POSITIONS, arrays[_POSITIONS], vectors)
    _check_numbers(name, labels.energy, arrays[labels.energy], (frames,))
    _check_numbers(name, labels.forces, arrays[labels.forces], vectors)
    return _Frames(name, *arrays.values())


def _check_integers(name: str, key: str, array: np.ndarray, allowed: range) -> None:
    if array.ndim != 1 or array.dtype.kind not in "iu" or not array.size:
        raise SourceError(f"{name}: {key} is not a list of integers")
    if array.min() < allowed.start or array.max() >= allowed.stop:
        raise SourceError(f"{name}: {key} is not from {allowed.start:,} to {allowed.stop - 1:,}")


def _check_numbers(name: str, key: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise SourceError(f"{name}: {key} has the shape {array.shape} instead of {shape}")
    if array.dtype.kind != "f" or array.dtype.itemsize != 8:
        raise SourceError(f"{name}: {key} is {array.dtype}, which is not double precision")


def _records(molecule: str, files: Sequence[_Frames]) -> Iterator[RawRecord]:
    """Yield each frame once in the order of time, whichever files have it."""
    for other in files[1:]:
        if not np.array_equal(other.numbers, files[0].numbers):
            raise SourceError(f"{other.file} and {files[0].file} have different elements")
    times = np.concatenate([frames.times for frames in files])
    places = [(frames, row) for frames in files for row in range(len(frames.times))]
    order = np.argsort(times, kind="stable")
    starts = np.flatnonzero(np.diff(times[order])) + 1
    for copies in np.split(order, starts):
        (frames, row), *others = (places[copy] for copy in copies)
        frame = frames.frame(row)
        differing = (o.file for o, other in others if not _same(frame, o.frame(other)))
        frame = frame._replace(differs_from=next(differing, ""))
        yield RawRecord(frames.file, _identity(molecule, times[copies[0]]), frame)


def _same(one: Frame, other: Frame) -> bool:
    return (
        np.array_equal(one.positions, other.positions, equal_nan=True)
        and np.array_equal(one.energy, other.energy, equal_nan=True)
        and np.array_equal(one.forces, other.forces, equal_nan=True)
    )


def _identity(molecule: str, time: int) -> str:
    return f"{molecule}/{time:06d}"


def _parse(raw: RawRecord) -> Record:
    frame: Frame = raw.payload
    if frame.differs_from:
        raise BadRecordError(f"{frame.differs_from} has other numbers for this frame")
    atoms = Atoms(frame.numbers, positions=frame.positions)
    return Record(raw.id, atoms, {"energy": frame.energy, "forces": frame.forces})


def _archive_members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield molecule and content of the npz files in the archive, in its order."""
    try:
        # tarfile takes a truncated stream for the end of the archive; bz2 does not.
        with bz2.open(path) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
            for member in tar:
                match = _ARCHIVE_MEMBER.fullmatch(Path(member.name).name)
                file = tar.extractfile(member) if match and member.isfile() else None
                if match and file:
                    if member.size > _LARGEST_MEMBER:
                        raise ValueError(f"{member.name} claims to have {member.size:,} bytes")
                    yield match[1], file.read()
    except _NOT_AN_ARCHIVE as error:
        raise SourceError(f"{path} is not a complete archive of rMD17: {error}") from error


def _listed_times(listing: Path) -> dict[str, np.ndarray]:
    """Return which frames of each molecule a split knows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    times: defaultdict[str, list[int]] = defaultdict(list)
    try:
        for identity in pq.read_table(listing, columns=["id"])["id"].to_pylist():
            molecule, _, time = identity.partition("/")
            times[molecule].append(int(time))
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        problem = f"{listing} does not say which frames of the archive to take ({error})"
        raise SourceError(f"{problem}: restore it from git") from error
    return {molecule: np.array(values) for molecule, values in times.items()}


def _check_complete(path: Path, molecule: str, wanted: np.ndarray, found: list[_Frames]) -> None:
    there = np.concatenate([np.empty(0, np.int64), *(frames.times for frames in found)])
    missing = np.setdiff1d(wanted, there)
    if len(missing):
        problem = f"lacks {len(missing):,} frames of the published splits"
        raise SourceError(f"{path} {problem}, the first is {_identity(molecule, missing[0])}")
