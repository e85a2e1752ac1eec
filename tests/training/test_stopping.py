"""A run that cannot go on says why in one sentence, and the last good checkpoint is kept."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.modules.module import register_module_forward_pre_hook

from molcryst_bench.base.errors import MolcrystError, RunError
from molcryst_bench.bench.cell import CellPlan, plan_cells
from molcryst_bench.bench.params import load_params
from molcryst_bench.bench.work import run_cell
from molcryst_bench.graphs.store import GraphStore
from molcryst_bench.models.schnet import SchNet
from molcryst_bench.training import health
from molcryst_bench.training.data import TaskData
from molcryst_bench.training.fit import Fitted, fit
from molcryst_bench.training.history import Epoch
from molcryst_bench.training.settings import TrainingSettings
from molcryst_bench.training.task import load_task

SMALL = {"width": 8, "interactions": 1, "gaussians": 8}
SETTINGS = {"loss": "l2", "batch_size": 5, "device": "cpu", "epochs": 4}


@pytest.fixture
def data(tiny_store: GraphStore) -> TaskData:
    return TaskData.load(load_task("qm9/zpve"), tiny_store)


def run(
    data: TaskData,
    checkpoint: Path | None = None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    **settings: Any,
) -> Fitted:
    chosen = TrainingSettings(**{**SETTINGS, **settings})
    return fit(data, "schnet", SMALL, chosen, 0, on_epoch, checkpoint, checkpoint_seconds=0)


def spoil_after(epoch: int, data: TaskData, value: float) -> Callable[[Epoch], None]:
    """Return a function that gives one training graph a wrong label after an epoch."""
    row = data.split.rows("train")[20]

    def on_epoch(past: Epoch) -> None:
        if past.epoch == epoch:
            data.graphs.graph_targets[row, 0] = value

    return on_epoch


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (float("nan"), "the loss is not finite in epoch 3, batch"),
        (1e19, "the gradients exploded in epoch 3, batch"),  # their squares are infinite
    ],
)
def test_what_is_not_finite_stops_the_run_and_the_checkpoint_before_it_goes_on(
    data: TaskData, tmp_path: Path, value: float, reason: str
) -> None:
    whole, checkpoint = run(data), tmp_path / "run.ckpt"
    right = data.graphs.graph_targets.clone()
    advice = "lower the learning rate or lower gradient_clip"
    with pytest.raises(RunError, match=f"{reason} .*{advice}"):
        run(data, checkpoint, spoil_after(2, data, value))
    data.graphs.graph_targets.copy_(right)
    resumed = run(data, checkpoint)
    a, b = whole.regressor.state_dict(), resumed.regressor.state_dict()
    assert all(torch.equal(a[name], b[name]) for name in a)


@contextlib.contextmanager
def counted_batches(calls: list[int]) -> Iterator[None]:
    """Count how often SchNet is trained with a batch."""

    def count(module: torch.nn.Module, inputs: Any) -> None:
        if isinstance(module, SchNet) and module.training:
            calls.append(len(inputs[0].ptr) - 1)

    hook = register_module_forward_pre_hook(count)
    try:
        yield
    finally:
        hook.remove()


def test_a_loss_that_is_not_finite_is_noticed_within_the_epoch(
    data: TaskData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "CHECK_EVERY", 5)
    calls: list[int] = []
    with counted_batches(calls), pytest.raises(RunError) as raised:
        run(data, on_epoch=spoil_after(1, data, float("nan")), batch_size=1)
    first = int(str(raised.value).partition("batch ")[2].partition(":")[0])
    in_second_epoch = len(calls) - len(data.targets("train"))
    assert first <= in_second_epoch <= first + 4
    assert in_second_epoch < len(data.targets("train"))


def test_gradients_that_explode_without_clipping_are_called_so(data: TaskData) -> None:
    with pytest.raises(RunError, match=r"gradients exploded in epoch 1.*or set gradient_clip"):
        run(data, optimizer="sgd", learning_rate=1.0, gradient_clip=None, warmup=0)


def test_clipping_copes_with_large_gradients(data: TaskData) -> None:
    data.graphs.graph_targets[data.split.rows("train")[20], 0] = 1e12
    assert len(run(data, learning_rate=1e-4).history) == SETTINGS["epochs"]


PARAMS = """
profile: test
datasets: {qm9: {}}
tracking: none
bench: {tasks: [qm9/zpve], seeds: [0]}
models: {schnet: {hyperparameters: {width: 8, interactions: 1, gaussians: 8}}}
training: {epochs: 3, batch_size: 25, device: cpu}
"""
FULL = r"cannot write .*: the disk is full: free some space, then run the same command again"


@pytest.fixture
def plan(project: Path, tiny_store: GraphStore) -> CellPlan:
    del tiny_store
    (project / "params.yaml").write_text(PARAMS)
    (plan,) = plan_cells(load_params())
    return plan


@contextlib.contextmanager
def full_but_for(free: int, disk: Path) -> Iterator[None]:
    """Fill a disk and leave some bytes free."""
    filler = disk / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    with filler.open("rb+") as file:
        file.truncate(max(filler.stat().st_size - free, 0))
    try:
        yield
    finally:
        filler.unlink()


def test_a_disk_that_is_full_at_any_moment_ends_a_cell_with_one_sentence(
    plan: CellPlan, small_disk: Path
) -> None:
    whole, reasons = run_cell(plan, Path("elsewhere")), []
    for pages in range(256):
        try:
            with full_but_for(4096 * pages, small_disk):
                result = run_cell(plan, small_disk, checkpoint_seconds=0)
        except MolcrystError as error:
            reasons.append(str(error))
            assert not (small_disk / plan.cell.name).exists()
        else:
            break
    assert result.weights_sha256 == whole.weights_sha256
    assert result.predictions_sha256 == whole.predictions_sha256
    assert len(reasons) > 5, "the disk should be too small at several moments in this test"
    assert all(re.match(FULL, reason) for reason in reasons), reasons
    assert len({reason.partition(":")[0] for reason in reasons}) > 1, "at several files"


@pytest.mark.slow
def test_a_full_disk_ends_molcryst_train_with_status_1(plan: CellPlan, small_disk: Path) -> None:
    code = "from molcryst_bench.cli.main import run; run()"
    line = [sys.executable, "-c", code, "train", "qm9/zpve", "schnet", "--profile", "active"]
    command: Any = [*line, "--output", str(small_disk)]
    with full_but_for(8192, small_disk):
        failed = subprocess.run(command, capture_output=True, text=True)
    assert failed.returncode == 1
    assert re.search(FULL, failed.stderr.replace("\n", " "))
    assert "Traceback" not in failed.stderr
    assert subprocess.run(command, capture_output=True).returncode == 0
    assert (small_disk / plan.cell.name / "model.safetensors").exists()
