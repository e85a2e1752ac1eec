"""Accuracy against cost: which models nothing else beats, and what kinds of models there are."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_data import MODELS, FakeModel, make_project, read_rows, write_results

from molcryst_bench.base.theme import figure_style
from molcryst_bench.report.costs import costs_of, draw_costs
from molcryst_bench.report.documentation import kind_of
from molcryst_bench.report.statistics import pareto_front
from molcryst_bench.report.tables import TaskTable, build_tables

NUMBERS = st.integers(1, 6).map(float)


@given(st.lists(st.tuples(NUMBERS, NUMBERS), max_size=12))
def test_the_front_is_what_nothing_beats(points: list[tuple[float, float]]) -> None:
    costs, errors = np.array(points).reshape(-1, 2).T
    front = pareto_front(costs, errors)

    def is_beaten(point: tuple[float, float]) -> bool:
        return any(
            other != point and other[0] <= point[0] and other[1] <= point[1] for other in points
        )

    expected = sorted({point for point in points if not is_beaten(point)})
    assert [points[place] for place in front] == expected


@pytest.fixture
def leaderboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return make_project(tmp_path, {**MODELS, "unknown": FakeModel(0.2)}, targets=("homo",))


def only_table(leaderboard: Path) -> TaskTable:
    (table,) = build_tables(leaderboard)
    return table


def test_costs_have_units_and_a_front(leaderboard: Path) -> None:
    table = only_table(leaderboard)
    training, inference = costs_of(table)
    assert training.label == "training time (s)"
    assert inference.label == "inference (ms per graph)"
    assert [entry.model for entry in training.entries] == ["schnet", "unknown", "ridge", "mean"]
    # The longer a model of the test project is trained, the better it is.
    assert training.in_words == "mean, ridge, schnet"
    assert inference.values == pytest.approx(1000 / 5433.1)
    assert inference.in_words == "schnet"
    with figure_style():
        figure = draw_costs(table, [training, inference])
    labels = [axes.get_xlabel() for axes in figure.axes]
    assert labels == [training.label, inference.label]
    names = {text.get_text() for axes in figure.axes for text in axes.texts}
    assert names == {"schnet", "unknown", "ridge", "mean"}


def test_names_beside_equal_errors_keep_apart(leaderboard: Path) -> None:
    table = only_table(leaderboard)
    with figure_style():
        figure = draw_costs(table, costs_of(table))
        figure.draw_without_rendering()
    places = sorted(text.get_window_extent().bounds for text in figure.axes[-1].texts)
    heights = sorted((bottom, bottom + height) for _, bottom, _, height in places)
    for (_, top), (bottom, _) in pairwise(heights):
        assert top <= bottom + 1


def test_what_has_no_cost_is_left_out(leaderboard: Path) -> None:
    rows = [
        {**row, "train_seconds": 0.0, "graphs_per_second": 0.0}
        if row["model"] == "mean"
        else {**row, "graphs_per_second": 0.0}
        for row in read_rows(leaderboard)
    ]
    write_results(leaderboard, rows)
    (training,) = costs_of(only_table(leaderboard))
    assert "mean" not in [entry.model for entry in training.entries]


def test_kinds_of_models(leaderboard: Path) -> None:
    kinds = {entry.model: kind_of(entry) for entry in only_table(leaderboard).entries}
    assert kinds == {
        "schnet": "network",
        "ridge": "baseline",
        "mean": "baseline",
        "unknown": "not installed",
    }
