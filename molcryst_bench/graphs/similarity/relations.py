"""Relations between records, and which records of one subset have a partner in another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.spatial import KDTree

NONE = -1


class Relation(Protocol):
    """What makes two records alike."""

    def partners(self, later: np.ndarray, earlier: np.ndarray) -> np.ndarray:
        """Return, for each record of ``later``, the row of one like it in ``earlier``, or NONE."""


@dataclass(frozen=True)
class Equal:
    """Records with equal labels are alike; those labelled NONE are like no other."""

    label: np.ndarray  # (records,)

    def partners(self, later: np.ndarray, earlier: np.ndarray) -> np.ndarray:
        """Take the first record of ``earlier`` with the same label."""
        first = _first_of_each(self.label, earlier[self.label[earlier] != NONE])
        found = first[self.label[later]]
        return np.where(self.label[later] == NONE, NONE, found)


@dataclass(frozen=True)
class EqualBut:
    """Records with equal labels that differ in a second label; both must be known."""

    label: np.ndarray  # (records,)
    differing: np.ndarray  # (records,)

    def partners(self, later: np.ndarray, earlier: np.ndarray) -> np.ndarray:
        """Take one of two records of ``earlier`` that differ: either will do for one that does."""
        known = earlier[(self.label[earlier] != NONE) & (self.differing[earlier] != NONE)]
        one = _first_of_each(self.label, known)
        other = known[self.differing[known] != self.differing[one[self.label[known]]]]
        two = _first_of_each(self.label, other)
        choices = np.stack([one[self.label[later]], two[self.label[later]]])
        differs = self.differing[choices] != self.differing[later]
        usable = (choices != NONE) & differs & (self.label[later] != NONE)
        usable &= self.differing[later] != NONE
        return np.where(usable.any(0), choices[usable.argmax(0), np.arange(len(later))], NONE)


@dataclass(frozen=True)
class Pairs:
    """Records that are alike pair by pair."""

    rows: np.ndarray  # (pairs, 2)
    records: int

    def partners(self, later: np.ndarray, earlier: np.ndarray) -> np.ndarray:
        """Take the partner with the lowest row."""
        there = np.zeros(self.records, bool)
        there[earlier] = True
        both_ways = np.concatenate([self.rows, self.rows[:, ::-1]])
        ones, others = both_ways[there[both_ways[:, 1]]].T
        lowest = np.full(self.records, self.records)
        np.minimum.at(lowest, ones, others)
        return np.where(lowest[later] == self.records, NONE, lowest[later])


@dataclass(frozen=True)
class Neighbours:
    """Frames of one trajectory that are less than a gap apart."""

    group: np.ndarray  # (records,)
    time: np.ndarray  # (records,)
    gap: int

    def partners(self, later: np.ndarray, earlier: np.ndarray) -> np.ndarray:
        """Take the frame nearest in time."""
        found = np.full(len(later), NONE)
        for group in np.unique(self.group[later]):
            ours = np.flatnonzero(self.group[later] == group)
            theirs = earlier[self.group[earlier] == group]
            if len(theirs):
                nearest = self._nearest(self.time[later[ours]], theirs)
                apart = np.abs(self.time[later[ours]] - self.time[nearest])
                found[ours] = np.where(apart < self.gap, nearest, NONE)
        return found

    def _nearest(self, times: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return the row whose time is nearest to each of ``times``."""
        rows = rows[np.argsort(self.time[rows], kind="stable")]
        known = self.time[rows]
        after = np.clip(np.searchsorted(known, times), 0, len(rows) - 1)
        before = np.maximum(after - 1, 0)
        nearer = np.abs(times - known[before]) <= np.abs(known[after] - times)
        return np.asarray(np.where(nearer, rows[before], rows[after]))


def labels_of(values: Sequence[Hashable]) -> np.ndarray:
    """Number equal values alike, in order of appearance; None is NONE. (records,)."""
    numbers: dict[Hashable, int] = {}
    known = (NONE if v is None else numbers.setdefault(v, len(numbers)) for v in values)
    return np.fromiter(known, np.int64, len(values))


def near_pairs(
    keys: Sequence[Hashable], vectors: Sequence[np.ndarray | None], radius: float
) -> np.ndarray:
    """Return pairs with equal keys whose vectors differ by at most ``radius`` in each component.

    Args:
        keys: of each record; equal keys mean vectors of equal length.
        vectors: None for a record that is like no other.
        radius: in the unit of the vectors.

    Returns:
        Rows of each pair, the smaller first, sorted. (pairs, 2)
    """
    members: defaultdict[Hashable, list[int]] = defaultdict(list)
    for row, (key, vector) in enumerate(zip(keys, vectors, strict=True)):
        if vector is not None:
            members[key].append(row)
    found = [np.empty((0, 2), np.int64)]
    for rows in members.values():
        if len(rows) > 1:
            tree = KDTree(np.stack([np.asarray(vectors[row], np.float64) for row in rows]))
            found.append(np.array(rows)[tree.query_pairs(radius, p=np.inf, output_type="ndarray")])
    pairs = np.sort(np.concatenate(found), axis=1)
    return pairs[np.lexsort(pairs.T[::-1])]


def _first_of_each(label: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the first of ``rows`` with each label, or NONE. (labels,)."""
    first = np.full(max(1, label.max(initial=NONE) + 1), NONE)
    first[label[rows][::-1]] = rows[::-1]
    return first
