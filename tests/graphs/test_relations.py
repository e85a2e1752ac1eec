"""Partners of records in another subset, compared with plain loops over all pairs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from molcryst_bench.graphs.similarity.relations import (
    NONE,
    Equal,
    EqualBut,
    Neighbours,
    Pairs,
    Relation,
    labels_of,
    near_pairs,
)

RECORDS = 60
Alike = Callable[[int, int], bool]


def equal(generator: np.random.Generator) -> tuple[Relation, Alike]:
    label = generator.integers(-1, 12, RECORDS)
    return Equal(label), lambda i, j: label[i] == label[j] != NONE


def equal_but(generator: np.random.Generator) -> tuple[Relation, Alike]:
    label, other = generator.integers(-1, 8, RECORDS), generator.integers(-1, 3, RECORDS)
    return (
        EqualBut(label, other),
        lambda i, j: (
            label[i] == label[j] != NONE
            and other[i] != other[j]
            and NONE not in (other[i], other[j])
        ),
    )


def pairs(generator: np.random.Generator) -> tuple[Relation, Alike]:
    rows = generator.integers(0, RECORDS, (40, 2))
    known = {frozenset(row) for row in rows.tolist()}
    return Pairs(rows, RECORDS), lambda i, j: frozenset((i, j)) in known


def neighbours(generator: np.random.Generator) -> tuple[Relation, Alike]:
    group, time = generator.integers(0, 3, RECORDS), generator.integers(0, 500, RECORDS)
    return Neighbours(
        group, time, 7
    ), lambda i, j: group[i] == group[j] and abs(time[i] - time[j]) < 7


@pytest.mark.parametrize("make", [equal, equal_but, pairs, neighbours])
@pytest.mark.parametrize("seed", range(10))
def test_partners_are_those_of_a_plain_loop(
    make: Callable[[np.random.Generator], tuple[Relation, Alike]], seed: int
) -> None:
    generator = np.random.default_rng(seed)
    relation, alike = make(generator)
    order = generator.permutation(RECORDS)
    earlier, later = np.sort(order[:30]), np.sort(order[30:45])
    found = relation.partners(later, earlier)
    for row, partner in zip(later.tolist(), found.tolist(), strict=True):
        there = [other for other in earlier.tolist() if alike(row, other)]
        assert partner in (there or [NONE])
    assert (found != NONE).any()


@pytest.mark.parametrize("make", [equal, equal_but, pairs, neighbours])
def test_an_empty_subset_has_no_partners(
    make: Callable[[np.random.Generator], tuple[Relation, Alike]],
) -> None:
    relation, _ = make(np.random.default_rng(0))
    rows, nothing = np.arange(10), np.empty(0, np.int64)
    assert (relation.partners(rows, nothing) == NONE).all()
    assert len(relation.partners(nothing, rows)) == 0


def test_the_partner_in_time_is_the_nearest_and_nearer_than_the_gap() -> None:
    time = np.array([0, 100, 200, 95, 110, 150, 300])
    relation = Neighbours(np.zeros(7, np.int64), time, 11)
    earlier, later = np.arange(3), np.arange(3, 7)
    assert relation.partners(later, earlier).tolist() == [1, 1, NONE, NONE]
    narrower = Neighbours(relation.group, time, 10)
    assert narrower.partners(later, earlier).tolist() == [1, NONE, NONE, NONE]


def test_near_pairs_are_those_of_a_plain_loop() -> None:
    generator = np.random.default_rng(0)
    vectors: list[np.ndarray | None] = list(generator.random((RECORDS, 3)))
    vectors[5] = None
    keys = generator.integers(0, 3, RECORDS).tolist()
    expected = [
        [i, j]
        for i in range(RECORDS)
        for j in range(i + 1, RECORDS)
        if keys[i] == keys[j] and vectors[i] is not None and vectors[j] is not None
        if np.abs(vectors[i] - vectors[j]).max() <= 0.3
    ]
    assert near_pairs(keys, vectors, 0.3).tolist() == expected
    assert near_pairs(["a", "b"], [np.zeros(2)] * 2, 1.0).shape == (0, 2)


def test_labels_number_equal_values_alike() -> None:
    assert labels_of(["b", None, "a", "b"]).tolist() == [0, NONE, 1, 0]
