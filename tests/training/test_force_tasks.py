"""Energies learnt with forces, on springs between the atoms of ethanol."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import springs
import torch
import yaml

from molcryst_bench.base.errors import SettingsError
from molcryst_bench.bench.cell import plan_cells
from molcryst_bench.bench.params import load_params, single_cell
from molcryst_bench.bench.work import run_cell
from molcryst_bench.sources.card import Target
from molcryst_bench.training.data import TaskData
from molcryst_bench.training.evaluate import evaluate
from molcryst_bench.training.fit import Fitted, complete_hyperparameters, fit
from molcryst_bench.training.metrics import force_errors_of
from molcryst_bench.training.settings import TrainingSettings
from molcryst_bench.training.task import load_task

SMALL = {"width": 16, "interactions": 2, "gaussians": 12}


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TaskData:
    root = tmp_path / "project"
    root.mkdir()
    monkeypatch.chdir(root)
    store = springs.make_store(root)
    return TaskData.load(load_task("rmd17/ethanol"), store)


def run(data: TaskData, **settings: Any) -> Fitted:
    chosen = TrainingSettings(**{"epochs": 30, "batch_size": 8, "learning_rate": 5e-3, **settings})
    return fit(data, "schnet", SMALL, chosen, seed=0)


def test_the_forces_of_the_fixture_are_the_gradient_of_its_energy() -> None:
    atoms, step = springs.REST.copy(), 1e-5
    atoms.rattle(0.1, seed=1)
    forces, moved = springs.forces_of(atoms.positions), atoms.positions.copy()
    moved[2, 1] += step
    upper = springs.energy_of(moved)
    moved[2, 1] -= 2 * step
    slope = (upper - springs.energy_of(moved)) / (2 * step)
    assert forces[2, 1] == pytest.approx(-slope, rel=1e-4)


def test_training_on_forces_learns_them_and_the_energies(data: TaskData) -> None:
    fitted = run(data)
    found = evaluate(fitted.regressor, data, "test")
    assert found.forces is not None
    spread = data.forces("test").abs().mean().item()
    assert found.forces.errors.mae < 0.6 * spread
    assert found.forces.errors.cosine > 0.7
    assert found.errors.r2 > 0.5
    history = [epoch.valid_error for epoch in fitted.history]
    assert fitted.best.valid_forces_mae == min(history)
    valid = evaluate(fitted.regressor, data, "valid").forces
    assert valid is not None
    assert valid.errors.mae == pytest.approx(min(history), rel=1e-5)


def test_forces_are_minus_the_gradient_of_the_predicted_energy_in_its_unit(data: TaskData) -> None:
    regressor = run(data, epochs=2, precision="64-true").regressor.double()
    batch = next(iter(data.batches("test")))
    batch.pos = batch.pos.double()
    forces, step = regressor.energy_and_forces(batch).forces, 1e-4
    energies = []
    for sign in (1, -1):
        moved = batch.clone()
        moved.pos = batch.pos.clone()
        moved.pos[5, 2] += sign * step
        energies.append(regressor(moved)[0].item())
    expected = -(energies[0] - energies[1]) / (2 * step)
    assert forces[5, 2].item() == pytest.approx(expected, rel=1e-5)


def test_the_weights_of_the_loss_matter(data: TaskData) -> None:
    on_energy = run(data, epochs=4, energy_weight=1.0, forces_weight=0.0).regressor
    on_forces = run(data, epochs=4, energy_weight=0.0, forces_weight=1.0).regressor
    errors = [evaluate(each, data, "test").forces for each in (on_energy, on_forces)]
    assert errors[1] is not None
    assert errors[0] is not None
    assert errors[1].errors.mae < errors[0].errors.mae


def test_the_scale_is_the_size_of_the_forces(data: TaskData) -> None:
    size = data.forces("train").square().mean().sqrt().item()
    assert run(data, epochs=1).regressor.scaler.scale.item() == pytest.approx(size)


@pytest.mark.parametrize("model", ["mean", "ridge"])
def test_a_baseline_without_geometry_predicts_no_force(data: TaskData, model: str) -> None:
    fitted = fit(data, model, {}, TrainingSettings(), seed=0)
    found = evaluate(fitted.regressor, data, "test").forces
    assert found is not None
    assert not found.prediction.any()
    assert np.isnan(found.errors.cosine)


def test_a_cell_keeps_forces_and_their_errors(data: TaskData) -> None:
    settings = {
        "profile": "test",
        "datasets": {"rmd17": {}},
        "bench": {"tasks": ["rmd17/ethanol"], "seeds": [0]},
        "models": {"schnet": {"hyperparameters": SMALL}},
        "training": {"epochs": 2},
    }
    Path("params.yaml").write_text(yaml.safe_dump(settings))
    (plan,) = plan_cells(load_params())
    result = run_cell(plan, Path("results"))
    assert (result.error_unit, result.forces_unit) == ("kcal/mol", "kcal/mol/Å")
    table = pq.read_table(Path("results", "rmd17/ethanol/schnet/0/predictions.parquet"))
    pairs = [
        np.concatenate(table[name].to_numpy()).reshape(-1, 3)
        for name in ("forces_prediction", "forces_target")
    ]
    assert pairs[1] == pytest.approx(data.forces("test").numpy())
    definition = data.task.forces_definition
    assert definition is not None
    assert force_errors_of(*pairs, definition).mae == pytest.approx(result.forces_mae)
    assert len(table["forces_target"][0]) == 3 * len(springs.REST)


def test_force_errors_by_hand() -> None:
    unit = "kcal/mol/Å"
    definition = Target(unit=unit, error_unit=unit, level="node", components=3)
    target = np.array([[3.0, 0.0, 0.0], [0.0, 4.0, 0.0], [0.0, 0.0, 0.0]])
    prediction = np.array([[0.0, 3.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 0.0]])
    errors = force_errors_of(prediction, target, definition)
    assert errors.mae == pytest.approx((3 + 3 + 2) / 9)
    assert errors.rmse == pytest.approx(np.sqrt((9 + 9 + 4) / 9))
    assert errors.cosine == pytest.approx(0.5)  # a right angle and the same direction


def test_names_of_tasks(data: TaskData) -> None:
    task = load_task("rmd17/ethanol@time_block")
    assert (task.split, task.group, task.target, task.forces) == (
        "time_block",
        "ethanol",
        "energy",
        "forces",
    )
    assert (task.base_name, task.name) == ("rmd17/ethanol", "rmd17/ethanol@time_block")
    assert load_task("rmd17/ethanol@01") == load_task("rmd17/ethanol")
    assert load_task("rmd17/ethanol").name == "rmd17/ethanol"
    with pytest.raises(SettingsError, match="did you mean 'rmd17/ethanol'"):
        load_task("rmd17/ethanole")
    with pytest.raises(SettingsError, match="did you mean 'time_block'"):
        load_task("rmd17/ethanol@timeblock")


def test_forces_ask_for_smooth_models_of_the_published_size(data: TaskData) -> None:
    given = complete_hyperparameters(data.task, data.store, "torchmd_net", {})
    assert (given["width"], given["layers"], given["basis"]) == (128, 6, 32)
    assert given["smooth"]
    assert given["readout"] == "sum"
    assert not complete_hyperparameters(data.task, data.store, "cgcnn", {})["batch_norm"]


def test_training_leaves_no_weights_frozen(data: TaskData) -> None:
    regressor = run(data, epochs=1).regressor
    assert all(weights.requires_grad for weights in regressor.parameters())
    assert torch.is_grad_enabled()


def test_single_cell_takes_a_task_with_its_split(data: TaskData) -> None:
    Path("params.yaml").write_text(
        yaml.safe_dump(
            {
                "profile": "test",
                "datasets": {"rmd17": {}},
                "bench": {"tasks": ["rmd17/ethanol"], "seeds": [0]},
                "models": {"mean": {}},
            }
        )
    )
    params = single_cell(load_params(), "rmd17/ethanol", "mean", 3, {})
    (plan,) = plan_cells(params)
    assert plan.cell.name == "rmd17/ethanol/mean/3"
