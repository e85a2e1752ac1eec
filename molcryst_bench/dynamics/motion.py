"""Moving many replicas of one structure by one step, as one batch.

Times are in ASE's unit, Å sqrt(u/eV), velocities in Å by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import units

from molcryst_bench.dynamics.force_field import ForceField


@dataclass
class Motion:
    """Replicas on their way; arrays of positions and velocities are changed in place."""

    positions: np.ndarray  # (replicas, atoms, 3) Å
    velocities: np.ndarray  # (replicas, atoms, 3)
    energies: np.ndarray  # (replicas,) eV, at these positions, as forces
    forces: np.ndarray  # (replicas, atoms, 3) eV/Å

    @classmethod
    def begin(cls, positions: np.ndarray, velocities: np.ndarray, field: ForceField) -> Motion:
        """Compute the first forces; the arrays given are left as they are."""
        return cls(positions.copy(), velocities.copy(), *field(positions))

    def kinetic(self, masses: np.ndarray) -> np.ndarray:
        """Return kinetic energies (replicas,) in eV, for masses (atoms,) in u."""
        energy: np.ndarray = 0.5 * np.einsum(
            "rai,rai,a->r", self.velocities, self.velocities, masses
        )
        return energy

    def only(self, rows: np.ndarray) -> Motion:
        """Return some of the replicas."""
        return Motion(
            self.positions[rows], self.velocities[rows], self.energies[rows], self.forces[rows]
        )


class VelocityVerlet:
    """Steps at constant energy (Swope et al. 1982, doi 10.1063/1.442716).

    Args:
        field: of the forces.
        masses: (atoms,) u.
        time_step: fs.
    """

    def __init__(self, field: ForceField, masses: np.ndarray, time_step: float) -> None:
        self.field = field
        self.step_length = time_step * units.fs
        self._half_kick = 0.5 * self.step_length / masses[:, None]  # (atoms, 1)

    def step(self, motion: Motion, generators: Sequence[np.random.Generator]) -> None:
        """Move all replicas by one step; nothing here is left to chance."""
        del generators
        motion.velocities += self._half_kick * motion.forces
        motion.positions += self.step_length * motion.velocities
        self.finish(motion)

    def finish(self, motion: Motion) -> None:
        """Compute the forces at new positions, and take the last part of the step."""
        motion.energies, motion.forces = self.field(motion.positions)
        motion.velocities += self._half_kick * motion.forces


class Langevin(VelocityVerlet):
    r"""Steps at constant temperature, in the order BAOAB.

    The velocities relax exactly, :math:`v \leftarrow c\,v + \sqrt{(1 - c^2) k T / m}\,\xi` with
    :math:`c = e^{-\gamma \Delta t}`, in the middle of the step (Leimkuhler and Matthews, Appl.
    Math. Res. Express 2013, 34, doi 10.1093/amrx/abs010).

    Args:
        field: of the forces.
        masses: (atoms,) u.
        time_step: fs.
        temperature: K.
        friction: 1/fs.
    """

    def __init__(
        self,
        field: ForceField,
        masses: np.ndarray,
        time_step: float,
        temperature: float,
        friction: float,
    ) -> None:
        super().__init__(field, masses, time_step)
        self._keep = np.exp(-friction * time_step)
        spread = np.sqrt(units.kB * temperature / masses)
        self._spread = np.sqrt(1 - self._keep**2) * spread[:, None]  # (atoms, 1)

    def step(self, motion: Motion, generators: Sequence[np.random.Generator]) -> None:
        """Move all replicas by one step, each with the random numbers of its own generator."""
        shape = motion.positions.shape[1:]
        motion.velocities += self._half_kick * motion.forces
        motion.positions += 0.5 * self.step_length * motion.velocities
        noise = np.stack([generator.standard_normal(shape) for generator in generators])
        motion.velocities *= self._keep
        motion.velocities += self._spread * noise
        motion.positions += 0.5 * self.step_length * motion.velocities
        self.finish(motion)
