"""Families: records that a split must not part, because they are alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from molcryst_bench.base.errors import StoreError
from molcryst_bench.graphs.similarity.kinds import (
    same_geometry,
    same_volume,
    scaffold_labels,
    similar_pairs,
)
from molcryst_bench.graphs.similarity.portraits import Portraits
from molcryst_bench.graphs.similarity.relations import NONE
from molcryst_bench.sources.card import ClusterSplit, FamilySplit


def find_families(described: Portraits, recipe: FamilySplit, name: str) -> dict[str, int]:
    """Return the family of each record that has one, by its id.

    Chains of likeness are one family: two of its members need not be alike themselves.

    Raises:
        StoreError: if the records are not of the kind that the recipe is for.
    """
    portraits = described.portraits
    if isinstance(recipe, ClusterSplit):
        usable = [p is not None and p.framework is not None for p in portraits]
        alike = [same_volume(portraits), similar_pairs(portraits, recipe.similarity)]
    else:
        usable = [p is not None and p.molecule is not None for p in portraits]
        alike = [_chains(scaffold_labels(portraits))]
    if not any(usable):
        kind = "crystals" if isinstance(recipe, ClusterSplit) else "molecules"
        raise StoreError(f"the split '{name}' is for {kind}, and none of the records is one")
    family = _connected([same_geometry(portraits), *alike], len(portraits))
    members = zip(described.ids, family.tolist(), usable, strict=True)
    return {identity: number for identity, number, use in members if use}


def _chains(label: np.ndarray) -> np.ndarray:
    """Return pairs that link all records with the same label. (pairs, 2)."""
    rows = np.flatnonzero(label != NONE)
    order = rows[np.argsort(label[rows], kind="stable")]
    linked = label[order[1:]] == label[order[:-1]]
    return np.stack([order[:-1][linked], order[1:][linked]], axis=1)


def _connected(pairs: Sequence[np.ndarray], records: int) -> np.ndarray:
    """Number the connected components of a graph of pairs. (records,)."""
    ones, others = np.concatenate(pairs).T
    graph = sp.coo_array((np.ones(len(ones), np.int8), (ones, others)), shape=(records, records))
    _, component = connected_components(graph, directed=False)
    return np.asarray(component)
