"""Searches of a cheap objective: repeatable, robust, and going on after a break."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from objectives import START, Quiet, nap, paper_space, search_in, sized, troubles, valley

from molcryst_bench.base.errors import RunError, SettingsError
from molcryst_bench.base.executors import InlineExecutor
from molcryst_bench.base.isolated import isolated_executor
from molcryst_bench.tuning.journal import TABLE, Journal, Trial, read_search
from molcryst_bench.tuning.proposer import Proposer
from molcryst_bench.tuning.settings import TuningSettings
from molcryst_bench.tuning.space_file import load_space
from molcryst_bench.tuning.workers import ExecutorWorkers

IDENTITY = {"task": "none"}
INLINE = ExecutorWorkers(InlineExecutor(), 1)


def run(folder: Path, **settings: Any) -> Journal:
    search = search_in(folder, **settings)
    journal = Journal.create(folder, IDENTITY)
    search.go_on(journal, INLINE, Quiet())
    return journal


def found(journal: Journal) -> list[tuple[Any, ...]]:
    """Return all of the trials but times and processes."""
    fields = ("trial", "origin", "status", "reason", "settings", "proposal", "error", "asked")
    return [tuple(getattr(trial, name) for name in fields) for trial in journal.trials]


@pytest.mark.parametrize("method", ["cbo", "random"])
def test_equal_seeds_propose_equal_trials(method: str, tmp_path: Path) -> None:
    one, same, other = (
        found(run(tmp_path / name, method=method, seed=seed, trials=20))
        for name, seed in [("one", 1), ("same", 1), ("other", 2)]
    )
    assert one == same
    assert len(one) == 20
    assert one[0] == other[0]
    assert all(a[4] != b[4] for a, b in zip(one[1:], other[1:], strict=True))


@pytest.mark.slow
def test_bayesian_optimisation_comes_closer_than_drawing(tmp_path: Path) -> None:
    best = {}
    for method in ("cbo", "random"):
        journals = [
            run(tmp_path / f"{method}{s}", method=method, seed=s, trials=50) for s in (1, 2)
        ]
        best[method] = sum(journal.best.error for journal in journals if journal.best)
    assert best["cbo"] < 0.6 * best["random"]


def test_the_first_trial_is_the_start_even_outside_the_space(tmp_path: Path) -> None:
    journal = run(tmp_path / "search", trials=3)
    first = journal.trials[0]
    assert (first.origin, first.settings, first.proposal) == ("published", START, None)
    assert first.error == valley(search_in(tmp_path / "x").halving, 0, START).error
    assert {trial.origin for trial in journal.trials[1:]} == {"cbo"}
    assert journal.best is not None
    assert journal.best.error is not None
    assert journal.best.error <= first.error


def test_the_table_has_every_trial_with_its_unit(tmp_path: Path) -> None:
    journal = run(tmp_path / "search", trials=4)
    rows = pq.read_table(tmp_path / "search" / TABLE).to_pylist()
    assert [row["trial"] for row in rows] == [0, 1, 2, 3]
    assert {row["error_unit"] for row in rows} == {"meV"}
    assert all(row["start"] <= row["end"] and row["worker"] for row in rows)
    assert Journal.reopen(tmp_path / "search", IDENTITY).trials == journal.trials


@pytest.mark.parametrize("method", ["cbo", "random"])
def test_a_search_goes_on_as_if_there_had_been_no_break(method: str, tmp_path: Path) -> None:
    whole = run(tmp_path / "whole", method=method, trials=20)
    for turn in (0, 2, 37):
        folder = tmp_path / f"broken-{turn}"
        broken = Journal.create(folder, IDENTITY)
        broken.trials = [_as_at(turn, trial) for trial in whole.trials if trial.asked < turn]
        broken.write()
        journal, observer = Journal.reopen(folder, IDENTITY), Quiet()
        under_way = [trial.trial for trial in journal.running]
        search_in(folder, method=method, trials=20).go_on(journal, INLINE, observer)
        assert found(journal) == found(whole)
        assert observer.told[: len(under_way)] == under_way
        assert len(observer.told) == 20 - sum(t.finished for t in broken.trials)


def _as_at(turn: int, trial: Trial) -> Trial:
    """Return a trial as it was in the table before a turn of the search."""
    if trial.told is not None and trial.told < turn:
        return copy.copy(trial)
    nothing: dict[str, Any] = dict.fromkeys(("error", "epochs", "best_epoch", "seconds", "end"))
    then = {**vars(trial), **nothing, "told": None, "status": "running", "rungs": [], "worker": ""}
    return Trial(**then)


def test_a_larger_budget_goes_on_with_a_finished_search(tmp_path: Path) -> None:
    run(tmp_path / "search", trials=5)
    journal = Journal.reopen(tmp_path / "search", IDENTITY)
    search_in(tmp_path / "search", trials=8).go_on(journal, INLINE, Quiet())
    assert found(journal) == found(run(tmp_path / "other", trials=8))


def test_trials_of_other_code_are_known_after_a_break(tmp_path: Path) -> None:
    folder = tmp_path / "search"
    before = {**IDENTITY, "code": "old"}
    search = replace(search_in(folder, trials=2), code="old")
    search.go_on(Journal.create(folder, before), INLINE, Quiet())
    journal, observer = Journal.reopen(folder, {**IDENTITY, "code": "new"}), Quiet()
    assert [trial.trial for trial in journal.with_other_code()] == [0, 1]
    replace(search_in(folder, trials=4), code="new").go_on(journal, INLINE, observer)
    assert [trial.code for trial in journal.trials] == ["old", "old", "new", "new"]
    assert read_search(folder / TABLE).identity == {"task": "none", "code": "new", "budget": 4}
    assert observer.turns
    assert [done for done, _ in observer.turns] == sorted(done for done, _ in observer.turns)


@pytest.mark.slow
def test_a_second_objective_moves_the_search_to_what_is_cheap(tmp_path: Path) -> None:
    search = replace(search_in(tmp_path, run=sized, trials=24), cost="parameters")
    journal = Journal.create(tmp_path, IDENTITY)
    search.go_on(journal, INLINE, Quiet())
    sizes = [trial.parameters or 0 for trial in journal.trials]
    assert np.median(sizes[14:]) < np.median(sizes[1:11])  # the first ten are drawn at random


def test_another_search_is_not_touched(tmp_path: Path) -> None:
    run(tmp_path / "search", trials=2)
    before = (tmp_path / "search" / TABLE).read_bytes()
    with pytest.raises(RunError, match="add --resume"):
        Journal.create(tmp_path / "search", IDENTITY)
    with pytest.raises(RunError, match="has another task"):
        Journal.reopen(tmp_path / "search", {"task": "qm9/homo"})
    assert (tmp_path / "search" / TABLE).read_bytes() == before


@pytest.mark.slow
def test_what_fails_costs_itself_alone(tmp_path: Path) -> None:
    search = search_in(tmp_path, run=troubles, trials=9)
    journal = Journal.create(tmp_path, IDENTITY)
    with isolated_executor(workers=3, threads=1, seconds=10) as executor:
        search.go_on(journal, ExecutorWorkers(executor, 3), Quiet())
    reasons = {t.trial: t.reason for t in journal.trials if t.status == "failed"}
    assert reasons == {
        1: "the loss is not finite",
        2: "its worker process died, perhaps for lack of memory",
        3: "it ran longer than its limit of 10 s",
        4: "it ran out of memory: cannot allocate",
        5: "its error is nan",
    }
    assert [t.status for t in journal.trials].count("done") == 4
    assert all(t.error is None for t in journal.trials if t.status == "failed")


def test_a_search_of_which_all_fails_ends(tmp_path: Path) -> None:
    def fail(*arguments: Any) -> Any:
        raise RunError("never")

    journal = run(tmp_path, run=fail, trials=30)
    assert {t.status for t in journal.trials} == {"failed"}
    assert len(journal.trials) == 30
    assert journal.best is None


@pytest.mark.slow
def test_workers_are_busy_and_the_budget_is_met(tmp_path: Path) -> None:
    search = search_in(tmp_path, run=nap, trials=30)
    journal = Journal.create(tmp_path, IDENTITY)
    with ThreadPoolExecutor(4) as executor:
        search.go_on(journal, ExecutorWorkers(executor, 4), Quiet())
    assert [t.trial for t in journal.trials] == list(range(30))
    first, last = min(t.start for t in journal.trials), max(t.end for t in journal.trials)
    busy = sum((t.end - t.start).total_seconds() for t in journal.trials)
    assert busy / (4 * (last - first).total_seconds()) > 0.7  # of trials of 1.5 s; longer: more


@pytest.mark.parametrize("surrogate", ["ET", "RF", "GP"])
@pytest.mark.parametrize("multi_point", ["cl_min", "cl_mean", "cl_max", "qUCB"])
def test_all_ways_of_proposing_stay_inside_the_space(
    surrogate: str, multi_point: str, tmp_path: Path
) -> None:
    space, strategy = paper_space(), {"surrogate": surrogate, "multi_point": multi_point}
    proposer = Proposer(space, TuningSettings(**strategy), 3, tmp_path)
    for _ in range(10):
        proposals = proposer.ask(2)
        settings = [space.settings(proposal) for proposal in proposals]
        assert all(space.proposal(each) is not None for each in settings)
        proposer.tell(
            [(p, (s["learning_rate"],)) for p, s in zip(proposals, settings, strict=True)]
        )


def test_conditions_reach_the_optimiser_but_not_a_gaussian_process(tmp_path: Path) -> None:
    path = tmp_path / "space.yaml"
    path.write_text(
        "training:\n"
        "  optimizer: {distribution: categorical, values: [sgd, lamb, torch_adam]}\n"
        "  average: {distribution: categorical, values: [0, 0.9]}\n"
        "  warmup: {distribution: normal, low: 0, high: 0.9, mean: 0.1, deviation: 0.2,\n"
        "    when: {optimizer: [sgd, lamb], average: [0.9]}}\n"
    )
    space = load_space(path, "schnet")
    proposer = Proposer(space, TuningSettings(), 3, tmp_path)
    for _ in range(15):
        (proposal,) = proposer.ask(1)
        settings = space.settings(proposal)
        waits = settings["optimizer"] in ("sgd", "lamb") and settings["average"] == 0.9
        assert ("warmup" in settings) == waits
        proposer.tell([(proposal, (1 - settings.get("warmup", 0.0),))])
    with pytest.raises(SettingsError, match="choose ET or RF"):
        Proposer(space, TuningSettings(surrogate="GP"), 3, tmp_path)
