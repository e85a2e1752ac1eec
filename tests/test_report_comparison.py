"""Two models item by item: differences on the same test items, and the page that shows them."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from report_data import MODELS, FakeModel, make_project, read_rows

from molcryst_bench.report.comparison.page import (
    MOST_ITEMS,
    MOST_MODELS,
    ComparePage,
    choose_items,
    compare_page,
    page_data,
)
from molcryst_bench.report.comparison.paired import Comparison, Quantity, compare
from molcryst_bench.report.items.structures import Structures
from molcryst_bench.report.tables import TaskTable, build_tables


@pytest.fixture(scope="module")
def leaderboard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("compared")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        return make_project(root, {**MODELS, "<i>": FakeModel(0.3)}, targets=("homo",))


@pytest.fixture
def table(leaderboard: Path, monkeypatch: pytest.MonkeyPatch) -> TaskTable:
    monkeypatch.chdir(leaderboard.parent)
    (found,) = build_tables(leaderboard)
    return found


def page_of(table: TaskTable, leaderboard: Path, **keywords: Any) -> ComparePage:
    return compare_page(table, leaderboard, structures_of(table), **keywords)


def structures_of(table: TaskTable) -> Structures:
    return Structures(table.card.name, table.first.store_digest)


def errors_of(leaderboard: Path, model: str) -> np.ndarray:
    """Absolute errors in meV, mean over seeds, in the order of the ids."""
    seeds = []
    for row in read_rows(leaderboard):
        if row["model"] == model:
            found = pq.read_table(leaderboard / row["folder"] / "predictions.parquet").to_pandas()
            found = found.sort_values("id")
            seeds.append(1000 * np.abs(found["prediction"] - found["target"]).to_numpy())
    return np.mean(seeds, axis=0)


def test_errors_are_means_over_seeds_of_the_same_items(table: TaskTable, leaderboard: Path) -> None:
    found = compare(table, table.entries, leaderboard)
    assert found.ids.tolist() == sorted(found.ids.tolist())
    for entry, errors in zip(found.entries, found.quantities[0].errors, strict=True):
        np.testing.assert_allclose(errors, errors_of(leaderboard, entry.model))
        assert errors.mean() == pytest.approx(entry.mae.mean)


def test_a_pair_is_what_the_columns_say(table: TaskTable, leaderboard: Path) -> None:
    (quantity,) = compare(table, table.entries, leaderboard).quantities
    for pair in quantity.pairs():
        first, second = quantity.errors[pair.first], quantity.errors[pair.second]
        assert pair.difference == pytest.approx(first.mean() - second.mean())
        assert pair.bounds[0] <= pair.difference <= pair.bounds[1]
        assert pair.nearer == np.mean(first < second)
        assert pair.nearer + pair.farther == 1
    # Of normal errors, the interval is about two standard errors on either side.
    widest = quantity.pairs()[-1]
    difference = quantity.errors[widest.first] - quantity.errors[widest.second]
    expected = 2 * 1.96 * difference.std() / np.sqrt(len(difference))
    assert widest.bounds[1] - widest.bounds[0] == pytest.approx(expected, rel=0.3)


def test_models_that_share_a_rank_have_zero_in_their_interval(
    table: TaskTable, leaderboard: Path
) -> None:
    (quantity,) = compare(table, table.entries, leaderboard).quantities
    pairs = {(pair.first, pair.second): pair for pair in quantity.pairs()}
    ranks = [entry.rank for entry in table.entries]
    shared = [(a, b) for a, b in pairwise(range(len(ranks))) if ranks[a] == ranks[b]]
    for pair in shared:
        low, high = pairs[pair].bounds
        assert low <= 0 <= high
    assert pairs[0, len(ranks) - 1].bounds[1] < 0  # from the best to the worst model


def test_items_with_more_weight_count_more() -> None:
    errors = np.array([[1.0, 3.0], [0.0, 0.0]])
    (pair,) = Quantity("forces", "eV/Å", 1, errors, np.array([1.5, 0.5])).pairs()
    assert pair.difference == 1.5
    assert pair.bounds == (1.0, 3.0)


def test_the_page_has_both_orders_with_one_rounding(table: TaskTable, leaderboard: Path) -> None:
    shown = page_of(table, leaderboard)
    (quantity,) = shown.data["quantities"]
    words = {(first, second): texts for first, second, *texts in quantity["pairs"]}
    assert set(words) == {(a, b) for a in range(4) for b in range(4) if a != b}
    difference = shown.tables[0].columns[2]
    assert words[0, 1][0] == difference.texts[0]
    assert words[1, 0][0] == difference.texts[0].replace("\N{MINUS SIGN}", "")
    json.dumps(shown.data, allow_nan=False)


def test_items_have_their_formulas(table: TaskTable, leaderboard: Path) -> None:
    data = page_of(table, leaderboard).data
    structures = structures_of(table)
    for record, formula in zip(data["ids"], data["formulas"], strict=True):
        atoms = structures.atoms(record)
        assert atoms is not None
        assert atoms.get_chemical_formula("hill") == formula
    elsewhere = Structures("qm9", "0" * 64)
    assert elsewhere.formulas(data["ids"]) == [None] * len(data["ids"])
    assert elsewhere.atoms(data["ids"][0]) is None


def many_items(items: int = 1000) -> Comparison:
    errors = np.abs(np.random.default_rng(3).normal(size=(3, items)))
    quantity = Quantity("homo", "meV", 1, errors, np.ones(items))
    ids = np.array([f"{number:04}" for number in range(items)])
    return Comparison((), ids, np.zeros(items), (quantity,))


def test_a_large_test_set_is_sampled_but_for_what_differs_most() -> None:
    comparison = many_items()
    chosen = choose_items(comparison, 100)
    assert 100 <= len(chosen) <= 130
    np.testing.assert_array_equal(chosen, choose_items(comparison, 100))
    errors = comparison.quantities[0].errors
    for first, second in ((0, 1), (0, 2), (1, 2)):
        assert np.abs(errors[first] - errors[second]).argmax() in chosen
    np.testing.assert_array_equal(choose_items(comparison, 1000), np.arange(1000))


def test_the_page_stays_small_whatever_is_compared() -> None:
    items = 20_000
    generator = np.random.default_rng(0)
    quantities = tuple(
        Quantity(name, "meV", 1, 1e-4 * generator.exponential(size=(MOST_MODELS, items)), weights)
        for name, weights in (("energy", np.ones(items)), ("forces", np.ones(items)))
    )
    entries: Any = tuple(SimpleNamespace(model=f"model_{n}") for n in range(MOST_MODELS))
    ids = np.array([f"dsgdb9nsd_{number:06}" for number in range(items)])
    comparison = Comparison(entries, ids, generator.normal(size=items), quantities)
    chosen = choose_items(comparison, MOST_ITEMS)
    pairs = [quantity.pairs() for quantity in quantities]
    data = page_data(comparison, chosen, pairs, Structures("qm9", "0" * 64))
    assert len(json.dumps(data)) < 1_800_000


def test_what_is_no_number_is_null(table: TaskTable, leaderboard: Path) -> None:
    shown = page_of(table, leaderboard, most_items=5)
    assert shown.shown < shown.items == 60
    text = json.dumps(shown.data["quantities"][0]["errors"])
    assert not re.search("NaN|Infinity", text)
