"""``params.yaml``: which settings come before which."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench_project import write_params
from handmade import REPOSITORY

from molcryst_bench.base.errors import SettingsError
from molcryst_bench.bench.params import Params, load_params

PROFILES = sorted(REPOSITORY.glob("conf/*.yaml"))


def test_a_models_settings_come_before_a_datasets_and_those_before_all_others(
    project: Path,
) -> None:
    params = write_params(
        project,
        training={"epochs": 5, "batch_size": 16, "loss": "l1"},
        training_by_dataset={"qm9": {"batch_size": 8, "loss": "l2"}},
        models__schnet={"training": {"loss": "l1"}},
    )
    of_ridge, of_schnet = (params.training_of(model, "qm9") for model in ("ridge", "schnet"))
    assert (of_ridge.epochs, of_ridge.batch_size, of_ridge.loss) == (5, 8, "l2")
    assert (of_schnet.epochs, of_schnet.batch_size, of_schnet.loss) == (5, 8, "l1")
    assert params.training_of("ridge", "rmd17").batch_size == 16


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("training_by_dataset", {"qm8": {}}, "did you mean 'qm9'"),
        ("training_by_dataset", {"qm9": {"epoch": 3}}, "did you mean 'epochs'"),
        ("training_by_dataset", {"qm9": {"epochs": -3}}, "training_by_dataset.qm9"),
        ("bench__tasks", ["qm9/homo@randum"], "did you mean 'random'"),
    ],
)
def test_wrong_names_and_values_are_refused(
    project: Path, key: str, value: object, words: str
) -> None:
    with pytest.raises(SettingsError, match=words):
        write_params(project, **{key: value})


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_profiles_are_whole(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    params = load_params(path)
    assert isinstance(params, Params)
    assert params.profile == path.stem
    assert {task.partition("/")[0] for task in params.bench.tasks} == set(params.datasets)
