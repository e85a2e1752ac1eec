"""Runs whose positions and velocities are written down, instead of integrated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import Atoms

from molcryst_bench.dynamics.trajectory import ReplicaStatus, Trajectory


def run_of(
    atoms: Atoms,
    positions: np.ndarray,
    velocities: np.ndarray | None = None,
    interval: float = 1.0,
    status: Sequence[ReplicaStatus] = (),
    **energies: np.ndarray,
) -> Trajectory:
    """Return a run with positions (frames, replicas, atoms, 3), a frame every ``interval`` fs."""
    frames, replicas = positions.shape[:2]
    zero = np.zeros((frames, replicas))
    length = frames * interval
    content: dict[str, Any] = {"potential": zero, "kinetic": zero} | energies
    return Trajectory(
        numbers=atoms.numbers.astype(np.int64),
        masses=atoms.get_masses(),
        time=interval * np.arange(1, frames + 1),
        positions=positions,
        velocities=velocities,
        degrees_of_freedom=max(1, 3 * len(atoms) - 6),
        status=tuple(status) or (ReplicaStatus("finished", length),) * replicas,
        settings={},
        cell=np.zeros((3, 3)),
        pbc=np.zeros(3, bool),
        **content,
    )


def canonical_frames(
    atoms: Atoms, frames: int, replicas: int, width: float = 0.03, seed: int = 0
) -> np.ndarray:
    """Return frames in which every coordinate has a normal deviation of ``width`` Å."""
    draw = np.random.default_rng(seed)
    shape = (frames, replicas, *atoms.positions.shape)
    return np.asarray(atoms.positions + draw.normal(0, width, shape))
