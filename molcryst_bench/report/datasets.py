"""What is known of a dataset: its card, its splits, and its store if that is there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from molcryst_bench.base.errors import StoreError
from molcryst_bench.base.project import dataset_folder, store_path
from molcryst_bench.graphs.audit.findings import Audit, SplitAudit, load_audit
from molcryst_bench.graphs.split import SUBSETS, UNUSED, Split, load_split
from molcryst_bench.graphs.store import GraphStore, open_store
from molcryst_bench.report.results import Cell
from molcryst_bench.sources.card import Card, load_card

_EXAMPLES = 20


@dataclass(frozen=True)
class SplitCounts:
    """How many records each subset of a split has, in the order of ``SUBSETS``."""

    name: str
    description: str
    whole: tuple[int, ...] | None  # of the dataset; None if the split's file is not there
    stored: tuple[int, ...] | None  # of the store; None if there is no store
    audit: SplitAudit | None = None  # None if there was none of this very split


@dataclass(frozen=True)
class SetAside:
    """Records that the last build found unusable."""

    total: int
    reasons: tuple[tuple[str, int], ...]  # most frequent first
    examples: tuple[dict[str, str], ...]  # file, id, reason


@dataclass(frozen=True)
class StoreFacts:
    """What a store says about its origin and content."""

    digest: str
    records: int
    source: str
    raw_sha256: Mapping[str, str]
    sample: Mapping[str, Any] | None
    graph: Mapping[str, Any]
    atoms: np.ndarray  # (records,) number of atoms
    values: Mapping[str, np.ndarray]  # of each benchmarked target, in its unit


@dataclass(frozen=True)
class DatasetFacts:
    """A dataset as its page shows it."""

    card: Card
    cells: tuple[Cell, ...]
    store: StoreFacts | None
    splits: tuple[SplitCounts, ...]
    set_aside: SetAside | None  # None if no build has left a list

    @property
    def result_digests(self) -> list[str]:
        """Digests of the stores that the results come from."""
        return sorted({cell.store_digest for cell in self.cells})

    def raw_checksums(self, cell: Cell) -> Mapping[str, str]:
        """Return the SHA-256 of the raw files behind a cell; empty if its store is not here."""
        known = self.store is not None and self.store.digest == cell.store_digest
        return self.store.raw_sha256 if known and self.store else {}


def describe_dataset(name: str, cells: Sequence[Cell]) -> DatasetFacts:
    """Gather what is known of a dataset.

    Args:
        name: of the dataset.
        cells: the results on it.

    Raises:
        SettingsError: if it has no card.
    """
    card = load_card(name)
    store = _open(name)
    targets = sorted({cell.target for cell in cells})
    audit = load_audit(dataset_folder(name))
    splits = tuple(
        _count(name, split, recipe.description, store, audit)
        for split, recipe in card.splits.items()
    )
    facts = None if store is None else _read(store, targets)
    return DatasetFacts(card, tuple(cells), facts, splits, _read_set_aside(name))


def _open(name: str) -> GraphStore | None:
    """A store that is missing or of another version leaves a gap on the page, not no page."""
    try:
        return open_store(store_path(name))
    except StoreError:
        return None


def _read(store: GraphStore, targets: Sequence[str]) -> StoreFacts:
    provenance = store.attributes["provenance"]
    return StoreFacts(
        digest=store.digest,
        records=len(store),
        source=provenance["source"],
        raw_sha256=provenance["raw_sha256"],
        sample=provenance["sample"],
        graph=store.attributes["graph"],
        atoms=np.diff(store.read("graphs/node_offset")),
        values={name: store.read(f"targets/{name}") for name in targets if name in store.targets},
    )


def _count(
    dataset: str, name: str, text: str, store: GraphStore | None, audit: Audit
) -> SplitCounts:
    path = dataset_folder(dataset) / "splits" / f"{name}.parquet"
    if not path.exists():
        return SplitCounts(name, text, None, None)
    stored = None if store is None else _sizes(store.split(name))
    split, audited = load_split(path), audit.splits.get(name)
    of_this = audited if audited and audited.digest == split.digest else None
    return SplitCounts(name, text, _sizes(split), stored, of_this)


def _sizes(split: Split) -> tuple[int, ...]:
    used = split.subset[split.subset != UNUSED]
    return tuple(np.bincount(used, minlength=len(SUBSETS)).tolist())


def _read_set_aside(dataset: str) -> SetAside | None:
    path = dataset_folder(dataset) / "quarantine.parquet"
    if not path.exists():
        return None
    rows = pq.read_table(path).to_pylist()
    reasons = Counter(row["reason"] for row in rows).most_common(_EXAMPLES)
    return SetAside(len(rows), tuple(reasons), tuple(rows[:_EXAMPLES]))
