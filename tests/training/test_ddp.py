"""Several processes come to what one does, up to rounding."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import springs
import torch
from interrupts import heed_interrupts
from safetensors.torch import load_file

from molcryst_bench.base.errors import RunError
from molcryst_bench.base.executors import worker_pool
from molcryst_bench.bench.cell import plan_cells
from molcryst_bench.bench.params import load_params, single_cell
from molcryst_bench.bench.work import run_cell
from molcryst_bench.graphs.store import GraphStore
from molcryst_bench.training.data import TaskData
from molcryst_bench.training.fit import Fitted, fit
from molcryst_bench.training.history import Epoch
from molcryst_bench.training.ranks import joined, started_outside
from molcryst_bench.training.settings import TrainingSettings
from molcryst_bench.training.task import load_task

SMALL = {"width": 8, "interactions": 1, "gaussians": 8}
EXACT = {"precision": "64-true", "device": "cpu"}
BATCH = 7  # of 50 graphs: in the last one there is one, for two ranks


@pytest.fixture
def data(tiny_store: GraphStore) -> TaskData:
    return TaskData.load(load_task("qm9/zpve"), tiny_store)


def run(
    data: TaskData, devices: int, model: str = "schnet", given: Any = SMALL, **settings: Any
) -> Fitted:
    chosen = {"epochs": 4, "batch_size": BATCH, "devices": devices, **EXACT, **settings}
    return fit(data, model, given, TrainingSettings(**chosen), seed=0)


def numbers(fitted: Fitted) -> list[float]:
    epochs = [epoch._replace(seconds=0) for epoch in fitted.history]
    return [number for epoch in epochs for number in epoch if number is not None]


def check_same(one: Fitted, two: Fitted, rounding: float = 1e-9) -> None:
    assert numbers(two) == pytest.approx(numbers(one), rel=rounding)
    assert one.best.epoch == two.best.epoch
    other = two.regressor.state_dict()
    for name, value in one.regressor.state_dict().items():
        same = torch.allclose(value, other[name], rtol=10 * rounding, atol=rounding)
        assert same, name


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [{"average": 0.9}, {"accumulate": 3, "optimizer": "lamb", "schedule": "plateau"}],
    ids=str,
)
def test_two_processes_learn_energies_as_one_does(data: TaskData, settings: Any) -> None:
    check_same(run(data, 1, **settings), run(data, 2, **settings))


@pytest.mark.slow
def test_batch_normalisation_is_over_the_batch_of_all_processes(data: TaskData) -> None:
    # Of two in the last batch none is a stand-in, which would have a part in the statistics.
    one, two = (run(data, n, "cgcnn", {"width": 8}, batch_size=8, epochs=3) for n in (1, 2))
    names = [name for name in one.regressor.state_dict() if name.endswith("running_var")]
    assert names
    check_same(one, two)


@pytest.mark.slow
def test_two_processes_learn_forces_as_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = springs.make_store(tmp_path)
    data = TaskData.load(load_task("rmd17/ethanol"), store)
    one, two = (run(data, devices, loss="l2", energy_weight=0.5) for devices in (1, 2))
    assert one.history[-1].valid_forces_mae is not None
    check_same(one, two, rounding=1e-6)  # positions, and forces with them, are in float32


class Killed(Exception):
    """What ends a run in the middle."""


@pytest.mark.slow
def test_a_run_of_two_processes_goes_on_after_a_break(data: TaskData, tmp_path: Path) -> None:
    def on_epoch(epoch: Epoch) -> None:
        if epoch.epoch == 3:
            raise Killed

    kept: Any = {"checkpoint": tmp_path / "run.ckpt", "checkpoint_seconds": 0}
    settings = TrainingSettings(epochs=4, batch_size=BATCH, devices=2, average=0.9, **EXACT)
    with pytest.raises(Killed):
        fit(data, "schnet", SMALL, settings, 0, on_epoch=on_epoch, **kept)
    resumed = fit(data, "schnet", SMALL, settings, 0, **kept)
    check_same(run(data, 1, average=0.9), resumed)


def fails(environment: Any) -> None:
    raise RunError(f"rank {environment.global_rank()} is out of memory")


def dies(environment: Any) -> None:
    del environment
    os._exit(1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("work", "reason"), [(fails, "rank 1 is out of memory"), (dies, "another device died")]
)
def test_the_reason_of_another_rank_is_told(work: Any, reason: str) -> None:
    settings = TrainingSettings(devices=2, device="cpu")
    with pytest.raises(RunError, match=reason):
        lose_the_line(settings, work)


def lose_the_line(settings: TrainingSettings, work: Any) -> None:
    with joined(None, settings, work):
        time.sleep(20)
        raise RuntimeError("the line is dead")


def test_several_nodes_are_started_from_outside() -> None:
    settings = TrainingSettings(nodes=2, device="cpu")
    with pytest.raises(RunError, match="srun --nodes=2"), joined(None, settings, fails):
        pass


PARAMS = """
profile: test
datasets: {qm9: {}}
tracking: none
bench: {tasks: [qm9/zpve], seeds: [0]}
models: {schnet: {hyperparameters: {width: 8, interactions: 1, gaussians: 8}}}
training: {epochs: 3, batch_size: 7, precision: 64-true, device: cpu}
"""
CODE = "from molcryst_bench.cli.main import run; run()"
CELL = Path("qm9/zpve/schnet/0")


def start(output: str, *changes: str, **more: Any) -> subprocess.Popen[str]:
    """Train at the command line."""
    Path("params.yaml").write_text(PARAMS)
    line = [sys.executable, "-c", CODE, "train", "qm9/zpve", "schnet", "--profile", "active"]
    settings = [word for change in changes for word in ("--set", change)]
    piped: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    command = [*line, "--output", output, *settings]
    return subprocess.Popen(command, preexec_fn=heed_interrupts, **piped, **more)


@pytest.mark.slow
def test_a_worker_of_the_runner_starts_the_other_processes(
    project: Path, tiny_store: GraphStore
) -> None:
    del tiny_store
    (project / "params.yaml").write_text(PARAMS)
    one, two = (
        plan_cells(single_cell(load_params(), "qm9/zpve", "schnet", 0, {"devices": devices}))[0]
        for devices in (1, 2)
    )
    assert one.key == two.key
    with worker_pool(workers=1, threads=1) as pool:
        result = pool.submit(run_cell, two, project / "two").result()
    assert result.mae == pytest.approx(run_cell(one, project / "one").mae, rel=1e-6)


@pytest.mark.slow
def test_two_nodes_of_slurm_train_one_model_and_the_first_one_writes(
    project: Path, tiny_store: GraphStore
) -> None:
    del tiny_store
    whole = start("one")
    assert whole.wait() == 0
    nodes = [start("two", "nodes=2", env={**os.environ, **slurm(rank)}) for rank in range(2)]
    outputs = [node.communicate(timeout=200) for node in nodes]
    assert [node.returncode for node in nodes] == [0, 0], outputs
    assert "test error (MAE)" in outputs[0][0]
    assert outputs[1] == ("", "")
    one, two = (load_file(Path(name, CELL, "model.safetensors")) for name in ("one", "two"))
    assert all(torch.allclose(one[name], two[name], rtol=1e-8, atol=1e-9) for name in one)


def slurm(node: int) -> dict[str, str]:
    """Return what srun sets on one of two nodes, which are here the same machine."""
    return {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(20_000 + os.getpid() % 10_000),
        "SLURM_JOB_ID": "1",
        "SLURM_STEP_NUM_TASKS": "2",
        "SLURM_NTASKS": "2",
        "SLURM_NTASKS_PER_NODE": "1",
        "SLURM_NNODES": "2",
        "SLURM_NODEID": str(node),
        "SLURM_PROCID": str(node),
        "SLURM_LOCALID": "0",
    }


def test_a_job_of_another_size_than_the_settings_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert started_outside(TrainingSettings(device="cpu")) is None
    for name, value in slurm(0).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(RunError, match="2 processes were started for 1 devices on each of 1 nodes"):
        started_outside(TrainingSettings(device="cpu"))
    environment = started_outside(TrainingSettings(device="cpu", nodes=2))
    assert environment is not None
    assert (environment.global_rank(), environment.world_size()) == (0, 2)
    with pytest.raises(RunError, match="ntasks-per-node=1"):
        started_outside(TrainingSettings(device="cpu", devices=2))


@pytest.mark.slow
def test_a_run_on_two_devices_that_is_killed_leaves_nobody(
    project: Path, tiny_store: GraphStore
) -> None:
    del tiny_store
    process = start("two", "devices=2", "epochs=100000", start_new_session=True)
    wait_for(has_begun)
    process.kill()
    process.wait()
    wait_for(lambda: not has_members(process.pid))


@pytest.mark.slow
@pytest.mark.parametrize("devices", [1, 2])
def test_an_interrupted_run_says_how_to_go_on(
    devices: int, project: Path, tiny_store: GraphStore
) -> None:
    del tiny_store
    changes = (f"devices={devices}", "epochs=100000")
    process = start("two", *changes, start_new_session=True)
    wait_for(has_begun)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, words = process.communicate(timeout=300)
    assert process.returncode == 130
    assert words.startswith("Interrupted. The same command with --resume goes on.")
    assert "Traceback" not in words
    wait_for(lambda: not has_members(process.pid))


def has_begun() -> bool:
    history = Path("two", CELL.with_name(".0.partial"), "history.csv")
    return history.exists() and len(history.read_text().splitlines()) > 1


def has_members(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def wait_for(condition: Callable[[], bool], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.2)
