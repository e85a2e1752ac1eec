"""Cells whose settings come from a search: keys, one search for all seeds, breaks, records."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from bench_project import Record, write_params
from test_tracking import epochs_of, inspect, logged_out, runs_in  # noqa: F401

from molcryst_bench.base.errors import StoppedError
from molcryst_bench.base.executors import InlineExecutor
from molcryst_bench.bench.cell import CellPlan, plan_cells
from molcryst_bench.bench.params import Params
from molcryst_bench.bench.planned import Planned, planned_cells
from molcryst_bench.bench.runner import run_bench
from molcryst_bench.bench.searches import SEARCHES, SearchingExecutor, searching
from molcryst_bench.bench.seat import seat
from molcryst_bench.bench.status import CellStatus, status_of_all
from molcryst_bench.graphs.store import GraphStore
from molcryst_bench.tuning.journal import Journal, Trial, read_search

SPACE = """
training:
  learning_rate: {distribution: log-uniform, low: 1.0e-4, high: 0.1}
models:
  schnet:
    width: {distribution: categorical, values: [8, 16]}
"""
SEARCH = {"trials": 3, "space": "space.yaml", "method": "random", "epochs": 1, "training_items": 20}


@pytest.fixture(autouse=True)
def space(tiny_store: GraphStore, project: Path) -> None:
    (project / "space.yaml").write_text(SPACE)


def params_with(search: dict[str, Any] | None, **changes: Any) -> Params:
    schnet = {"hyperparameters": {"width": 8, "interactions": 1, "gaussians": 8}}
    schnet |= {} if search is None else {"search": search}
    changes.setdefault("bench__tasks", ["qm9/homo"])
    return write_params(Path.cwd(), models={"ridge": {}, "schnet": schnet}, **changes)


def plans_with(search: dict[str, Any] | None, **changes: Any) -> dict[str, CellPlan]:
    return {plan.cell.name: plan for plan in plan_cells(params_with(search, **changes))}


class Told:
    def __init__(self) -> None:
        self.trials: list[tuple[str, int]] = []

    def __call__(self, search: str, trial: Trial, journal: Journal) -> None:
        self.trials.append((search, trial.trial))


def test_a_key_depends_on_the_search_and_keys_without_one_do_not() -> None:
    name = "qm9/homo/schnet/0"
    without, plain = plans_with(None), plans_with(SEARCH)
    assert without["qm9/homo/ridge/0"].key == plain["qm9/homo/ridge/0"].key
    keys = {without[name].key, plain[name].key}
    changes: list[dict[str, Any]] = [{"trials": 4}, {"seed": 1}, {"method": "cbo"}, {"epochs": 2}]
    for change in changes:
        keys.add(plans_with(SEARCH | change)[name].key)
    Path("space.yaml").write_text(SPACE.replace("0.1}", "0.2}"))
    keys.add(plans_with(SEARCH)[name].key)
    assert len(keys) == 7
    Path("space.yaml").rename("other.yaml")
    assert plans_with(SEARCH | {"space": "other.yaml"})[name].key in keys  # of the same content


def test_all_seeds_train_with_what_one_search_has_found(project: Path) -> None:
    plans, told = plans_with(SEARCH), Told()
    leaderboard = project / "leaderboard"
    with (
        ThreadPoolExecutor(1) as pool,
        searching(pool, leaderboard / "results", 1, told) as executor,
    ):
        results = run_bench(list(plans.values()), leaderboard, executor, Record())
    assert told.trials == [("qm9/homo/schnet/random-0", trial) for trial in range(3)]
    table = leaderboard / "results" / SEARCHES / "qm9/homo/schnet/random-0" / "search.parquet"
    trials = read_search(table).trials
    assert [trial.epochs for trial in trials] == [1, 1, 1]
    best = min(trials, key=lambda trial: trial.error or float("inf"))
    for result in results:
        if result.model == "schnet":
            assert json.loads(result.hyperparameters)["width"] == best.settings["width"]
            training = json.loads(result.training)
            assert training["learning_rate"] == best.settings["learning_rate"]
            assert training["epochs"] == 2  # of the profile: the search had a limit of its own
            assert result.n_train == 50  # all of them, where trials had 20
    again = Told()
    with searching(InlineExecutor(), leaderboard / "results", 1, again) as executor:
        run_bench(list(plans.values()), leaderboard, executor, Record())
    assert again.trials == []


class Breaking(Executor):
    """Runs some pieces of work, and then no more: as if all workers had died."""

    def __init__(self, pieces: int, first: Callable[[], None] = lambda: None) -> None:
        self.pieces = pieces
        self.first = first

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        if fn is not os.getpid:
            self.pieces -= 1
        if self.pieces < 0:
            self.first()
            raise BrokenExecutor("dead")
        return InlineExecutor().submit(fn, *args, **kwargs)


@pytest.mark.parametrize("told_to_stop", [False, True])
def test_a_search_that_is_broken_off_loses_no_trial(project: Path, told_to_stop: bool) -> None:
    plan, told = plans_with(SEARCH)["qm9/homo/schnet/0"], Told()
    results = project / "results"
    broken = SearchingExecutor(Breaking(2), results, 1, told)
    if told_to_stop:
        broken.executor = Breaking(2, broken.stop)
    with pytest.raises(StoppedError if told_to_stop else BrokenExecutor):
        broken.submit(_settings, plan).result()
    broken.shutdown()
    table = results / SEARCHES / "qm9/homo/schnet/random-0" / "search.parquet"
    assert [trial.status for trial in read_search(table).trials] == ["done", "done", "running"]
    with searching(InlineExecutor(), results, 1, told) as executor:
        found = executor.submit(_settings, plan).result()
    assert [trial for _, trial in told.trials] == [0, 1, 2]
    assert {trial.status for trial in read_search(table).trials} == {"done"}
    whole = project / "whole"
    with searching(InlineExecutor(), whole, 1, Told()) as executor:
        assert executor.submit(_settings, plan).result() == found


def _settings(plan: CellPlan) -> tuple[Any, ...]:
    return plan.hyperparameters, plan.training, plan.key


def test_a_search_of_other_code_is_out_of_date(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, told = plans_with(SEARCH)["qm9/homo/schnet/0"], Told()
    with searching(InlineExecutor(), project, 1, told) as executor:
        executor.submit(_settings, plan).result()
    monkeypatch.setattr("molcryst_bench.tuning.plan.code_of", lambda model: "other")
    plan = plans_with(SEARCH)["qm9/homo/schnet/0"]
    with searching(InlineExecutor(), project, 1, told) as executor:
        executor.submit(_settings, plan).result()
    assert [trial for _, trial in told.trials] == [0, 1, 2, 0, 1, 2]


def test_workers_are_shared_by_the_searches_under_way() -> None:
    plans, results = plans_with(SEARCH, bench__tasks=["qm9/homo", "qm9/zpve"]), Path("results")
    gate = threading.Event()

    class Gated(Executor):
        def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            gate.wait(120)
            return InlineExecutor().submit(fn, *args, **kwargs)

    with searching(Gated(), results, 4, Told()) as executor:
        futures = [executor.submit(_settings, plans[f"qm9/{t}/schnet/0"]) for t in ("homo", "zpve")]
        end = time.monotonic() + 120
        while executor.share != 2 and time.monotonic() < end:
            time.sleep(0.01)
        assert executor.share == 2
        gate.set()
        for future in futures:
            future.result()
        assert executor.share == 4


def test_a_cell_whose_search_is_under_way_says_how_far_it_is(project: Path) -> None:
    params, leaderboard = params_with(SEARCH), project / "leaderboard"
    plan = plans_with(SEARCH)["qm9/homo/schnet/0"]

    def found() -> CellStatus:
        assert planned_cells(project, leaderboard).cells == [
            Planned.of(each) for each in plan_cells(params)
        ]
        return status_of_all([Planned.of(plan)], leaderboard).cells[0]

    broken = SearchingExecutor(Breaking(2), leaderboard / "results", 1, Told())
    with seat(leaderboard, on_wait=lambda driver: None):
        assert found().state == "queued"
        with pytest.raises(BrokenExecutor):
            broken.submit(_settings, plan).result()
        assert found().state == "searching"
        assert found().detail == "2 of 3 trials for its settings"
    broken.shutdown()
    assert found().state == "queued"  # nobody is at work


@pytest.mark.usefixtures("logged_out")
def test_each_trial_has_a_record_read_back_by_wandb_itself(project: Path) -> None:
    plans = plans_with(SEARCH | {"trials": 2, "epochs": 2, "cost": "inference"}, tracking="wandb")
    plan = plans["qm9/homo/schnet/0"]
    with searching(InlineExecutor(), project, 1, Told()) as executor:
        executor.submit(_settings, plan).result()
    table = project / SEARCHES / "qm9/homo/schnet/random-0" / "search.parquet"
    trials, runs = read_search(table).trials, runs_in(project)
    read = {found["name"]: found for found in (json.loads(inspect(r, "--summary")) for r in runs)}
    assert len(runs) == len(trials) == 2
    for trial in trials:
        found = read[f"qm9/homo/schnet/random-0/trial {trial.trial + 1}"]
        assert (found["state"], found["exit_code"]) == ("finished", 0)
        assert found["summary"]["error_meV"] == trial.error
        assert found["summary"]["parameters"] == trial.parameters
        assert found["summary"]["inference_seconds"] == trial.inference_seconds
        assert found["config"]["searched"] == trial.settings
        assert found["config"]["error_unit"] == "meV"
        for name in ("store", "split", "code"):
            assert found["config"][name] == read_search(table).identity[name]
    curves = [[epoch["valid_mae_meV"] for epoch in epochs_of(run)] for run in runs]
    assert sorted(min(curve) for curve in curves) == pytest.approx(
        sorted(trial.error for trial in trials if trial.error is not None)
    )
