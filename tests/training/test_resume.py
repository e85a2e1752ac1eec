"""A run that was killed ends with the weights of one that never was."""

from __future__ import annotations

import contextlib
import os
import pickle
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from molcryst_bench.base.errors import MolcrystError, RunError
from molcryst_bench.base.files import checksum_of
from molcryst_bench.graphs.store import GraphStore
from molcryst_bench.training.data import TaskData
from molcryst_bench.training.fit import Fitted, fit
from molcryst_bench.training.history import Epoch
from molcryst_bench.training.settings import TrainingSettings
from molcryst_bench.training.task import load_task

SMALL = {"width": 8, "interactions": 1, "gaussians": 8}
SETTINGS = [
    {},
    {"optimizer": "sgd", "schedule": "plateau", "plateau_patience": 1},
    {"optimizer": "lamb", "schedule": "one_cycle", "accumulate": 2},
    {"average": 0.9, "weight_decay": 1e-3},
    {"precision": "bf16-mixed", "patience": 2},
]
KILLS = 10


class Killed(Exception):
    """What ends a run in the middle."""


@pytest.fixture
def data(tiny_store: GraphStore) -> TaskData:
    return TaskData.load(load_task("qm9/zpve"), tiny_store)


def run(
    data: TaskData,
    settings: dict[str, Any],
    checkpoint: Path | None = None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> Fitted:
    chosen = TrainingSettings(**{"epochs": 7, "batch_size": 16, **settings})
    return fit(data, "schnet", SMALL, chosen, 0, on_epoch, checkpoint, checkpoint_seconds=0)


def same(one: Fitted, other: Fitted) -> bool:
    a, b = one.regressor.state_dict(), other.regressor.state_dict()
    return all(torch.equal(a[name], b[name]) for name in a)


def without_seconds(history: list[Epoch]) -> list[Epoch]:
    return [epoch._replace(seconds=0.0) for epoch in history]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_a_run_broken_off_ends_as_if_it_had_not_been(
    data: TaskData, settings: dict[str, Any], tmp_path: Path
) -> None:
    whole, checkpoint = run(data, settings), tmp_path / "run.ckpt"
    for last in (1, 3, 4):
        with pytest.raises(Killed):
            run(data, settings, checkpoint, _break_after(last))
        assert checkpoint.exists() == (last > 1)  # the first epoch was not at its end
    told: list[Epoch] = []
    resumed = run(data, settings, checkpoint, told.append)
    assert same(whole, resumed)
    assert without_seconds(resumed.history) == without_seconds(whole.history)
    assert told == resumed.history


def _break_after(last: int) -> Callable[[Epoch], None]:
    def on_epoch(epoch: Epoch) -> None:
        if epoch.epoch == last:
            raise Killed

    return on_epoch


def test_a_finished_run_has_nothing_left_to_do(data: TaskData, tmp_path: Path) -> None:
    whole = run(data, {}, tmp_path / "run.ckpt")
    assert same(whole, run(data, {}, tmp_path / "run.ckpt"))


class Trap:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch pwned",)


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04 cut", pickle.dumps(Trap())], ids=["empty", "cut", "pickle"]
)
def test_a_checkpoint_that_is_none_is_refused(
    data: TaskData, tmp_path: Path, content: bytes
) -> None:
    checkpoint = tmp_path / "run.ckpt"
    checkpoint.write_bytes(content)
    with pytest.raises(RunError, match=r"run.ckpt is not a checkpoint .*remove it to begin anew"):
        run(data, {}, checkpoint)
    assert not Path("pwned").exists()


def test_a_checkpoint_with_code_in_it_is_refused(data: TaskData, tmp_path: Path) -> None:
    torch.save({"state_dict": Trap()}, tmp_path / "run.ckpt")
    with pytest.raises(RunError, match="is not a checkpoint"):
        run(data, {}, tmp_path / "run.ckpt")
    assert not Path("pwned").exists()


def test_a_full_disk_ends_the_run_and_keeps_the_last_checkpoint(
    data: TaskData, tmp_path: Path, small_disk: Path
) -> None:
    whole, checkpoint = run(data, {}), small_disk / "run.ckpt"
    with pytest.raises(Killed):
        run(data, {}, checkpoint, _break_after(3))
    kept = checksum_of(checkpoint)
    filler = small_disk / "filler"
    filler.write_bytes(b"")
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    with pytest.raises(MolcrystError, match=r"run.ckpt: the disk is full"):
        run(data, {}, checkpoint)
    assert checksum_of(checkpoint) == kept
    filler.unlink()
    assert same(whole, run(data, {}, checkpoint))


CELL = """
from pathlib import Path
from molcryst_bench.bench.cell import plan_cells
from molcryst_bench.bench.params import load_params
from molcryst_bench.bench.work import run_cell
(plan,) = plan_cells(load_params())
run_cell(plan, Path("results"), checkpoint_seconds=0)
"""
PARAMS = """
profile: test
datasets: {qm9: {}}
bench: {tasks: [qm9/homo], seeds: [0]}
models: {schnet: {hyperparameters: {width: 16, interactions: 2, gaussians: 8}}}
training: {epochs: 100, batch_size: 8}
tracking: none
"""
COMMAND = [sys.executable, "-c", CELL]


@pytest.mark.slow
def test_a_cell_killed_at_random_moments_ends_with_the_same_weights(
    project: Path, tiny_store: GraphStore
) -> None:
    del tiny_store
    (project / "params.yaml").write_text(PARAMS)
    start = time.perf_counter()
    subprocess.run(COMMAND, check=True)
    seconds, expected, generator = time.perf_counter() - start, _take_result(), random.Random(0)
    for _ in range(KILLS):
        process = subprocess.Popen(COMMAND)
        try:
            assert process.wait(timeout=generator.uniform(0.3, 0.9) * seconds) == 0
            assert _take_result() == expected
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    subprocess.run(COMMAND, check=True)
    assert _take_result() == expected


def _take_result() -> str:
    """Return the checksum of the weights and remove the whole cell, so that it is run again."""
    checksum = checksum_of(Path("results/qm9/homo/schnet/0/model.safetensors"))
    assert not list(Path("results").rglob("*.ckpt"))
    shutil.rmtree("results")
    return checksum
