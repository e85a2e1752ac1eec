"""The frames of a dataset as the truth about a molecule: what dynamics should come to.

Frames of ``xtb`` are as good a reference as dynamics run for the purpose: the same level of theory
that models of it have learnt, the temperature of the transfer benchmark, Langevin dynamics of fifty
or more trajectories from different velocities, with 50 fs between frames. Replicas at constant
energy that start from a thermostat sample the same canonical ensemble, all of them together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from ase import Atoms

from molcryst_bench.base.errors import StoreError
from molcryst_bench.dynamics.coordinates import CoordinateClass
from molcryst_bench.dynamics.samples import Sample, as_units
from molcryst_bench.graphs.similarity.molecules import molecule_of
from molcryst_bench.graphs.store import open_store
from molcryst_bench.training.task import Task

BLOCKS = 20  # of consecutive frames, which are resampled
_SAMPLED_OTHERWISE = {
    "rmd17": "frames of MD17, from dynamics at another level (PBE+vdW-TS) than the labels",
    "md17": "frames of MD17",
}


@dataclass(frozen=True)
class Reference:
    """Frames of one molecule in the order of time."""

    numbers: np.ndarray  # (atoms,)
    positions: np.ndarray  # (frames, atoms, 3) Å
    forces: np.ndarray  # (frames, atoms, 3) in the unit of the task
    unseen: np.ndarray  # (frames,) whether models have not been trained or chosen with them
    words: str  # what these frames are

    def structures_at(self, rows: np.ndarray) -> list[Atoms]:
        """Return some frames."""
        return [Atoms(self.numbers, place) for place in self.positions[rows]]

    def sample(self, of: CoordinateClass, period: float | None) -> Sample:
        """Return the values of a class in blocks of consecutive frames."""
        return Sample(as_units(of.values(self.positions), BLOCKS), period)

    def typical(self, like: Atoms) -> Atoms:
        """Return the first frame in which the bonds are those of the molecule.

        Args:
            like: a geometry of it at rest; its atoms may be in another order.

        Raises:
            StoreError: if there is none, since this is another molecule.
        """
        wanted = molecule_of(like).constitution
        for place in self.positions:
            frame = Atoms(self.numbers, place)
            if molecule_of(frame).constitution == wanted:
                return frame
        raise StoreError(f"no frame has the bonds of {like.get_chemical_formula()}: {self.words}")


def read_reference(store_path: Path, task: Task, molecule: str) -> Reference | None:
    """Read all frames of a molecule, or nothing where the dataset does not have it.

    Args:
        store_path: of the dataset that models were trained on.
        task: that they were trained for.
        molecule: the name of a group of the dataset.
    """
    store = open_store(store_path)
    rows = _rows_of(store.ids, molecule)
    if not rows.size:
        return None
    flat = store.graphs.take(torch.from_numpy(rows))
    atoms = int(flat.atoms[0])
    shape = (len(rows), atoms, 3)
    split = store.split(task.split)
    test = np.isin(rows, split.rows("test").numpy())
    return Reference(
        numbers=flat.atomic_number[:atoms].astype(np.int64),
        positions=flat.position.reshape(shape).astype(np.float64),
        forces=flat.node_targets[task.forces].numpy().reshape(shape),
        unseen=test if molecule == task.group else np.ones(len(rows), bool),
        words=_SAMPLED_OTHERWISE.get(task.dataset, f"frames of {task.dataset}"),
    )


def _rows_of(ids: Sequence[str] | np.ndarray, molecule: str) -> np.ndarray:
    """Return the rows of a molecule in the order of trajectories and time."""
    rows = [row for row, name in enumerate(ids) if str(name).partition("/")[0] == molecule]
    return np.array(sorted(rows, key=lambda row: str(ids[row])), dtype=np.int64)
