"""The runner: nothing is run twice, nothing stale is kept, nothing finished is lost."""

from __future__ import annotations

import json
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from bench_project import Record, write_params

import molcryst_bench as mb
from molcryst_bench.base.errors import RunError
from molcryst_bench.base.executors import InlineExecutor
from molcryst_bench.base.isolated import isolated_executor
from molcryst_bench.bench.cell import plan_cells
from molcryst_bench.bench.ledger import LEDGER
from molcryst_bench.bench.params import Params
from molcryst_bench.bench.planned import Planned, planned_cells
from molcryst_bench.bench.result import CellResult
from molcryst_bench.bench.runner import run_bench
from molcryst_bench.bench.running import announced
from molcryst_bench.bench.seat import seat
from molcryst_bench.bench.status import BenchStatus, status_of_all
from molcryst_bench.graphs.store import GraphStore

ALL = {f"qm9/{t}/{m}/{s}" for t in ("homo", "zpve") for m in ("ridge", "schnet") for s in (0, 1)}
DIVERGING = {"learning_rate": 1e30, "optimizer": "sgd", "gradient_clip": None, "warmup": 0}
NUMBERS = ("mae", "rmse", "r2", "valid_mae", "weights_sha256", "predictions_sha256", "key")


@pytest.fixture(autouse=True)
def store(tiny_store: GraphStore) -> GraphStore:
    return tiny_store


def run(params: Params, project: Path) -> Record:
    record = Record()
    run_bench(plan_cells(params), project / "leaderboard", InlineExecutor(), record)
    return record


def status(project: Path) -> BenchStatus:
    leaderboard = project / "leaderboard"
    return status_of_all(planned_cells(project, leaderboard).cells, leaderboard)


def states(params: Params, project: Path) -> dict[str, str]:
    planned = [Planned.of(plan) for plan in plan_cells(params)]
    found = {
        cell.cell: cell.state for cell in status_of_all(planned, project / "leaderboard").cells
    }
    assert {cell.cell: cell.state for cell in status(project).cells} == found
    return found


def numbers(results: dict[str, CellResult]) -> dict[str, tuple[Any, ...]]:
    return {
        name: tuple(getattr(result, field) for field in NUMBERS) for name, result in results.items()
    }


def test_all_cells_are_run_once(project: Path) -> None:
    params = write_params(project)
    first = run(params, project)
    assert set(first.began) == set(first.done) == ALL
    table = pq.read_table(project / "leaderboard" / "results.parquet").to_pylist()
    assert {row["folder"] for row in table} == {f"results/{name}" for name in ALL}
    before = {path: path.stat().st_mtime_ns for path in project.glob("leaderboard/results/**/*.*")}
    second = run(params, project)
    assert second.began == []
    after = {path: path.stat().st_mtime_ns for path in project.glob("leaderboard/results/**/*.*")}
    assert before == after
    assert pq.read_table(project / "leaderboard" / "results.parquet").to_pylist() == table


def test_trained_models_come_first(project: Path) -> None:
    names = run(write_params(project), project).began
    assert [name.split("/")[2] for name in names] == ["schnet"] * 4 + ["ridge"] * 4


def test_the_results_are_those_of_the_predictions_on_disk(project: Path) -> None:
    for result in run(write_params(project), project).done.values():
        folder = project / "leaderboard" / result.folder
        table = pq.read_table(folder / "predictions.parquet")
        error = table["prediction"].to_numpy() - table["target"].to_numpy()
        assert abs(error).mean() * 1000 == pytest.approx(result.mae, rel=1e-12)
        assert (result.unit, result.error_unit) == ("eV", "meV")
        assert len(table) == result.n_test == 15
        assert json.loads((folder / "metrics.json").read_text())["mae_meV"] == result.mae
        assert mb.load_predictor(folder).card.store_digest == result.store_digest


@pytest.mark.parametrize(
    ("changes", "rerun"),
    [
        ({"models__schnet__hyperparameters__width": 12}, "schnet"),
        ({"models__schnet__training": {"epochs": 1}}, "schnet"),
        ({"training__learning_rate": 2e-3}, "schnet"),
        ({"models__ridge__hyperparameters": {"alpha": 0.5}}, "ridge"),
        ({"executor__workers": 1}, None),
        ({"profile": "other"}, None),
    ],
)
def test_a_change_reruns_what_depends_on_it(
    project: Path, changes: dict[str, Any], rerun: str | None
) -> None:
    first = run(write_params(project), project)
    params = write_params(project, **changes)
    expected = {name for name in ALL if rerun and f"/{rerun}/" in name}
    stale = {name for name, state in states(params, project).items() if state == "stale"}
    assert stale == expected
    second = run(params, project)
    assert set(second.began) == expected
    assert set(states(params, project).values()) == {"done"}
    if rerun:
        name = min(expected)
        assert second.done[name].key != first.done[name].key


def test_a_hyperparameter_that_says_the_default_changes_nothing(project: Path) -> None:
    run(write_params(project), project)
    params = write_params(project, models__ridge={"hyperparameters": {"alpha": 0.01}})
    assert run(params, project).began == []


def test_another_store_or_split_makes_cells_stale(project: Path, store: GraphStore) -> None:
    from molcryst_bench.graphs.draw import random_split
    from molcryst_bench.graphs.split import save_split

    params = write_params(project)
    run(params, project)
    other = random_split(store.ids.tolist(), (40, 20), seed=1)
    save_split(other, project / "datasets/qm9/splits/random.parquet")
    assert set(states(params, project).values()) == {"stale"}


