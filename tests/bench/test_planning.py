"""What a profile will take: schedules, rates and forecasts."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from handmade import REPOSITORY
from hypothesis import given
from hypothesis import strategies as st

from molcryst_bench.base.errors import SettingsError
from molcryst_bench.base.usage import Cost
from molcryst_bench.bench.estimates import Estimates
from molcryst_bench.bench.forecast import START_SECONDS, all_lengths, forecast
from molcryst_bench.bench.ledger import Entry
from molcryst_bench.bench.params import load_profile
from molcryst_bench.bench.rates import MachineRates, Rates, load_rates, merged
from molcryst_bench.bench.schedule import simulate


@pytest.fixture(autouse=True)
def in_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)


@given(st.lists(st.floats(0.1, 100.0), min_size=1, max_size=60), st.integers(1, 70))
def test_schedules_keep_grahams_bound(cells: list[float], workers: int) -> None:
    found = simulate(cells, workers)
    best = max(max(cells), sum(cells) / workers)  # nobody can do better
    assert best <= found.seconds * (1 + 1e-9)
    assert found.seconds <= (4 / 3) * best + max(cells)
    assert 0 <= found.idle_share < 1 or math.isclose(found.idle_share, 0, abs_tol=1e-9)
    assert math.isclose(simulate(cells, 1).seconds, sum(cells))


def test_schedules_that_one_can_do_by_hand() -> None:
    found = simulate([3.0, 3.0, 2.0, 2.0, 2.0], 2)
    assert found.seconds == 7.0
    assert found.idle_share == pytest.approx(2 / 14)
    assert simulate([1.0] * 4, 4, overhead=0.5).seconds == 3.0  # handed out one after the other


def test_a_forecast_multiplies_items_epochs_and_rates() -> None:
    params = load_profile("paper")
    rates = MachineRates(threads=1, datasets={"qm9": {"schnet": 1000.0}, "rmd17": {"schnet": 95.0}})
    found = {(each.task, each.model): each for each in forecast(params, rates, None)}
    assert len(found) == len(params.models) * len(params.bench.tasks)
    of_qm9, of_ethanol = found["qm9/homo", "schnet"], found["rmd17/ethanol", "schnet"]
    assert of_qm9.cells == 5
    assert of_qm9.cell_seconds == pytest.approx(START_SECONDS + 1.1 * 750 * 110_000 / 1000)
    assert of_ethanol.cell_seconds == pytest.approx(START_SECONDS + 1.1 * 3000 * 950 / 95)
    assert found["hmof/co2_2.5bar", "schnet"].seconds is None
    known = [each for each in found.values() if each.seconds is not None]
    assert sum(all_lengths(list(found.values()))) == pytest.approx(sum(e.seconds for e in known))


def test_what_the_like_has_cost_comes_before_rates() -> None:
    params = load_profile("quick")
    done = Entry("key", "done", 0.0, cost=Cost(wall=42.0))
    estimates = Estimates({"qm9/homo/schnet/0": done})
    rates = MachineRates(threads=1, datasets={"qm9": {"schnet": 1000.0, "cgcnn": 500.0}})
    found = {(each.task, each.model): each for each in forecast(params, rates, estimates)}
    assert found["qm9/zpve", "schnet"].cell_seconds == 42.0
    sample = params.datasets["qm9"].sample
    assert sample is not None
    items = 110_000 * sample.size / 130_831
    expected = START_SECONDS + 1.1 * 4 * round(items) / 500
    assert found["qm9/homo", "cgcnn"].cell_seconds == pytest.approx(expected)


def test_rates_are_kept_by_machine(tmp_path: Path) -> None:
    rates = merged(Rates(machines={}), "a", 1, {"qm9": {"schnet": 1.0}})
    rates = merged(rates, "b", 1, {"qm9": {"schnet": 2.0}})
    rates = merged(rates, "a", 1, {"qm9": {"cgcnn": 3.0}})
    assert rates.of_machine("a").datasets == {"qm9": {"schnet": 1.0, "cgcnn": 3.0}}
    assert rates.of_machine("b").of("qm9", "schnet") == 2.0
    assert rates.of_machine("b").of("hmof", "schnet") is None
    with pytest.raises(SettingsError, match="unknown machine 'c'"):
        rates.of_machine("c")
    assert Rates(machines={}).of_machine(None).datasets == {}


def test_the_rates_of_the_project_can_be_read() -> None:
    assert isinstance(load_rates(REPOSITORY), Rates)
