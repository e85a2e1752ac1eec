"""rMD17 made by hand: a few frames of two molecules, in split files and in an archive."""

from __future__ import annotations

import io
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import handmade
import numpy as np
from ase.build import molecule

from molcryst_bench.base.executors import InlineExecutor
from molcryst_bench.graphs.build import BuildRequest, DatasetSettings, build_store
from molcryst_bench.graphs.draw import draw_split
from molcryst_bench.graphs.split import save_split
from molcryst_bench.graphs.store import GraphStore, open_store
from molcryst_bench.sources.card import PublishedSplit, load_card
from molcryst_bench.sources.md17 import Archive, Labels, SplitFiles
from molcryst_bench.sources.record import Source

LABELS = {
    "rmd17": Labels("energies", "forces"),
    "md17": Labels("old_energies", "old_forces"),
}
ENERGY = {"ethanol": -97_082.387, "benzene": -145_434.637}  # kcal/mol
_SHAPES = {"ethanol": "CH3CH2OH", "benzene": "C6H6"}
RECIPE = PublishedSplit(method="published", valid=2, description="")

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Trajectory:
    """All frames of one molecule, in no particular order, as one npz file has them."""

    name: str
    arrays: Arrays

    def at(self, times: Sequence[int]) -> Arrays:
        """Return the arrays of these frames, in this order."""
        rows = [self.arrays["old_indices"].tolist().index(time) for time in times]
        return {k: v if k == "nuclear_charges" else v[rows] for k, v in self.arrays.items()}


def make_trajectory(name: str, frames: int = 30) -> Trajectory:
    generator = np.random.default_rng(len(name))
    atoms = molecule(_SHAPES[name])
    vectors = (frames, len(atoms), 3)
    energies = ENERGY[name] + generator.normal(scale=4, size=frames)
    arrays = {
        "nuclear_charges": atoms.numbers.astype(np.uint8),
        "coords": atoms.positions + generator.normal(scale=0.05, size=vectors),
        "energies": energies,
        "forces": generator.normal(scale=30, size=vectors),
        "old_indices": generator.permutation(100 * np.arange(frames)),
        "old_energies": energies - 120 + generator.normal(scale=0.1, size=frames),
        "old_forces": generator.normal(scale=30, size=vectors),
    }
    return Trajectory(name, arrays)


ETHANOL, BENZENE = make_trajectory("ethanol"), make_trajectory("benzene")
# Split 02 shares the frames 300 and 1500 with split 01; the archive has more than all splits.
SPLIT_FILES: dict[str, Arrays] = {
    "rmd17_ethanol_train_01.npz": ETHANOL.at([500, 0, 300, 2900, 1100, 700]),
    "rmd17_ethanol_test_01.npz": ETHANOL.at([200, 1500, 900]),
    "rmd17_ethanol_train_02.npz": ETHANOL.at([1500, 1600, 100]),
    "rmd17_ethanol_test_02.npz": ETHANOL.at([300, 2800]),
    "rmd17_benzene_train_01.npz": BENZENE.at([400, 2000, 100, 600, 800]),
    "rmd17_benzene_test_01.npz": BENZENE.at([1000, 300]),
}
TIMES = {
    "benzene": [100, 300, 400, 600, 800, 1000, 2000],
    "ethanol": [0, 100, 200, 300, 500, 700, 900, 1100, 1500, 1600, 2800, 2900],
}
IDS = [f"{name}/{time:06d}" for name, times in TIMES.items() for time in times]


def frame_of(identity: str) -> Arrays:
    """Return the arrays of one frame."""
    name, _, time = identity.partition("/")
    found = {"ethanol": ETHANOL, "benzene": BENZENE}[name].at([int(time)])
    return {k: v if k == "nuclear_charges" else v[0] for k, v in found.items()}


def npz(arrays: Mapping[str, np.ndarray]) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def split_files(
    folder: Path, dataset: str = "rmd17", changed: Mapping[str, bytes] | None = None
) -> SplitFiles:
    """Write the split files, some with other contents, and return their source."""
    folder.mkdir(parents=True, exist_ok=True)
    contents = {name: npz(arrays) for name, arrays in SPLIT_FILES.items()} | dict(changed or {})
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    files = tuple(handmade.raw_file(folder / name) for name in contents)
    return SplitFiles(LABELS[dataset], files)


def archive(
    folder: Path, dataset: str = "rmd17", members: Mapping[str, bytes] | None = None
) -> Archive:
    """Write the archive, and beside it a split that lists the frames of the split files."""
    if members is None:
        members = archive_members()
    path = handmade.write_tar(folder / "rmd17.tar.bz2", members.items())
    listing = folder / "01.parquet"
    save_split(draw_split("01", RECIPE, IDS, dict.fromkeys(IDS, "train")), listing)
    return Archive(LABELS[dataset], listing, (handmade.raw_file(path),))


def archive_members() -> dict[str, bytes]:
    return {
        "rmd17/readme.txt": b"read me",
        "rmd17/npz_data/rmd17_ethanol.npz": npz(ETHANOL.arrays),
        "rmd17/npz_data/rmd17_benzene.npz": npz(BENZENE.arrays),
        "rmd17/npz_data/rmd17_unobtainium.npz": b"of no interest",
    }


def paths_of(source: Source, folder: Path) -> dict[str, Path]:
    return {file.name: folder / file.name for file in source.files}


def build(source: Source, folder: Path, path: Path, dataset: str = "rmd17") -> GraphStore:
    """Build a store from the files in ``folder``, although some records may be unusable."""
    paths = paths_of(source, folder)
    request = BuildRequest(load_card(dataset), source, paths, DatasetSettings())
    build_store(request, path, InlineExecutor(), accept_quarantined=True)
    return open_store(path)


def make_project(root: Path) -> Path:
    """Make a project with the cards of both datasets."""
    for dataset in LABELS:
        (root / "datasets" / dataset).mkdir(parents=True)
        card = handmade.REPOSITORY / "datasets" / dataset / "card.yaml"
        shutil.copy(card, root / "datasets" / dataset)
    (root / "params.yaml").write_text("")
    return root
