"""Which kinds of likeness there are to look for in a dataset, by what its records are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from molcryst_bench.graphs.similarity.frameworks import similar_frameworks
from molcryst_bench.graphs.similarity.portraits import Portrait, Portraits
from molcryst_bench.graphs.similarity.relations import (
    Equal,
    EqualBut,
    Neighbours,
    Pairs,
    Relation,
    labels_of,
    near_pairs,
)
from molcryst_bench.graphs.split import group_of

SAME_GEOMETRY = 1e-3  # Å, in every average distance; below are rounding and nothing else
SAME_VOLUME = 0.01  # relative difference
SIMILAR = 0.75  # of the atoms, where the card does not say otherwise
_FRAME = re.compile(r".+/\d+")


@dataclass(frozen=True)
class Thresholds:
    """From where on records count as alike."""

    gaps: tuple[int, ...] = (10, 100)  # frames
    similarity: float = SIMILAR


@dataclass(frozen=True)
class Kind:
    """One way in which records may be alike."""

    name: str
    meaning: str
    relation: Relation
    unknown: int = 0  # records that should have what is compared, but for which it is not known


def kinds_of_likeness(described: Portraits, thresholds: Thresholds) -> list[Kind]:
    """Return what to look for: it depends on whether records are frames, molecules or crystals."""
    kinds = [_geometry(described.portraits)]
    if is_trajectory(described.ids):
        kinds += [_in_time(described.ids, gap) for gap in sorted(set(thresholds.gaps))]
    elif any(p is not None and p.molecule for p in described.portraits):
        kinds += _molecular(described.portraits)
    if any(p is not None and p.framework for p in described.portraits):
        kinds += _of_frameworks(described.portraits, thresholds.similarity)
    return kinds


def is_trajectory(ids: Sequence[str]) -> bool:
    """Say whether all ids are of frames: ``group/number``."""
    return all(_FRAME.fullmatch(identity) for identity in ids)


def same_geometry(portraits: Sequence[Portrait | None]) -> np.ndarray:
    """Return pairs of equal composition and equal distances. (pairs, 2)."""
    keys = [p and p.geometry.composition for p in portraits]
    return near_pairs(keys, [p and p.geometry.distances for p in portraits], SAME_GEOMETRY)


def same_volume(portraits: Sequence[Portrait | None]) -> np.ndarray:
    """Return pairs of crystals with equal composition and nearly equal volume. (pairs, 2)."""
    keys = [p and p.geometry.composition for p in portraits]
    volumes = [p.framework.atom_volume if p and p.framework else None for p in portraits]
    logarithms = [None if v is None else np.log([v]) for v in volumes]
    return near_pairs(keys, logarithms, np.log1p(SAME_VOLUME))


def similar_pairs(portraits: Sequence[Portrait | None], similarity: float) -> np.ndarray:
    """Return pairs of frameworks that share enough surroundings of atoms. (pairs, 2)."""
    surroundings = [p.framework.surroundings if p and p.framework else None for p in portraits]
    return similar_frameworks(surroundings, similarity)


def scaffold_labels(portraits: Sequence[Portrait | None]) -> np.ndarray:
    """Number the scaffolds of molecules. (records,)."""
    return labels_of([p.molecule.scaffold if p and p.molecule else None for p in portraits])


def _geometry(portraits: Sequence[Portrait | None]) -> Kind:
    meaning = (
        "equal elements and equal distances: the same positions, turned, moved or mirrored, or the "
        "same crystal in any cell"
    )
    return Kind("same geometry", meaning, Pairs(same_geometry(portraits), len(portraits)))


def _in_time(ids: Sequence[str], gap: int) -> Kind:
    meaning = f"frames of one trajectory whose numbers differ by less than {gap:,}"
    times = np.array([int(identity.rpartition("/")[2]) for identity in ids])
    groups = labels_of([group_of(identity) for identity in ids])
    return Kind(f"less than {gap:,} frames apart", meaning, Neighbours(groups, times, gap))


def _molecular(portraits: Sequence[Portrait | None]) -> Iterator[Kind]:
    molecules = [p.molecule if p else None for p in portraits]
    constitution = labels_of([m and m.constitution for m in molecules])
    stereo = labels_of([m and m.stereo and (m.constitution, m.stereo) for m in molecules])
    unknown = sum(m is not None and m.stereo is None for m in molecules)
    yield Kind(
        "same constitution",
        "equal molecular graph, whatever the stereo: bonds perceived from the geometry",
        Equal(constitution),
    )
    yield Kind("same molecule", "equal molecular graph and equal stereo", Equal(stereo), unknown)
    yield Kind(
        "stereoisomer",
        "equal molecular graph, other stereo: mirror images, cis and trans, diastereomers",
        EqualBut(constitution, stereo),
        unknown,
    )
    yield Kind(
        "same scaffold",
        "equal rings and chains between them (Bemis and Murcko); without rings, equal skeleton",
        Equal(scaffold_labels(portraits)),
    )


def _of_frameworks(portraits: Sequence[Portrait | None], similarity: float) -> Iterator[Kind]:
    yield Kind(
        "same composition and volume",
        f"equal formula, and volumes per atom within {SAME_VOLUME:.0%}",
        Pairs(same_volume(portraits), len(portraits)),
    )
    yield Kind(
        "similar framework",
        f"at least {similarity:.0%} of the atoms have equal surroundings out to two bonds",
        Pairs(similar_pairs(portraits, similarity), len(portraits)),
    )