def test_added_seeds_keep_the_finished_cells(project: Path) -> None:
    run(write_params(project), project)
    record = run(write_params(project, bench__seeds=[0, 1, 2], profile="more"), project)
    assert set(record.began) == {name.rpartition("/")[0] + "/2" for name in ALL}
    table = pq.read_table(project / "leaderboard" / "results.parquet")
    assert set(table["profile"].to_pylist()) == {"more"}


@pytest.mark.slow
def test_worker_processes_give_the_same_numbers(project: Path) -> None:
    plans = plan_cells(write_params(project))
    outcomes = []
    for workers in (1, 2):
        record = Record()
        with isolated_executor(workers, threads=1) as executor:
            run_bench(plans, project / f"leaderboard-{workers}", executor, record)
        outcomes.append(numbers(record.done))
    threads = torch.get_num_threads()
    try:
        inline = run(write_params(project), project)
    finally:
        torch.set_num_threads(threads)
    assert outcomes[0] == outcomes[1] == numbers(inline.done)


def test_a_failed_cell_does_not_stop_the_others(project: Path) -> None:
    params = write_params(project, models__schnet__training=DIVERGING)
    with pytest.raises(RunError, match="4 of 8 cells failed") as failure:
        run(params, project)
    assert "qm9/homo/schnet/0: the loss is not finite" in str(failure.value)
    found = states(params, project)
    assert {name for name in ALL if found[name] == "failed"} == {n for n in ALL if "schnet" in n}
    assert {name for name in ALL if found[name] == "done"} == {n for n in ALL if "ridge" in n}
    table = pq.read_table(project / "leaderboard" / "results.parquet")
    assert set(table["model"].to_pylist()) == {"ridge"}
    repaired = run(write_params(project), project)
    assert set(repaired.began) == {name for name in ALL if "schnet" in name}


def test_a_failure_keeps_the_older_result_of_the_cell(project: Path) -> None:
    first = run(write_params(project), project)
    folder = project / "leaderboard/results/qm9/homo/schnet/0"
    before = (folder / "cell.json").read_bytes()
    params = write_params(project, models__schnet__training=DIVERGING)
    with pytest.raises(RunError):
        run(params, project)
    assert (folder / "cell.json").read_bytes() == before
    again = run(write_params(project), project)
    assert again.began == []
    assert first.done["qm9/homo/schnet/0"].key == json.loads(before)["key"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"cell": "qm9/homo/ridge/0", "nonsense": 1}'])
def test_a_damaged_ledger_costs_nothing(project: Path, content: str) -> None:
    params = write_params(project)
    run(params, project)
    (project / "leaderboard" / LEDGER).write_text(content)
    assert set(states(params, project).values()) == {"done"}
    assert run(params, project).began == []


@pytest.mark.parametrize("content", ["", "{}", '{"key": "x"}', "[1]"])
def test_a_damaged_result_is_made_again(project: Path, content: str) -> None:
    params = write_params(project)
    run(params, project)
    (project / "leaderboard/results/qm9/zpve/ridge/1/cell.json").write_text(content)
    assert run(params, project).began == ["qm9/zpve/ridge/1"]


def test_what_a_killed_cell_has_left_does_no_harm(project: Path) -> None:
    params = write_params(project)
    partial = project / "leaderboard/results/qm9/homo/ridge/.0.partial"
    partial.mkdir(parents=True)
    (partial / "history.csv").write_text("epoch,train_loss,valid_mae,learning_rate,seconds\n1,2")
    assert states(params, project)["qm9/homo/ridge/0"] == "queued"
    assert set(run(params, project).done) == ALL
    assert not partial.exists()


def test_status_of_a_cell_that_is_being_run(project: Path) -> None:
    write_params(project)
    leaderboard = project / "leaderboard"
    partial = leaderboard / "results/qm9/homo/schnet/.0.partial"
    partial.mkdir(parents=True)
    (partial / "history.csv").write_text(
        "epoch,train_loss,valid_mae,learning_rate,seconds\n1,0.5,90.1,0.001,2.5\n"
    )
    with (
        seat(leaderboard, on_wait=lambda driver: None, workers=3) as driver,
        announced("qm9/homo/schnet/0", leaderboard, driver.token),
        announced("qm9/homo/schnet/1", leaderboard, "of a driver that was killed"),
    ):
        at_work = status(project)
    found = {cell.cell: cell for cell in at_work.cells}
    assert at_work.driver == driver
    assert at_work.workers == 3
    assert found["qm9/homo/schnet/0"].state == "running"
    assert found["qm9/homo/schnet/0"].detail.startswith("epoch 1 of 2, on ")
    assert found["qm9/homo/schnet/1"].state == "queued"
    afterwards = status(project)
    assert afterwards.driver is None
    assert {cell.state for cell in afterwards.cells} == {"queued"}


class DyingExecutor(InlineExecutor):
    """Its one worker dies at the first task."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_exception(BrokenProcessPool("terminated abruptly"))
        return future


def test_the_death_of_workers_is_explained(project: Path) -> None:
    plans = plan_cells(write_params(project))
    with pytest.raises(RunError, match="a worker process died, perhaps for lack of memory"):
        run_bench(plans, project / "leaderboard", DyingExecutor(), Record())
