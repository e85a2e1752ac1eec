"""Intervals, ceilings, parts and equal widths."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import pdist

import molcryst_bench as mb
from molcryst_bench.base.errors import SettingsError
from molcryst_bench.interpret.dendrogram import Dendrogram
from molcryst_bench.interpret.pairs import pairs_of
from molcryst_bench.interpret.roughness import roughness_on
from molcryst_bench.interpret.roughness_study import (
    Interval,
    Sampled,
    extrapolated,
    reduced,
    rogi_interval,
    sampled_rogi,
    study,
)


def _smooth(points: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(seed).normal(size=(points, 4))
    return x, x[:, 0] + 0.1 * x[:, 1] ** 2


def test_study_holds_the_indices_and_no_labels_are_rougher_than_shuffled_ones() -> None:
    x, y = _smooth(400)
    found = study(x, y)
    assert found.rogi == mb.rogi(x, y)
    assert found.rogi_xd == mb.rogi_xd(x, y)
    assert (found.points, found.width) == (400, 4)
    assert found.rogi < 0.8 * found.shuffled
    assert found.rogi_xd < 0.8 * found.shuffled_xd
    noise = study(x, np.random.default_rng(1).permutation(y), shuffles=50)
    assert noise.rogi == pytest.approx(noise.shuffled, rel=0.1)


@pytest.mark.parametrize("form", ["points", "square", "flat"])
def test_resamples_take_labels_along_whatever_the_form(form: str) -> None:
    x, y = _smooth(120)
    whole = rogi_interval(x, y, resamples=40)
    assert whole.low < whole.value < whole.high
    distance = pdist(x) / np.linalg.norm(np.ptp(x, axis=0))
    square = np.zeros((120, 120))
    square[np.triu_indices(120, 1)] = distance
    given = {"points": (x, "euclidean"), "flat": (distance, "precomputed")}
    given["square"] = (square + square.T, "precomputed")
    np.testing.assert_allclose(
        rogi_interval(given[form][0], y, given[form][1], resamples=40), whole
    )


def test_a_point_that_counts_twice_is_as_good_as_two_in_one_place() -> None:
    x, y = np.random.default_rng(5).normal(size=(60, 8)), np.linspace(0, 1, 60)
    counts = np.bincount(np.random.default_rng(0).integers(0, 60, 60), minlength=60)
    largest = float(np.linalg.norm(np.ptp(x, axis=0)))
    written_out = Dendrogram.of(pairs_of(np.repeat(x, counts, axis=0), largest=largest))
    once = np.flatnonzero(counts)
    tree = Dendrogram.of(pairs_of(x[once], largest=largest))
    found = roughness_on(tree, y[once], weight=counts[once])
    assert found == pytest.approx(roughness_on(written_out, np.repeat(y, counts)), abs=1e-12)


def test_intervals_hold_what_further_draws_give() -> None:
    x, y = _smooth(150, seed=1)
    interval = rogi_interval(x, y, resamples=60)
    others = [mb.rogi(*_smooth(150, seed)) for seed in range(2, 42)]
    inside = [abs(v - np.mean(others)) < (interval.high - interval.low) / 2 for v in others]
    assert 0.7 < np.mean(inside) <= 1


def test_parts_come_near_the_whole_as_they_grow() -> None:
    x, y = _smooth(1600)
    sizes = [sampled_rogi(x, y, points) for points in (100, 200, 400)]
    values = [each.mean.value for each in sizes]
    whole = mb.rogi(x, y)
    assert values[0] > values[1] > values[2] > whole
    assert [each.parts for each in sizes] == [16, 8, 4]
    assert extrapolated(sizes, 1600).value == pytest.approx(whole, rel=0.1)
    with pytest.raises(SettingsError, match="smaller part"):
        sampled_rogi(x, y, 1000)


def test_a_line_is_extrapolated_without_error() -> None:
    def at(points: int) -> Sampled:
        return Sampled(Interval(1 - 0.1 * np.log(points), 0, 0), points, 2)

    found = extrapolated([at(10), at(100), at(1000)], 10_000)
    assert found.value == pytest.approx(1 - 0.1 * np.log(10_000))
    assert found.high - found.low < 1e-9


def test_reduced_keeps_distances_when_nothing_is_left_out() -> None:
    x, _ = _smooth(100)
    np.testing.assert_allclose(pdist(reduced(x, 4)), pdist(x))
    assert reduced(x, 2).shape == (100, 2)
    with pytest.raises(SettingsError, match="fewer"):
        reduced(x, 5)
