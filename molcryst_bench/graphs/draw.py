"""Drawing splits as a card says, so that anybody can draw them again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from types import MappingProxyType

import numpy as np

from molcryst_bench.base.errors import StoreError
from molcryst_bench.graphs.layout import id_digest
from molcryst_bench.graphs.split import SUBSETS, UNUSED, Split, group_of
from molcryst_bench.sources.card import (
    FamilySplit,
    PublishedSplit,
    RandomSplit,
    SplitRecipe,
    TimeBlockSplit,
)

_TRAIN, _VALID, _TEST = range(len(SUBSETS))
_LARGEST_FAMILY = 0.2  # of a validation or test set: a larger one would decide its errors


def draw_split(
    name: str,
    recipe: SplitRecipe,
    ids: Sequence[str],
    published: Mapping[str, str],
    families: Mapping[str, int] = MappingProxyType({}),
) -> Split:
    """Draw a split of all records of a dataset.

    Args:
        name: of the split.
        recipe: from the card.
        ids: of all records.
        published: subsets by id, where the raw files say.
        families: by id, for a recipe that keeps them whole; a record without one is in no subset.

    Raises:
        StoreError: if there are too few records or families for it, or the raw files should say
            and do not.
    """
    if isinstance(recipe, RandomSplit):
        return random_split(ids, (recipe.train, recipe.valid), recipe.seed, name)
    ordered = np.array(sorted(ids))
    if isinstance(recipe, PublishedSplit):
        if not published:
            problem = f"the split '{name}' is a published one, and these raw files do not tell it"
            raise StoreError(f"{problem}: keep the one in git, or use another --source")
        subset = _published(ordered, recipe, published)
    elif isinstance(recipe, FamilySplit):
        subset = _whole_families(ordered, recipe, families, name)
    else:
        subset = _time_blocks(ordered, recipe)
    return Split(name, ordered, subset, id_digest(ordered.tolist()))


def random_split(
    ids: Sequence[str], sizes: tuple[int, int], seed: int, name: str = "random"
) -> Split:
    """Draw the literature's random split: permute the sorted ids, cut, the rest is the test set.

    NumPy's legacy generator is used because published splits are defined by it.

    Args:
        ids: of all records.
        sizes: of the training and validation set.
        seed: of the permutation.
        name: of the split.

    Raises:
        StoreError: if nothing is left to test on.
    """
    ordered = np.array(sorted(ids))
    train, valid = sizes
    if train + valid >= len(ordered):
        message = f"{train:,} + {valid:,} records leave nothing to test on"
        raise StoreError(f"{message}: the dataset has {len(ordered):,}")
    permutation = np.random.RandomState(seed).permutation(len(ordered))
    subset = np.full(len(ordered), _TEST, np.int8)
    subset[permutation[:train]] = _TRAIN
    subset[permutation[train : train + valid]] = _VALID
    return Split(name, ordered, subset, id_digest(ordered.tolist()))


def _published(ids: np.ndarray, recipe: PublishedSplit, published: Mapping[str, str]) -> np.ndarray:
    names = [published.get(record) for record in ids.tolist()]
    subset = np.array([UNUSED if name is None else SUBSETS.index(name) for name in names], np.int8)
    for rows in _rows_of_groups(ids):
        training = rows[subset[rows] == _TRAIN]
        if recipe.valid and len(training):
            if len(training) <= recipe.valid:
                message = f"{group_of(ids[rows[0]])}: {len(training):,} published training records"
                raise StoreError(f"{message} cannot give {recipe.valid:,} for validation")
            generator = np.random.default_rng(recipe.seed)
            subset[generator.choice(training, recipe.valid, replace=False)] = _VALID
    return subset


def _whole_families(
    ids: np.ndarray, recipe: FamilySplit, families: Mapping[str, int], name: str
) -> np.ndarray:
    """Fill the test set, then the validation set, with families in random order; train on others.

    Families are numbered by their first member, so that the draw depends on nothing but the ids.
    """
    usable = np.flatnonzero([record in families for record in ids.tolist()])
    labels = np.array([families[record] for record in ids[usable].tolist()])
    _, first, family = np.unique(labels, return_index=True, return_inverse=True)
    number = np.argsort(np.argsort(first))[family]
    sizes = np.bincount(number)
    wanted = [round(recipe.train * len(usable)), round(recipe.valid * len(usable))]
    room = {_TEST: len(usable) - sum(wanted), _VALID: wanted[_VALID]}
    largest = {part: _LARGEST_FAMILY * size for part, size in room.items()}
    chosen = np.full(len(sizes), _TRAIN, np.int8)
    for one in np.random.default_rng(recipe.seed).permutation(len(sizes)).tolist():
        fitting = (p for p in room if sizes[one] <= min(room[p], max(1, largest[p])))
        part = next(fitting, _TRAIN)
        chosen[one] = part
        if part != _TRAIN:
            room[part] -= sizes[one]
    return _checked_families(usable, chosen[number], len(ids), name)


def _checked_families(
    usable: np.ndarray, chosen: np.ndarray, records: int, name: str
) -> np.ndarray:
    for part, word in enumerate(SUBSETS):
        if part not in chosen:
            problem = f"the split '{name}': no family of like records is small enough"
            raise StoreError(f"{problem} for the {word} set of {len(usable):,} usable records")
    subset = np.full(records, UNUSED, np.int8)
    subset[usable] = chosen
    return subset


def _time_blocks(ids: np.ndarray, recipe: TimeBlockSplit) -> np.ndarray:
    """Cut each trajectory, whose frames are numbered by their ids, into three blocks."""
    subset = np.full(len(ids), UNUSED, np.int8)
    for rows in _rows_of_groups(ids):
        times = np.array([int(record.rpartition("/")[2]) for record in ids[rows].tolist()])
        rank = np.argsort(np.argsort(times)) / len(times)
        block = np.digitize(rank, [recipe.train, recipe.train + recipe.valid])
        starts = [times[block == part].min(initial=np.iinfo(np.int64).max) for part in (1, 2)]
        subset[rows] = np.where(_too_close(times, block, starts, recipe.gap), UNUSED, block)
    return subset


def _too_close(times: np.ndarray, block: np.ndarray, starts: list[int], gap: int) -> np.ndarray:
    """Mark frames of a block that lie less than a gap before the next block begins."""
    after: np.ndarray = np.array([*starts, np.iinfo(np.int64).max])[block]
    return np.asarray(after - times < gap)


def _rows_of_groups(ids: np.ndarray) -> list[np.ndarray]:
    """Return the rows of each group; the ids are sorted."""
    numbered = groupby(enumerate(ids.tolist()), key=lambda pair: group_of(pair[1]))
    return [np.array([row for row, _ in members]) for _, members in numbered]
