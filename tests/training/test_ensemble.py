"""Cells as releases: loaded anywhere, alone or as an ensemble, with intervals and forces."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import handmade
import mofs
import numpy as np
import pyarrow.parquet as pq
import pytest
import springs
import trained
from ase import Atoms
from ase.build import molecule

import molcryst_bench as mb
from molcryst_bench.base.errors import MolcrystError, RunError, SettingsError
from molcryst_bench.base.settings import Settings
from molcryst_bench.bench.result import read_result
from molcryst_bench.bench.work import model_features
from molcryst_bench.graphs.store import open_store
from molcryst_bench.models.interface import Model, Output
from molcryst_bench.sources.hmof_sample import HmofSample
from molcryst_bench.sources.record import BadRecordError
from molcryst_bench.training.data import TaskData
from molcryst_bench.training.evaluate import evaluate
from molcryst_bench.training.predict import Predictor
from molcryst_bench.training.regressor import Regressor
from molcryst_bench.training.task import load_task

STRUCTURES = [molecule(name) for name in ("CH4", "H2O", "CH3OH", "C2H6")]


@pytest.fixture(scope="module")
def on_qm9(built_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained.train_on_qm9(built_project, tmp_path_factory.mktemp("qm9") / "project")


@pytest.fixture(scope="module")
def on_springs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained.train_on_springs(tmp_path_factory.mktemp("springs") / "project")


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, outside of any project."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_copied_cell_works_outside_of_a_project(on_qm9: Path, elsewhere: Path) -> None:
    shutil.copytree(on_qm9 / "0", "release")
    predictor = mb.load_predictor("release")
    assert predictor(STRUCTURES) == pytest.approx(mb.load_predictor(on_qm9 / "0")(STRUCTURES))
    card = predictor.card
    assert (card.quantity, card.unit, card.periodic, card.forces_unit) == (
        "homo",
        "eV",
        False,
        None,
    )
    assert card.atoms is not None


def test_an_ensemble_predicts_mean_and_deviation(on_qm9: Path, elsewhere: Path) -> None:
    ensemble = mb.load_predictor(on_qm9)
    each = np.array([mb.load_predictor(on_qm9 / str(seed))(STRUCTURES) for seed in (0, 1)])
    assert abs(each[0] - each[1]).max() > 1e-3
    mean, deviation = ensemble.predict_with_deviation(STRUCTURES, batch_size=3)
    np.testing.assert_allclose(mean, each.mean(0), atol=1e-5)
    np.testing.assert_allclose(deviation, abs(each[0] - each[1]) / np.sqrt(2), atol=1e-5)
    np.testing.assert_allclose(ensemble(STRUCTURES), mean, atol=1e-6)
    assert ensemble.predict_with_deviation([]).deviation.shape == (0,)
    with pytest.raises(RunError, match="load the folder of one seed"):
        _ = ensemble.regressor
    with pytest.raises(RunError, match="load the folder that holds several seeds"):
        mb.load_predictor(on_qm9 / "0").predict_with_deviation(STRUCTURES)


def test_intervals_follow_from_the_validation_errors(
    on_qm9: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = on_qm9.parents[3]
    monkeypatch.chdir(root)
    data = TaskData.load(load_task("qm9/homo"), open_store(root / "datasets/qm9/store.zarr"))
    found = [
        evaluate(mb.load_predictor(on_qm9 / str(seed)).regressor, data, "valid") for seed in (0, 1)
    ]
    # 15 records: the interval of 90 % is the 15th smallest error, of 80 % the 13th.
    for predictor, residuals in [
        (mb.load_predictor(on_qm9 / "1"), found[1].prediction - found[1].target),
        (
            mb.load_predictor(on_qm9),
            (found[0].prediction + found[1].prediction) / 2 - found[0].target,
        ),
    ]:
        errors = np.sort(np.abs(residuals))
        for coverage, rank in ((0.9, 15), (0.8, 13)):
            lower, upper = predictor.interval(STRUCTURES, coverage)
            assert (upper - lower) / 2 == pytest.approx(errors[rank - 1], rel=1e-4)
            assert (upper + lower) / 2 == pytest.approx(predictor(STRUCTURES), abs=1e-5)
    with pytest.raises(RunError, match="need 19 validation records, this model has 15"):
        predictor.interval(STRUCTURES, 0.95)
    with pytest.raises(SettingsError, match="between 0 and 1"):
        predictor.interval(STRUCTURES, 95)


def test_the_result_says_how_often_intervals_held(on_qm9: Path) -> None:
    result = read_result(on_qm9 / "0")
    assert result is not None
    table = pq.read_table(on_qm9 / "0" / "predictions.parquet")
    errors = np.abs(table["prediction"].to_numpy() - table["target"].to_numpy())
    half = mb.load_predictor(on_qm9 / "0").half_width(0.9)
    assert result.coverage_90 == np.mean(errors <= half)
    assert result.interval_90 == pytest.approx(2 * half * 1000)  # meV per eV
    metrics = json.loads((on_qm9 / "0" / "metrics.json").read_text())
    assert metrics["interval_90_meV"] == result.interval_90


def test_forces_of_an_ensemble_are_minus_the_gradient_of_its_energy(
    on_springs: Path, elsewhere: Path
) -> None:
    ensemble = mb.load_predictor(on_springs)
    assert ensemble.card.forces_unit == "kcal/mol/Å"
    assert ensemble.card.quantity == "energy"
    structures, step = [springs.REST.copy(), springs.REST.copy()], 0.02
    structures[1].rattle(0.1, seed=4)
    energies, forces = ensemble.energies_and_forces(structures)
    np.testing.assert_allclose(energies, ensemble(structures), atol=1e-3)
    assert [each.shape for each in forces] == [(9, 3), (9, 3)]
    moved = [structures[1].copy(), structures[1].copy()]
    for sign, atoms in zip((1, -1), moved, strict=True):
        atoms.positions[2, 1] += sign * step
    upper, lower = ensemble(moved)
    assert forces[1][2, 1] == pytest.approx(-(upper - lower) / (2 * step), rel=0.05, abs=0.05)
    alone = [mb.load_predictor(on_springs / str(s)).energies_and_forces(structures) for s in (0, 1)]
    np.testing.assert_allclose(forces[1], (alone[0].forces[1] + alone[1].forces[1]) / 2, atol=1e-3)


def test_forces_of_a_model_without_them_are_refused(on_qm9: Path) -> None:
    with pytest.raises(RunError, match="was not trained with forces"):
        mb.load_predictor(on_qm9).energies_and_forces(STRUCTURES)


def edit(folder: Path, name: str = "model.json", **changes: object) -> None:
    path = folder / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_models_of_different_tasks_are_no_ensemble(on_qm9: Path, tmp_path: Path) -> None:
    shutil.copytree(on_qm9, tmp_path / "mixed")
    edit(tmp_path / "mixed" / "1", task="qm9/lumo", split_digest="other")
    with pytest.raises(MolcrystError, match=r"0 and .*1 differ in task, split_digest"):
        mb.load_predictor(tmp_path / "mixed")


def test_a_model_of_the_first_format_is_read_without_what_it_did_not_say(
    on_qm9: Path, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    shutil.copytree(on_qm9 / "0", tmp_path / "old")
    card = json.loads((tmp_path / "old" / "model.json").read_text())
    for name in ("atoms", "periodic", "volume_per_atom", "forces_unit", "target"):
        del card[name]
    (tmp_path / "old" / "model.json").write_text(json.dumps({**card, "format_version": 1}))
    (tmp_path / "old" / "calibration.safetensors").unlink()
    predictor = mb.load_predictor(tmp_path / "old")
    assert predictor.card.quantity == "homo"
    large = Atoms("C60", np.arange(180).reshape(60, 3))
    assert np.isfinite(predictor([large])).all()
    assert not [warning for warning in recwarn if "training set" in str(warning.message)]
    with pytest.raises(RunError, match=r"no validation errors .* train it again"):
        predictor.interval(STRUCTURES)


class Told(Model):
    """Predicts the difference of two known numbers."""

    Hyperparameters = Settings
    reads_features = True

    def forward(self, batch: Any) -> Output:
        first, second = batch.features.unbind(1)
        return Output((first - second)[:, None], batch.features, batch.features)


def test_a_model_is_told_what_it_learnt_from_by_name(on_qm9: Path) -> None:
    card = mb.load_predictor(on_qm9 / "0").card
    told = card.model_copy(update={"features": [("pore", "Å"), ("void", "1")]})
    predictor = Predictor([Regressor(Told(Settings()))], told)
    water = [molecule("H2O"), molecule("H2O"), molecule("H2O")]
    water[0].info = {"void": 0.25, "pore": "7.5"}
    water[1].info = {"void": 0.5}
    with pytest.warns(UserWarning, match="not told") as said:
        found = predictor(water)
    np.testing.assert_array_equal(found, [7.25, np.nan, np.nan])
    assert [str(each.message).partition(";")[0] for each in said] == [
        "not told pore (atoms.info), which the model learnt from: 1 of 3 structures",
        "not told pore, void (atoms.info), which the model learnt from: 1 of 3 structures",
    ]
    water[2].info = {"void": 0.5, "pore": "wide"}
    with pytest.raises(BadRecordError, match=r"atoms.info\['pore'\] is 'wide', not a number"):
        predictor(water[2:])


def test_the_card_names_what_the_model_learnt_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(mofs.make_project(tmp_path / "project"))
    path = handmade.write_zip(tmp_path / "s.zip", mofs.sample_members())
    store = mofs.build(HmofSample((handmade.raw_file(path),)), path)
    found = model_features("boosted_trees", store)
    assert [name for name, _ in found] == list(store.graphs.feature_names)
    assert dict(found)["pld"] == "Å"
    assert model_features("ridge", store) == []


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="holds no trained model"):
        mb.load_predictor(tmp_path)


def test_the_card_says_what_one_has_to_know(on_qm9: Path, on_springs: Path) -> None:
    text = (on_qm9 / "0" / "card.md").read_text()
    result = read_result(on_qm9 / "0")
    assert result is not None
    for expected in (
        "# schnet for qm9/homo, seed 0",
        'predictor = mb.load_predictor("path/to/this/folder")',
        f"mean absolute error {result.mae:.4g} meV",
        f"90 % intervals: {result.interval_90:.4g} meV wide",
        "elements H, C, N, O, F",
        "molecules, without a cell",
        "split `random`: 50 training, 15 validation, 15 test records",
        "CC0 1.0",
        "doi 10.1038/sdata.2014.22",
        result.weights_sha256,
    ):
        assert expected in text
    assert "mean absolute error of the forces" not in text
    forces = (on_springs / "0" / "card.md").read_text()
    assert "mean absolute error of the forces" in forces
    assert "kcal/mol/Å" in forces


def test_the_three_lines_of_the_card_run(on_qm9: Path, elsewhere: Path) -> None:
    text = (on_qm9 / "0" / "card.md").read_text()
    code = text.partition("```python\n")[2].partition("```")[0]
    assert len(code.splitlines()) == 3
    names: dict[str, object] = {"list_of_ase_atoms": STRUCTURES}
    exec(code.replace("path/to/this/folder", str(on_qm9 / "0")), names)
    assert "predictor" in names
