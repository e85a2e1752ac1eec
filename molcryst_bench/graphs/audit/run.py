"""The audit: counts records of each subset that have a like one in an earlier subset."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from molcryst_bench.base.errors import StoreError
from molcryst_bench.graphs.audit.findings import Finding, KindFindings, SplitAudit
from molcryst_bench.graphs.layout import id_digest
from molcryst_bench.graphs.similarity.kinds import Kind, is_trajectory
from molcryst_bench.graphs.similarity.portraits import Portraits
from molcryst_bench.graphs.similarity.relations import NONE
from molcryst_bench.graphs.split import SUBSETS, UNUSED, Split, group_of

_EXAMPLES = 3


class _Subset(NamedTuple):
    name: str
    rows: np.ndarray  # of its records with a structure


def audit_split(
    split: Split, described: Portraits, kinds: Sequence[Kind], source: str
) -> SplitAudit:
    """Compare every subset of a split with those before it.

    Args:
        split: of all records of the dataset.
        described: the same records.
        kinds: what to look for.
        source: where the records are from, to be kept with the findings.

    Raises:
        StoreError: if the split was made for other records.
    """
    if split.population_digest != id_digest(described.ids):
        message = f"the split '{split.name}' was made for other records than the source '{source}'"
        raise StoreError(f"{message} has: name the right --source, or draw the split again")
    known = np.array([portrait is not None for portrait in described.portraits])
    subset = _in_order_of(described.ids, split)
    subsets = [
        _Subset(name, np.flatnonzero((subset == number) & known))
        for number, name in enumerate(SUBSETS)
    ]
    used = int((subset != UNUSED).sum())
    readable = sum(len(one.rows) for one in subsets)
    groups = _groups(described.ids) if is_trajectory(described.ids) else None
    found = tuple(_compare(kind, subsets, described.ids, groups) for kind in kinds)
    return SplitAudit(
        digest=split.digest,
        source=source,
        records=readable,
        unreadable=used - readable,
        kinds=found,
    )


def _in_order_of(ids: Sequence[str], split: Split) -> np.ndarray:
    """Return the subset of each record. (records,)."""
    subsets = dict(zip(split.ids.tolist(), split.subset.tolist(), strict=True))
    return np.array([subsets[identity] for identity in ids])


def _groups(ids: Sequence[str]) -> np.ndarray:
    """Return the group of each record, such as the molecule of a frame. (records,)."""
    return np.array([group_of(identity) for identity in ids])


def _compare(
    kind: Kind, subsets: Sequence[_Subset], ids: Sequence[str], groups: np.ndarray | None
) -> KindFindings:
    findings: list[Finding] = []
    for earlier, later in combinations(subsets, 2):
        partners = kind.relation.partners(later.rows, earlier.rows)
        findings.append(_finding(earlier, later, partners, ids))
        if groups is not None:
            findings += _of_groups(earlier, later, partners != NONE, groups)
    return KindFindings(
        name=kind.name, meaning=kind.meaning, unknown=kind.unknown, findings=tuple(findings)
    )


def _finding(earlier: _Subset, later: _Subset, partners: np.ndarray, ids: Sequence[str]) -> Finding:
    places = np.flatnonzero(partners != NONE)
    shown = places[:_EXAMPLES].tolist()
    return Finding(
        earlier=earlier.name,
        later=later.name,
        found=len(places),
        records=len(later.rows),
        examples=tuple((ids[later.rows[place]], ids[partners[place]]) for place in shown),
    )


def _of_groups(
    earlier: _Subset, later: _Subset, found: np.ndarray, groups: np.ndarray
) -> Iterator[Finding]:
    for group in np.unique(groups[later.rows]).tolist():
        inside = groups[later.rows] == group
        yield Finding(
            earlier=earlier.name,
            later=later.name,
            group=group,
            found=int(found[inside].sum()),
            records=int(inside.sum()),
        )
