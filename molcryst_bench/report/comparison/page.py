"""What the page that compares two models shows: a table of all pairs, and numbers to draw from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from molcryst_bench.report.columns import Column
from molcryst_bench.report.comparison.paired import Comparison, Pair, Quantity, compare
from molcryst_bench.report.formatting import between, decimals_for, number, percent
from molcryst_bench.report.items.structures import Structures
from molcryst_bench.report.tables import TaskTable
from molcryst_bench.training.bootstrap import CONFIDENCE

SEED = 0  # of the drawing of items
MOST_ITEMS = 3000
MOST_MODELS = 16
FARTHEST = 10  # items of each pair that are on the page whatever is drawn, or fewer
_MOST_FARTHEST = 2000  # of all pairs
_DIGITS = 4  # of an item's error


@dataclass(frozen=True)
class PairTable:
    """All pairs of models in one error."""

    title: str
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class ComparePage:
    """Everything on one page."""

    models: tuple[str, ...]
    left_out: int  # models, of those with the largest errors
    items: int
    shown: int  # items
    farthest: int  # of these, for each pair
    tables: tuple[PairTable, ...]  # one for each quantity
    data: dict[str, Any]  # what the page's script draws from


def compare_page(
    table: TaskTable, leaderboard: Path, structures: Structures, most_items: int = MOST_ITEMS
) -> ComparePage:
    """Gather the page of a task.

    Args:
        table: of the task; of many models the best are shown.
        leaderboard: where the predictions lie.
        structures: of the test items, for their formulas.
        most_items: of a larger test set these many are drawn, so that the page stays small.
    """
    comparison = compare(table, table.entries[:MOST_MODELS], leaderboard)
    chosen = choose_items(comparison, most_items)
    pairs = [quantity.pairs() for quantity in comparison.quantities]
    return ComparePage(
        tuple(entry.model for entry in comparison.entries),
        len(table.entries) - len(comparison.entries),
        len(comparison.ids),
        len(chosen),
        farthest_of(comparison),
        tuple(map(_pair_table, comparison.quantities, pairs, [comparison] * len(pairs))),
        page_data(comparison, chosen, pairs, structures),
    )


def choose_items(comparison: Comparison, most: int) -> np.ndarray:
    """Return the places of the items to show, in order: all of them, if they are few.

    Of many, ``most`` are drawn with ``SEED``; beside them stand those on which each pair of models
    differs most.
    """
    items = len(comparison.ids)
    if items <= most:
        return np.arange(items)
    farthest = farthest_of(comparison)
    drawn = np.random.default_rng(SEED).choice(items, most, replace=False)
    extreme = [
        np.argsort(-np.abs(quantity.errors[first] - quantity.errors[second]))[:farthest]
        for quantity in comparison.quantities
        for first in range(len(quantity.errors))
        for second in range(first)
    ]
    return np.unique(np.concatenate([drawn, *extreme]))


def farthest_of(comparison: Comparison) -> int:
    """Return of how many items on which a pair differs most there is room."""
    models = len(comparison.quantities[0].errors)
    pairs = len(comparison.quantities) * models * (models - 1) // 2
    return min(FARTHEST, _MOST_FARTHEST // pairs)


def _pair_table(quantity: Quantity, pairs: list[Pair], comparison: Comparison) -> PairTable:
    names = [entry.model for entry in comparison.entries]
    unit, decimals = quantity.unit, quantity.decimals
    first = [names[pair.first] for pair in pairs]
    second = [names[pair.second] for pair in pairs]
    differences = [pair.difference for pair in pairs]
    return PairTable(
        f"Differences in {quantity.name}",
        (
            Column("model", "First", tuple(first), tuple(first)),
            Column("other", "Second", tuple(second), tuple(second)),
            Column(
                "difference",
                f"MAE of the first minus the second ({unit})",
                tuple(number(value, decimals) for value in differences),
                tuple(differences),
            ),
            Column(
                "interval",
                f"{100 * CONFIDENCE:g} % interval ({unit})",
                tuple(between(pair.bounds, decimals) for pair in pairs),
                tuple(pair.bounds[0] for pair in pairs),
            ),
            Column(
                "nearer",
                "Items on which the first is nearer",
                tuple(percent(pair.nearer) for pair in pairs),
                tuple(pair.nearer for pair in pairs),
            ),
        ),
    )


def page_data(
    comparison: Comparison,
    chosen: np.ndarray,
    pairs: list[list[Pair]],
    structures: Structures,
) -> dict[str, Any]:
    """Return what the script needs, in plain types that JSON has."""
    ids, truth = comparison.ids[chosen].tolist(), comparison.truth[chosen]
    decimals = decimals_for([float(comparison.truth.std())])
    return {
        "models": [entry.model for entry in comparison.entries],
        "ids": ids,
        "formulas": structures.formulas(ids),
        "truths": [number(value, decimals) for value in truth.tolist()],
        "quantities": [
            _quantity(quantity, chosen, found)
            for quantity, found in zip(comparison.quantities, pairs, strict=True)
        ],
    }


def _quantity(quantity: Quantity, chosen: np.ndarray, pairs: list[Pair]) -> dict[str, Any]:
    return {
        "name": quantity.name,
        "unit": quantity.unit,
        "decimals": quantity.decimals,
        "errors": [[_rounded(value) for value in row] for row in quantity.errors[:, chosen]],
        "pairs": [words for pair in pairs for words in _both_ways(pair, quantity.decimals)],
    }


def _rounded(value: float) -> float | None:
    """Round to the digits of the page; what is no number is null in JSON."""
    return float(f"{value:.{_DIGITS}g}") if np.isfinite(value) else None


def _both_ways(pair: Pair, decimals: int) -> list[list[Any]]:
    """Return places, difference, interval and part as text, for either order of the models.

    All numbers on the site are rounded by the same functions, so that they cannot differ.
    """
    low, high = pair.bounds
    turned = Pair(
        pair.second, pair.first, -pair.difference, (-high, -low), pair.farther, pair.nearer
    )
    return [
        [
            each.first,
            each.second,
            number(each.difference, decimals),
            between(each.bounds, decimals),
            percent(each.nearer),
        ]
        for each in (pair, turned)
    ]
