"""Telling when a replica is no molecule any more."""

from __future__ import annotations

import numpy as np
from ase import Atoms, units
from ase.neighborlist import natural_cutoffs, neighbor_list

from molcryst_bench.dynamics.motion import Motion

LONGEST_BOND = 2.0  # times its length at the start
_HOTTEST = 10.0  # times the temperature asked for
_BOND_TOLERANCE = 1.2  # a bond is shorter than this times the sum of the covalent radii
_COLDEST = 10.0  # K, so that a start at rest may move


class Watch:
    """Looks for what has gone wrong: no numbers, a broken bond, runaway energy.

    Args:
        structure: at the start, with its bonds.
        temperature: K.
        degrees: of freedom.
    """

    def __init__(self, structure: Atoms, temperature: float, degrees: int) -> None:
        self.symbols = structure.get_chemical_symbols()
        self.masses = structure.get_masses()
        self.thermal = 0.5 * degrees * units.kB * max(temperature, _COLDEST)  # eV
        cutoffs = natural_cutoffs(structure, mult=_BOND_TOLERANCE)
        first, second, lengths, vectors = neighbor_list("ijdD", structure, cutoffs)
        once = first < second
        self.first, self.second, self.lengths = first[once], second[once], lengths[once]
        straight = structure.positions[self.second] - structure.positions[self.first]
        self.across = vectors[once] - straight  # (bonds, 3) Å, to the other cell

    def numbers(self, motion: Motion) -> dict[int, str]:
        """Return the replicas whose energies or forces are no numbers."""
        finite = np.isfinite(motion.energies) & np.isfinite(motion.forces).all((1, 2))
        rows = np.flatnonzero(~finite).tolist()
        return dict.fromkeys(rows, "energy or forces are not finite")

    def all(self, motion: Motion, start: np.ndarray | None) -> dict[int, str]:
        """Return the replicas that have failed in any respect, and why.

        Args:
            motion: of the replicas.
            start: (replicas,) total energy in eV that is to be conserved, if it is.
        """
        found = self._broken(motion) | self._runaway(motion, start)
        return found | self.numbers(motion)

    def _broken(self, motion: Motion) -> dict[int, str]:
        if not len(self.first):
            return {}
        place = motion.positions
        vectors = place[:, self.second] - place[:, self.first] + self.across
        stretch = np.linalg.norm(vectors, axis=2) / self.lengths  # (replicas, bonds)
        rows = np.flatnonzero(stretch.max(1) > LONGEST_BOND).tolist()
        return {row: self._bond_in_words(int(stretch[row].argmax()), stretch[row]) for row in rows}

    def _bond_in_words(self, bond: int, stretch: np.ndarray) -> str:
        ends = (int(self.first[bond]), int(self.second[bond]))
        name = "-".join(f"{self.symbols[end]}{end}" for end in ends)
        return f"the bond {name} is {stretch[bond]:.1f} times as long as at the start"

    def _runaway(self, motion: Motion, start: np.ndarray | None) -> dict[int, str]:
        kinetic = motion.kinetic(self.masses)  # (replicas,)
        found = {
            row: f"it is {kinetic[row] / self.thermal:.0f} times as hot as it should be"
            for row in np.flatnonzero(kinetic > _HOTTEST * self.thermal).tolist()
        }
        if start is None:
            return found
        gain = motion.energies + kinetic - start
        far = np.abs(gain) > 2 * self.thermal + 1e-3
        return found | {
            row: f"its energy has changed by {gain[row]:+.2f} eV, and should be conserved"
            for row in np.flatnonzero(far).tolist()
        }
