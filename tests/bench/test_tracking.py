"""Cells that are tracked, read back by the reader of Weights & Biases itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow.parquet as pq
import pytest
import springs
import yaml
from bench_project import write_params

from molcryst_bench.base.errors import SettingsError
from molcryst_bench.bench.cell import CellPlan, plan_cells
from molcryst_bench.bench.logged import prediction_table
from molcryst_bench.bench.params import load_params
from molcryst_bench.bench.result import CellResult, metrics_of
from molcryst_bench.bench.work import run_cell
from molcryst_bench.graphs.store import GraphStore
from molcryst_bench.training.evaluate import Predictions
from molcryst_bench.training.history import Epoch
from molcryst_bench.training.metrics import errors_of

EPOCHS = 3
OF_THE_USER = ("API_KEY", "BASE_URL", "DIR", "IDENTITY_TOKEN_FILE", "MODE", "PROJECT", "SERVICE")


@pytest.fixture(autouse=True)
def logged_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Let the user be nobody, whoever runs the tests; a session reads the environment once."""
    import wandb

    for name in OF_THE_USER:
        monkeypatch.delenv(f"WANDB_{name}", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "no-settings"))
    yield
    with suppress(Exception):
        wandb.teardown()


@pytest.fixture
def plan(project: Path, tiny_store: GraphStore) -> CellPlan:
    training = {"epochs": EPOCHS, "batch_size": 16}
    params = write_params(project, bench__seeds=[4], training=training, tracking="wandb")
    return next(p for p in plan_cells(params) if p.cell.name == "qm9/homo/schnet/4")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A server of runs that lets nobody in; what it is asked for. All traffic would go there."""
    asked: list[str] = []

    class Refuse(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            self.send_error(401)

        do_GET = do_CONNECT = do_POST

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Refuse) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{listening.server_port}"
        for name in ("WANDB_BASE_URL", "HTTP_PROXY", "HTTPS_PROXY", "https_proxy", "http_proxy"):
            monkeypatch.setenv(name, address)
        yield asked
        listening.shutdown()


def runs_in(results: Path) -> list[Path]:
    return sorted(results.glob("wandb/*run-*"))


def inspect(run: Path, *options: str) -> str:
    """What the terminal viewer of Weights & Biases reads in the folder of a run."""
    command = [sys.executable, "-m", "wandb", "leet", "inspect", str(run), "--json", *options]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def epochs_of(run: Path) -> list[dict[str, Any]]:
    records = [json.loads(line) for line in inspect(run).splitlines()]
    items = [each["history"]["item"] for each in records if each["type"] == "history"]
    return [item for item in items if "epoch" in item]


def warned(work: Callable[[], CellResult]) -> tuple[CellResult, list[str]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = work()
    return result, [str(each.message) for each in caught if "Weights" in str(each.message)]


def test_a_run_tells_settings_digests_curves_errors_predictions_and_figures(
    plan: CellPlan, project: Path, server: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    told: list[Epoch] = []
    result = run_cell(plan, project / "results", on_epoch=told.append)
    assert capfd.readouterr() == ("", "")
    assert server == []
    (run,) = runs_in(project / "results")
    read = json.loads(inspect(run, "--summary"))
    assert (read["name"], read["state"], read["exit_code"]) == ("qm9/homo/schnet/4", "finished", 0)
    config, found = read["config"], read["summary"]
    for name in ("key", "store_digest", "split_digest", "code_digest", "split", "seed", "task"):
        assert config[name] == getattr(result, name)
    assert config["hyperparameters"] == json.loads(result.hyperparameters)
    assert config["training"] == json.loads(result.training)
    assert metrics_of(result).items() <= found.items()
    assert found["weights_sha256"] == result.weights_sha256
    read_back = epochs_of(run)
    assert [each["epoch"] for each in read_back] == [each["_step"] for each in read_back]
    for read_epoch, epoch in zip(read_back, told, strict=True):
        assert read_epoch["valid_mae_meV"] == epoch.valid_mae
        assert read_epoch["train_loss"] == epoch.train_loss
        assert read_epoch["learning_rate"] == epoch.learning_rate
    for name in ("parity", "learning_curve"):
        assert (run / "files" / found[name]["path"]).read_bytes().startswith(b"\x89PNG")
    table = json.loads((run / "files" / found["predictions"]["path"]).read_text())
    rows = pq.read_table(project / "results" / "qm9/homo/schnet/4" / "predictions.parquet")
    assert {row[0]: tuple(row[1:3]) for row in table["data"]} == {
        row["id"]: (row["target"], row["prediction"]) for row in rows.to_pylist()
    }


def test_forces_have_curves_and_a_figure_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "project"
    root.mkdir()
    monkeypatch.chdir(root)
    springs.make_store(root)
    settings = {
        "profile": "test",
        "datasets": {"rmd17": {}},
        "bench": {"tasks": ["rmd17/ethanol"], "seeds": [0]},
        "models": {"schnet": {"hyperparameters": {"width": 4, "interactions": 1, "gaussians": 6}}},
        "training": {"epochs": 2, "batch_size": 16},
    }
    (root / "params.yaml").write_text(yaml.safe_dump(settings))
    told: list[Epoch] = []
    result = run_cell(plan_cells(load_params())[0], root / "results", on_epoch=told.append)
    (run,) = runs_in(root / "results")
    errors = [each["valid_forces_mae_kcal/mol/Å"] for each in epochs_of(run)]
    assert errors == [epoch.valid_forces_mae for epoch in told]
    found = json.loads(inspect(run, "--summary"))["summary"]
    assert found["forces_mae_kcal/mol/Å"] == result.forces_mae
    assert (run / "files" / found["parity_forces"]["path"]).exists()


def test_a_cell_that_was_broken_off_has_one_run_with_each_epoch_once(
    plan: CellPlan, project: Path
) -> None:
    class Killed(Exception):
        pass

    def kill(epoch: Epoch) -> None:
        if epoch.epoch == 2:
            raise Killed

    results = project / "results"
    with pytest.raises(Killed):
        run_cell(plan, results, on_epoch=kill, checkpoint_seconds=0)
    (broken,) = runs_in(results)
    read = json.loads(inspect(broken, "--summary"))
    assert (read["state"], read["exit_code"]) == ("failed", 1)
    run_cell(plan, results, checkpoint_seconds=0)
    (run,) = runs_in(results)
    assert [each["epoch"] for each in epochs_of(run)] == [1, 2, 3]


def test_without_tracking_nothing_is_written_and_nothing_else_changes(
    plan: CellPlan, project: Path
) -> None:
    params = write_params(project, tracking="none", bench__seeds=[4])
    assert {each.tracking for each in plan_cells(params)} == {"none"}
    untracked = replace(plan, tracking="none")
    result = run_cell(untracked, project / "untracked")
    assert not (project / "untracked" / "wandb").exists()
    tracked = run_cell(plan, project / "tracked")
    assert (tracked.key, tracked.weights_sha256) == (result.key, result.weights_sha256)
    with pytest.raises(SettingsError, match="'tracking' is 'wand'"):
        write_params(project, tracking="wand")


def test_keys_do_not_depend_on_tracking(project: Path, tiny_store: GraphStore) -> None:
    keys = [
        [plan.key for plan in plan_cells(write_params(project, tracking=tracking))]
        for tracking in ("wandb", "none")
    ]
    assert keys[0] == keys[1]


def test_who_is_logged_in_goes_online_and_stays_offline_if_nobody_answers(
    plan: CellPlan, project: Path, server: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    results = project / "results"
    _, said = warned(lambda: run_cell(plan, results))
    assert server == ["/graphql"]
    (message,) = said
    assert "401" in message
    assert "'wandb sync'" in message
    _, said = warned(lambda: run_cell(replace(plan, key="b" * 64), results))
    assert (server, said) == (["/graphql"], [])
    offline = list(results.glob("wandb/offline-run-*"))
    assert len(offline) == 2
    assert all(len(epochs_of(run)) == EPOCHS for run in offline)


def test_the_mode_of_the_user_comes_first(
    plan: CellPlan, project: Path, server: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(project / "elsewhere"))
    run_cell(plan, project / "results")
    assert len(runs_in(project / "elsewhere")) == 1
    assert not (project / "results" / "wandb").exists()
    assert server == []


def _forbid_the_folder(results: Path) -> None:
    results.mkdir()
    (results / "wandb").write_text("a file where a folder would be")


def _kill_the_service(_: Epoch) -> None:
    for child in psutil.Process().children():
        if child.name() == "wandb-core":
            child.kill()


def _fill_the_disk(results: Path, disk: Path) -> None:
    results.mkdir()
    (results / "wandb").symlink_to(disk)
    with suppress(OSError), (disk / "filler").open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    os.truncate(disk / "filler", (disk / "filler").stat().st_size - 16384)


@pytest.mark.parametrize("what", ["no folder", "full disk", "killed service"])
def test_what_goes_wrong_costs_one_warning_and_no_cell(
    plan: CellPlan,
    project: Path,
    what: str,
    request: pytest.FixtureRequest,
    capfd: pytest.CaptureFixture[str],
) -> None:
    results = project / "results"
    if what == "no folder":
        _forbid_the_folder(results)
    elif what == "full disk":
        _fill_the_disk(results, request.getfixturevalue("small_disk"))
    kill = _kill_the_service if what == "killed service" else lambda _: None
    result, said = warned(lambda: run_cell(plan, results, on_epoch=kill))
    assert capfd.readouterr() == ("", "")
    assert result.epochs == EPOCHS
    assert (results / "qm9/homo/schnet/4" / "model.safetensors").exists()
    (message,) = said
    assert "keeps no whole record of qm9/homo/schnet/4" in message
    assert "'tracking: none'" in message


def test_a_table_of_many_predictions_has_the_worst_and_some_of_the_others(plan: CellPlan) -> None:
    generator = np.random.default_rng(0)
    target = generator.normal(size=5000)
    prediction = target + generator.normal(size=5000)
    ids = np.array([f"m{index}" for index in range(5000)])
    errors = errors_of(prediction, target, plan.task.definition)
    test = Predictions(ids, target, prediction, errors, seconds=1.0)
    columns, rows = prediction_table(plan, test)
    assert columns[:4] == ["id", "target (eV)", "prediction (eV)", "error (meV)"]
    assert len({row[0] for row in rows}) == len(rows) == 2000
    worst = [row for row in rows if row[4] == "largest error"]
    sizes = np.sort(np.abs(prediction - target))[::-1]
    assert [abs(row[3]) for row in worst] == pytest.approx(list(1000 * sizes[:1000]))
    drawn = np.array([abs(row[3]) for row in rows if row[4] == "drawn at random"]) / 1000
    assert drawn.mean() == pytest.approx(sizes[1000:].mean(), rel=0.1)
