"""Workers that are told to stop: a checkpoint is kept, the cell goes back, the end is the same."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bench_project import Record, write_params

from molcryst_bench.base import stopping
from molcryst_bench.base.errors import StoppedError
from molcryst_bench.base.executors import InlineExecutor
from molcryst_bench.base.isolated import isolated_executor
from molcryst_bench.bench.campaign import Conditions
from molcryst_bench.bench.cell import CellPlan, plan_cells
from molcryst_bench.bench.ledger import LEDGER, Ledger
from molcryst_bench.bench.progress import checkpoint_path
from molcryst_bench.bench.result import RESULTS, CellResult
from molcryst_bench.bench.runner import run_bench
from molcryst_bench.bench.work import run_cell
from molcryst_bench.graphs.store import GraphStore
from molcryst_bench.training.history import Epoch
from molcryst_bench.training.steps import Step


@pytest.fixture(autouse=True)
def clean(tiny_store: GraphStore) -> Iterator[None]:
    yield
    stopping.forget_request()


def schnet(project: Path, epochs: int = 6) -> CellPlan:
    params = write_params(project, training={"epochs": epochs, "batch_size": 16})
    return next(plan for plan in plan_cells(params) if plan.trains)


def interrupted(number: signal.Signals) -> Callable[..., CellResult]:
    """Return the work of a cell whose process gets a signal in its third epoch."""

    def work(plan: CellPlan, results: Path, on_step: Callable[[Step], None]) -> CellResult:
        def on_epoch(epoch: Epoch) -> None:
            if epoch.epoch == 3:
                os.kill(os.getpid(), number)

        return run_cell(plan, results, on_epoch=on_epoch, on_step=on_step)

    return work


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_leaves_a_checkpoint_from_which_the_numbers_are_the_same(
    project: Path, number: signal.Signals
) -> None:
    plan, leaderboard, record = schnet(project), project / "leaderboard", Record()
    expected = run_bench([plan], project / "calm", InlineExecutor(), Record())[0]
    handler = signal.getsignal(signal.SIGTERM)
    stopped = Conditions(work=interrupted(number))
    with pytest.raises(StoppedError, match="1 cells are left"):
        run_bench([plan], leaderboard, InlineExecutor(), record, stopped)
    assert record.returned == [
        (plan.cell.name, "told to stop; there is a checkpoint after epoch 3 of 6")
    ]
    assert checkpoint_path(plan, leaderboard / RESULTS).exists()
    assert Ledger(leaderboard / LEDGER).entries[plan.cell.name].state == "queued"
    assert signal.getsignal(signal.SIGTERM) == handler
    found = run_bench([plan], leaderboard, InlineExecutor(), Record())[0]
    assert found.weights_sha256 == expected.weights_sha256
    assert found.predictions_sha256 == expected.predictions_sha256
    entry = Ledger(leaderboard / LEDGER).entries[plan.cell.name]
    assert (entry.state, entry.attempts) == ("done", 2)


def test_an_epoch_that_would_last_longer_than_the_grace_is_broken_off() -> None:
    from molcryst_bench.bench.attempt import _breaking_off

    on_step = _breaking_off(grace=25.0)
    long = Step(epoch=2, batch=1, batches=100, train_loss=0.1, seconds=101.0)
    on_step(long)
    stopping.ask_to_stop()
    on_step(long._replace(batch=90))  # ten seconds are left of it
    with pytest.raises(StoppedError, match="the last checkpoint counts"):
        on_step(long)


def test_a_process_that_was_told_to_stop_takes_no_work_until_it_should_be_dead() -> None:
    from molcryst_bench.bench.attempt import _outlive

    stopping.ask_to_stop()
    start = time.monotonic()
    _outlive(grace=0.3)
    assert time.monotonic() - start > 0.25
    assert not stopping.told_to_stop()


@pytest.mark.slow
def test_a_worker_process_that_is_told_to_stop_is_replaced(project: Path) -> None:
    plan, leaderboard, record = schnet(project, epochs=400), project / "leaderboard", Record()
    with isolated_executor(1, threads=1) as executor:

        def stop_once() -> None:
            end = time.monotonic() + 300
            while not record.seen and time.monotonic() < end:
                time.sleep(0.1)
            executor.stop()  # type: ignore[attr-defined]

        threading.Thread(target=stop_once, daemon=True).start()
        result = run_bench([plan], leaderboard, executor, record, Conditions(slots=1))[0]
    assert len(record.returned) == 1
    assert "there is a checkpoint after epoch" in record.returned[0][1]
    expected = run_bench([plan], project / "calm", InlineExecutor(), Record())[0]
    assert result.weights_sha256 == expected.weights_sha256
