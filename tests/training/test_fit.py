"""Training: the same every time, the best weights kept, stopped with a word when it fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from molcryst_bench.base.errors import RunError
from molcryst_bench.graphs.split import Split, save_split
from molcryst_bench.graphs.store import GraphStore
from molcryst_bench.sources.card import Target
from molcryst_bench.training.data import TaskData
from molcryst_bench.training.evaluate import evaluate
from molcryst_bench.training.fit import Fitted, complete_hyperparameters, fit
from molcryst_bench.training.history import Epoch
from molcryst_bench.training.metrics import errors_of
from molcryst_bench.training.settings import TrainingSettings
from molcryst_bench.training.task import load_task

SMALL = {"width": 8, "interactions": 1, "gaussians": 8}


@pytest.fixture
def data(tiny_store: GraphStore) -> TaskData:
    return TaskData.load(load_task("qm9/zpve"), tiny_store)


def run(data: TaskData, model: str = "schnet", seed: int = 0, **settings: Any) -> Fitted:
    hyperparameters = SMALL if model == "schnet" else {}
    chosen = TrainingSettings(**{"epochs": 3, "batch_size": 16, **settings})
    return fit(data, model, hyperparameters, chosen, seed)


def weights(fitted: Fitted) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in fitted.regressor.state_dict().items()}


def equal(one: Fitted, other: Fitted) -> bool:
    a, b = weights(one), weights(other)
    return all(np.array_equal(a[name], b[name]) for name in a)


def test_equal_seeds_give_equal_weights_whatever_was_drawn_before(data: TaskData) -> None:
    first = run(data)
    torch.rand(5)
    before = torch.get_rng_state()
    second = run(data)
    assert equal(first, second)
    assert torch.equal(torch.get_rng_state(), before), "the caller's generator is left alone"
    assert not equal(first, run(data, seed=1))


@pytest.mark.parametrize("optimizer", ["sgd", "torch_adam", "torch_adamw"])
@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_the_loss_falls(data: TaskData, optimizer: str, schedule: str) -> None:
    fitted = run(data, optimizer=optimizer, schedule=schedule, epochs=15, learning_rate=5e-3)
    assert fitted.history[-1].train_loss < 0.8 * fitted.history[0].train_loss


def test_the_kept_weights_are_those_of_the_best_epoch(data: TaskData) -> None:
    fitted = run(data, epochs=11, learning_rate=0.05, schedule="constant")
    errors = [epoch.valid_mae for epoch in fitted.history]
    assert min(errors) < errors[-1], "the last epoch should not be the best in this test"
    assert evaluate(fitted.regressor, data, "valid").errors.mae == pytest.approx(min(errors))
    assert fitted.best.epoch == int(np.argmin(errors)) + 1


def test_history_says_what_happened(data: TaskData) -> None:
    seen: list[Epoch] = []
    settings = TrainingSettings(epochs=4, batch_size=16, warmup=0.25, learning_rate=1e-3)
    fitted = fit(data, "schnet", SMALL, settings, 0, on_epoch=seen.append)
    assert seen == fitted.history
    assert [epoch.epoch for epoch in seen] == [1, 2, 3, 4]
    assert seen[-1].learning_rate == pytest.approx(0, abs=1e-12)
    assert max(epoch.learning_rate for epoch in seen) <= 1e-3


def test_a_loss_that_is_not_finite_stops_the_run(data: TaskData) -> None:
    with pytest.raises(RunError, match="not finite in epoch 1, batch 2: lower the learning rate"):
        run(data, optimizer="sgd", learning_rate=1e30, gradient_clip=None, warmup=0)


@pytest.mark.parametrize("precision", ["64-true", "bf16-mixed"])
def test_precisions(data: TaskData, precision: str) -> None:
    fitted = run(data, precision=precision, epochs=8, learning_rate=5e-3)
    assert fitted.history[-1].train_loss < fitted.history[0].train_loss


@pytest.mark.parametrize("model", ["mean", "ridge"])
def test_baselines_do_not_depend_on_seed_or_settings(data: TaskData, model: str) -> None:
    assert equal(run(data, model), run(data, model, seed=5, epochs=1))
    assert len(run(data, model).history) == 1


def test_the_mean_predicts_the_mean_of_the_training_targets(data: TaskData) -> None:
    test = evaluate(run(data, "mean").regressor, data, "test")
    expected = data.targets("train").mean().item()
    assert test.prediction == pytest.approx(np.full(len(test.ids), expected))


def test_the_task_decides_readout_and_cutoff(tiny_store: GraphStore) -> None:
    zpve = complete_hyperparameters(load_task("qm9/zpve"), tiny_store, "schnet", {})
    homo = complete_hyperparameters(load_task("qm9/homo"), tiny_store, "schnet", {})
    assert (zpve["readout"], homo["readout"]) == ("sum", "mean")
    assert zpve["cutoff"] == tiny_store.spec.cutoff
    changed = {"readout": "mean"}
    given = complete_hyperparameters(load_task("qm9/zpve"), tiny_store, "schnet", changed)
    assert given["readout"] == "mean"


def test_errors_are_in_the_unit_of_the_literature() -> None:
    definition = Target(unit="eV", error_unit="meV", error_factor=1000)
    errors = errors_of(np.array([1.0, 2.0, 4.0]), np.array([1.0, 3.0, 2.0]), definition)
    assert errors.mae == pytest.approx(1000.0)  # (0 + 1 + 2) / 3 eV in meV
    assert errors.rmse == pytest.approx(1000 * np.sqrt(5 / 3))
    assert errors.r2 == pytest.approx(1 - 5 / 2)


def test_an_empty_subset_is_refused(tiny_store: GraphStore) -> None:
    ids = tiny_store.ids
    subset = np.zeros(len(ids), np.int8)  # all in the training set
    path = Path("datasets/qm9/splits/lopsided.parquet")
    save_split(Split("lopsided", ids, subset, tiny_store.population_digest()), path)
    with pytest.raises(RunError, match="'lopsided' has no valid records"):
        TaskData.load(load_task("qm9/zpve@lopsided"), tiny_store)
