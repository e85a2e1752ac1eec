"""What a person sees of a training: errors with units and the time left, in a terminal or a log."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import springs
import yaml
from bench_project import write_params
from rich.console import Console

from molcryst_bench.base.files import partial_of
from molcryst_bench.bench.cell import CellPlan, plan_cells
from molcryst_bench.bench.params import load_params
from molcryst_bench.bench.progress import HISTORY, history_writer
from molcryst_bench.bench.work import run_cell
from molcryst_bench.cli import board, training
from molcryst_bench.cli.board import Board
from molcryst_bench.cli.training import TrainingProgress, errors_in_words, time_left
from molcryst_bench.graphs.store import GraphStore
from molcryst_bench.training import steps
from molcryst_bench.training.history import Epoch
from molcryst_bench.training.steps import Step

CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture
def plan(project: Path, tiny_store: GraphStore) -> CellPlan:
    write_params(project, training={"epochs": 3, "batch_size": 16})
    return next(p for p in plan_cells(load_params()) if p.cell.name == "qm9/homo/schnet/0")


@pytest.fixture
def every_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tell of every batch."""
    monkeypatch.setattr(steps, "_TELL_SECONDS", 0.0)
    monkeypatch.setattr(training, "EPOCH_SECONDS", 0.0)
    monkeypatch.setattr(training, "STEP_SECONDS", 0.0)


def output_of(plan: CellPlan, terminal: bool) -> tuple[str, list[Epoch]]:
    told: list[Epoch] = []
    console = Console(file=io.StringIO(), force_terminal=terminal, width=80)
    with TrainingProgress(plan, console) as progress:

        def on_epoch(epoch: Epoch) -> None:
            told.append(epoch)
            progress.on_epoch(epoch)
            progress.progress.refresh()

        run_cell(plan, Path("results"), on_epoch=on_epoch, on_step=progress.on_step)
    return CONTROL.sub("", console.file.getvalue()), told


@pytest.mark.usefixtures("every_word")
def test_a_log_has_a_line_for_each_epoch_and_each_batch(plan: CellPlan) -> None:
    text, told = output_of(plan, terminal=False)
    lines = text.splitlines()
    assert len(lines) == 3 * (4 + 1)  # 50 structures in batches of 16
    assert lines[0].startswith("qm9/homo/schnet/0: epoch 1 of 3, batch 1 of 4: train loss ")
    for line, epoch in zip(lines[4::5], told, strict=True):
        assert f"epoch {epoch.epoch} of 3: train loss {epoch.train_loss:.4g}" in line
        assert f"validation error {epoch.valid_mae:.4g} meV" in line
        assert re.search(r"; \d+ s(, \d+ s left)?$", line)


def test_a_log_of_a_short_training_has_its_end_alone(
    plan: CellPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "EPOCH_SECONDS", 1000.0)
    (line,) = output_of(plan, terminal=False)[0].splitlines()
    assert "epoch 3 of 3" in line


def test_a_terminal_has_a_bar_and_the_errors_below_it(plan: CellPlan) -> None:
    text, told = output_of(plan, terminal=True)
    assert "qm9/homo/schnet/0 ━" in text
    assert "epoch 3 of 3" in text
    for epoch in told:
        errors = f"train loss {epoch.train_loss:.4g}, validation error {epoch.valid_mae:.4g} meV"
        assert errors in text


@pytest.mark.usefixtures("every_word")
def test_a_model_fitted_in_one_step_has_no_epochs_to_show(plan: CellPlan) -> None:
    ridge = next(p for p in plan_cells(load_params()) if p.cell.name == "qm9/homo/ridge/0")
    assert output_of(ridge, terminal=False)[0] == ""


def test_errors_of_forces_have_their_own_unit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    springs.make_store(tmp_path)
    settings = {
        "profile": "test",
        "datasets": {"rmd17": {}},
        "bench": {"tasks": ["rmd17/ethanol"], "seeds": [0]},
        "models": {"mean": {}},
    }
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(settings))
    epoch = Epoch(1, 0.1, 0.25, 1e-3, 1.0, valid_forces_mae=1.5)
    words = errors_in_words(plan_cells(load_params())[0], epoch)
    assert words == "validation error 0.25 kcal/mol, forces 1.5 kcal/mol/Å"


def test_the_time_left_is_that_of_the_pace_so_far(plan: CellPlan) -> None:
    long = replace(plan, training=plan.training.model_copy(update={"epochs": 500}))
    assert time_left(long, done=0.02, seconds=1.7) == ""  # too early
    assert time_left(long, done=0.05, seconds=4.25) == "11 h 48 min left"
    assert time_left(long, done=250, seconds=21_250) == "5 h 54 min left"
    assert time_left(long, done=500, seconds=42_500) == ""
    patient = replace(long, training=long.training.model_copy(update={"patience": 9}))
    assert time_left(patient, done=499, seconds=9_980) == "at most 20 s left"


@pytest.mark.usefixtures("every_word")
def test_steps_count_batches_and_seconds_on_after_a_break(plan: CellPlan) -> None:
    class Killed(Exception):
        pass

    def kill(epoch: Epoch) -> None:
        if epoch.epoch == 3:
            raise Killed

    told: list[Step] = []
    run: Callable[..., object] = lambda **more: run_cell(  # noqa: E731
        plan, Path("results"), checkpoint_seconds=0, on_step=told.append, **more
    )
    with pytest.raises(Killed):
        run(on_epoch=kill)
    before = list(told)
    assert [(s.epoch, s.batch) for s in before] == [(e, b) for e in (1, 2, 3) for b in range(1, 5)]
    assert {step.batches for step in before} == {4}
    told.clear()
    run()
    assert [(step.epoch, step.batch) for step in told] == [(3, b) for b in range(1, 5)]
    assert told[0].seconds > before[7].seconds  # the last one before the checkpoint


def test_the_log_of_a_benchmark_tells_of_the_running_cells(
    plan: CellPlan, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(board, "_LINE_SECONDS", 0.0)
    folder = partial_of(Path("leaderboard", "results", plan.cell.name))
    folder.mkdir(parents=True)
    with Board(Path("leaderboard")) as shown:
        shown.started([plan], finished=0)
        capsys.readouterr()
        tell = history_writer(folder / HISTORY)
        shown.tick([plan])
        assert capsys.readouterr().out == ""
        for number in (1, 2):
            tell(Epoch(number, 0.5, 90.25 / number, 1e-3, 30.0 * number))
        shown.tick([plan])
    words = "epoch 2 of 3: validation error 45.12 meV, 30 s left"
    assert capsys.readouterr().out == f"qm9/homo/schnet/0: {words}\n"
