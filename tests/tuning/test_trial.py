"""One trial on a small QM9: its error is that of the training, and it never sees the test set."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from molcryst_bench.base.errors import MolcrystError, RunError, SettingsError
from molcryst_bench.graphs.store import GraphStore
from molcryst_bench.training.data import TaskData
from molcryst_bench.training.fit import complete_hyperparameters, fit
from molcryst_bench.training.settings import TrainingSettings
from molcryst_bench.training.task import load_task
from molcryst_bench.tuning import trial
from molcryst_bench.tuning.halving import Halving
from molcryst_bench.tuning.trial import Subject, run_trial

TRAINING = TrainingSettings(epochs=4, batch_size=16)
SMALL = {"width": 8, "interactions": 1, "gaussians": 8}


@pytest.fixture
def subject(tiny_store: GraphStore) -> Subject:
    task = load_task("qm9/homo")
    hyperparameters = complete_hyperparameters(task, tiny_store, "schnet", SMALL)
    return Subject(task, Path(tiny_store.path), "schnet", hyperparameters, TRAINING, 1, 1)


@pytest.fixture
def halving(tmp_path: Path) -> Halving:
    halving = Halving(tmp_path / "rungs.json", 2)
    halving.begin({})
    return halving


def test_the_error_is_that_of_the_training(subject: Subject, halving: Halving) -> None:
    settings = {"learning_rate": 3e-3, "optimizer": "sgd", "width": 12}
    outcome = run_trial(subject, halving, 0, settings)
    data = TaskData.load(subject.task, trial._store(subject.store))
    training = TRAINING.model_copy(update={"learning_rate": 3e-3, "optimizer": "sgd"})
    fitted = fit(data, "schnet", {**subject.hyperparameters, "width": 12}, training, seed=1)
    assert outcome.error == fitted.best.valid_mae
    assert (outcome.epochs, outcome.best_epoch) == (4, fitted.best.epoch)
    least = [min(epoch.valid_mae for epoch in fitted.history[:n]) for n in (2, 4)]
    assert outcome.rungs == least
    assert subject.error_unit == "meV"


def test_no_trial_sees_the_test_subset(subject: Subject) -> None:
    split = trial._data(subject.task, subject.store, None).split
    assert [len(split.rows(subset)) for subset in ("train", "valid", "test")] == [50, 15, 0]


def test_hopeless_trials_end_early_but_never_the_first(subject: Subject, halving: Halving) -> None:
    halving.begin({7: [0.0, 0.0]})
    first, second = (run_trial(subject, halving, number, {}) for number in (0, 1))
    assert (first.stopped, first.epochs) == (False, 4)
    assert (second.stopped, second.epochs) == (True, 2)
    assert second.error == first.rungs[0] == second.rungs[0]
    ending = run_trial(replace(subject, epochs=2), halving, 2, {})
    assert (ending.stopped, ending.epochs) == (False, 2)


def test_epochs_have_a_limit(subject: Subject, halving: Halving) -> None:
    limited = replace(subject, epochs=3)
    assert limited.start()["epochs"] == 3
    assert run_trial(limited, halving, 0, {"epochs": 50}).epochs == 3
    assert run_trial(limited, halving, 0, {"epochs": 2}).epochs == 2


def test_a_training_that_goes_astray_says_so(subject: Subject, halving: Halving) -> None:
    wild = {"optimizer": "sgd", "learning_rate": 1e30, "gradient_clip": None, "warmup": 0.0}
    with pytest.raises(RunError, match="lower the learning rate"):
        run_trial(subject, halving, 0, wild)


def test_settings_that_do_not_go_together_are_refused(
    subject: Subject, halving: Halving, tiny_store: GraphStore
) -> None:
    attention = complete_hyperparameters(subject.task, tiny_store, "torchmd_net", {})
    other = replace(subject, model="torchmd_net", hyperparameters=attention)
    with pytest.raises(MolcrystError, match="7 heads do not divide"):
        run_trial(other, halving, 0, {"heads": 7})
    with pytest.raises(SettingsError, match="learning_rate"):
        subject.with_settings({"learning_rate": -1.0})


def test_a_closed_form_model_is_tuned_by_its_own_settings(
    subject: Subject, halving: Halving, tiny_store: GraphStore
) -> None:
    ridge = complete_hyperparameters(subject.task, tiny_store, "ridge", {})
    other = replace(subject, model="ridge", hyperparameters=ridge)
    weak, strong = (run_trial(other, halving, 0, {"alpha": a}).error for a in (1e-2, 1e6))
    assert weak < strong
