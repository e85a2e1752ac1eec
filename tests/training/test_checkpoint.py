"""Trained models on disk, and predicting with them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from handmade import Molecule

import molcryst_bench as mb
from molcryst_bench.base.errors import MolcrystError
from molcryst_bench.graphs.store import GraphStore
from molcryst_bench.training.checkpoint import ModelCard, save_model
from molcryst_bench.training.data import TaskData
from molcryst_bench.training.evaluate import Predictions, evaluate
from molcryst_bench.training.fit import fit
from molcryst_bench.training.settings import TrainingSettings
from molcryst_bench.training.task import load_task

SMALL = {
    "schnet": {"width": 8, "interactions": 1, "gaussians": 8},
    "boosted_trees": {"trees": 20, "leaf_size": 2},
}


@pytest.fixture(params=["schnet", "ridge", "mean", "boosted_trees"])
def saved(request: pytest.FixtureRequest, tiny_store: GraphStore, tmp_path: Path) -> Path:
    folder = tmp_path / "cell"
    folder.mkdir()
    predictions = train_and_save(request.param, tiny_store, folder)
    np.save(tmp_path / "expected.npy", predictions.prediction)
    return folder


def train_and_save(name: str, store: GraphStore, folder: Path) -> Predictions:
    data = TaskData.load(load_task("qm9/homo"), store)
    settings = TrainingSettings(epochs=2, batch_size=16)
    fitted = fit(data, name, SMALL.get(name, {}), settings, seed=0)
    card = ModelCard(
        model=name,
        hyperparameters=fitted.regressor.model.hyperparameters.model_dump(),
        task="qm9/homo",
        unit="eV",
        graph=store.spec,
        elements=data.elements(),
        seed=0,
        training=settings,
        split="random",
        store_digest=store.digest,
        split_digest=data.split.digest,
    )
    save_model(folder, fitted.regressor, card)
    return evaluate(fitted.regressor, data, "test")


def as_atoms(molecule: Molecule) -> Atoms:
    return Atoms(molecule.symbols, positions=np.array(molecule.positions, float))


def test_predictions_from_structures_equal_those_from_the_store(
    saved: Path, tiny_store: GraphStore, molecules: list[Molecule]
) -> None:
    structures = {molecule.id: as_atoms(molecule) for molecule in molecules}
    data = TaskData.load(load_task("qm9/homo"), tiny_store)
    predictor = mb.load_predictor(saved)
    assert predictor.unit == "eV"
    for batch_size in (1, 4, 100):
        found = predictor([structures[name] for name in data.ids("test")], batch_size=batch_size)
        assert found.dtype == np.float64
        assert found == pytest.approx(np.load(saved.parent / "expected.npy"), abs=1e-5)
    assert predictor([]).shape == (0,)


def test_equal_models_are_equal_files(tiny_store: GraphStore, tmp_path: Path) -> None:
    contents = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        train_and_save("schnet", tiny_store, folder)
        contents.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert contents[0] == contents[1]
    assert set(contents[0]) == {"model.safetensors", "model.json"}


def test_elements_outside_the_training_set_are_named(saved: Path) -> None:
    with pytest.warns(UserWarning, match="element Au not in the training set: 1 of 2"):
        mb.load_predictor(saved)([Atoms("Au"), Atoms("PbH", [[0, 0, 0], [0, 0, 1.7]])])


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


DAMAGES = {
    "no card": (lambda f: (f / "model.json").unlink(), "holds no trained model: model.json"),
    "card is not JSON": (lambda f: (f / "model.json").write_text("{"), "is not valid JSON"),
    "card is a list": (lambda f: (f / "model.json").write_text("[]"), "format version None"),
    "version": (lambda f: edit(f / "model.json", format_version=99), "format version 99"),
    "unknown key": (lambda f: edit(f / "model.json", sead=1), "did you mean 'seed'"),
    "unknown model": (lambda f: edit(f / "model.json", model="nut"), "unknown model 'nut'"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "model.safetensors"),
    "truncated": (
        lambda f: (f / "model.safetensors").write_bytes(
            (f / "model.safetensors").read_bytes()[:200]
        ),
        "model.safetensors does not hold the weights",
    ),
    "a pickle": (
        lambda f: (f / "model.safetensors").write_bytes(b"cos\nsystem\n(S'touch pwned'\ntR."),
        "model.safetensors does not hold the weights",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("saved", ["schnet"], indirect=True)
def test_a_damaged_model_is_refused(saved: Path, damage: str) -> None:
    spoil, word = DAMAGES[damage]
    spoil(saved)
    with pytest.raises(MolcrystError, match=word):
        mb.load_predictor(saved)
    assert not Path("pwned").exists()


@pytest.mark.parametrize("saved", ["schnet"], indirect=True)
def test_weights_of_another_shape_are_refused(saved: Path) -> None:
    card = json.loads((saved / "model.json").read_text())
    edit(saved / "model.json", hyperparameters={**card["hyperparameters"], "width": 16})
    with pytest.raises(MolcrystError, match="does not hold the weights of this model"):
        mb.load_predictor(saved)
