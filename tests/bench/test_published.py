"""Models are trained as published where nobody has asked for anything else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from bench_project import write_params
from handmade import REPOSITORY

import molcryst_bench as mb
from molcryst_bench.base.errors import SettingsError
from molcryst_bench.bench.cell import plan_cells
from molcryst_bench.bench.params import (
    ExecutorSettings,
    Params,
    as_published,
    load_params,
    single_cell,
)
from molcryst_bench.graphs.store import GraphStore
from molcryst_bench.models.interface import ClosedFormModel, Purpose
from molcryst_bench.models.registry import get_model_class
from molcryst_bench.models.schnet import SchNet
from molcryst_bench.training.settings import TrainingSettings
from molcryst_bench.training.task import load_task

PURPOSES = [
    Purpose(extensive, forces, periodic, 5.0)
    for extensive in (False, True)
    for forces in (False, True)
    for periodic in (False, True)
]


@pytest.fixture
def paper(monkeypatch: pytest.MonkeyPatch) -> Params:
    monkeypatch.chdir(REPOSITORY)
    return load_params(REPOSITORY / "conf" / "paper.yaml")


@pytest.mark.parametrize("model", mb.list_models())
def test_every_preset_is_made_of_known_settings(model: str) -> None:
    found = get_model_class(model)
    for purpose in PURPOSES:
        preset = found.training_for(purpose)
        TrainingSettings.parse(preset, model)
        assert bool(preset) != issubclass(found, ClosedFormModel)


def test_the_paper_profile_states_the_presets(paper: Params) -> None:
    assert paper.training is None
    assert not paper.training_by_dataset
    assert set(paper.models) == set(mb.list_models())
    for model in paper.models:
        for name in paper.bench.tasks:
            task = load_task(name)
            graph = paper.datasets[task.dataset].graph
            periodic = task.dataset in ("coremof", "hmof")
            purpose = Purpose(task.definition.extensive, bool(task.forces), periodic, graph.cutoff)
            preset = get_model_class(model).training_for(purpose)
            assert paper.training_of(model, task.dataset) == TrainingSettings(**preset), name
            assert not paper.models[model].hyperparameters


def test_without_common_settings_models_are_trained_as_published(
    project: Path, tiny_store: GraphStore
) -> None:
    write_params(project, training=None, models__schnet={"training": {"epochs": 7}})
    for plan in plan_cells(load_params()):
        if plan.cell.model == "schnet":
            expected = SchNet.training_for(Purpose(False, False, False, 5.0)) | {"epochs": 7}
            assert plan.training == TrainingSettings(**expected)


def test_one_cell_as_published(project: Path, tiny_store: GraphStore) -> None:
    (project / "params.yaml").write_text("profile: nothing of it is read\n")
    params = as_published("qm9/homo", "physnet", ExecutorSettings(threads=3))
    (plan,) = plan_cells(single_cell(params, "qm9/homo", "physnet", 4, {"epochs": 2, "modules": 1}))
    assert (plan.profile, plan.threads, plan.cell.seed) == ("published", 3, 4)
    assert (plan.training.epochs, plan.training.average, plan.training.loss) == (2, 0.999, "l1")
    assert (plan.hyperparameters["modules"], plan.hyperparameters["width"]) == (1, 128)


def test_a_change_by_hand_comes_before_all(paper: Params) -> None:
    changed = single_cell(paper, "rmd17/ethanol", "schnet", 0, {"epochs": 2, "energy_weight": 0.5})
    settings = changed.training_of("schnet", "rmd17")
    assert (settings.epochs, settings.energy_weight, settings.forces_weight) == (2, 0.5, 0.99)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"training_by_dataset": {"qm9": {"epoch": 3}}}, "training_by_dataset.qm9: unknown key"),
        ({"training_by_dataset": {"qm8": {}}}, "did you mean 'qm9'"),
    ],
)
def test_mistakes_in_a_models_settings_for_a_dataset(
    project: Path, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(SettingsError, match=words):
        write_params(project, models__schnet=changes)
