"""Intervals, coverage and ensembles in tables and on the site."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from report_data import MODELS, FakeModel, make_project, measured, read_rows, write_results

from molcryst_bench.bench.predictions import write_predictions
from molcryst_bench.report.aggregate import Tested as OnTest
from molcryst_bench.report.aggregate import rank_models
from molcryst_bench.report.build import write_report
from molcryst_bench.report.results import Cell, Predictions, read_force_terms
from molcryst_bench.report.tables import TaskTable, build_tables
from molcryst_bench.sources.card import Target, load_card
from molcryst_bench.training.evaluate import Forces
from molcryst_bench.training.evaluate import Predictions as Evaluated
from molcryst_bench.training.metrics import (
    errors_of,
    force_error_terms,
    force_errors_of,
)
from molcryst_bench.training.task import Task

ENERGY = Target(unit="eV", error_unit="meV", error_factor=1000)
FORCE = Target(unit="eV/Å", error_unit="meV/Å", error_factor=1000, level="node", components=3)
NEW = ("_low", "_high", "coverage_90", "interval_90", "miscalibration")


@pytest.fixture
def leaderboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return make_project(tmp_path, targets=("homo",))


def predictions_of(leaderboard: Path, row: dict[str, Any]) -> pa.Table:
    return pq.read_table(leaderboard / row["folder"] / "predictions.parquet")


def test_the_table_of_one_seed_shows_the_interval_of_its_result(leaderboard: Path) -> None:
    rows = [row for row in read_rows(leaderboard) if row["seed"] == 0]
    write_results(leaderboard, rows)
    (table,) = build_tables(leaderboard)
    for entry in table.entries:
        (cell,) = entry.cells
        assert entry.ensemble is None
        for error in ("mae", "rmse", "r2"):
            assert entry.intervals[error] == pytest.approx(cell.interval_of(error), rel=1e-9)


def test_coverage_and_ensembles_by_hand(leaderboard: Path) -> None:
    rows = read_rows(leaderboard)[:3]
    write_results(leaderboard, rows)
    (table,) = build_tables(leaderboard)
    coverage = [100 * row["coverage_90"] for row in rows]
    expected = f"{np.mean(coverage):.1f} ± {np.std(coverage, ddof=1):.1f} %"
    assert table.column("coverage").texts == (expected,)
    assert table.column("coverage").header == "Coverage of 90 % intervals"
    assert table.column("width").header == "Width of 90 % intervals (meV)"
    members = np.stack([predictions_of(leaderboard, row)["prediction"] for row in rows])
    target = predictions_of(leaderboard, rows[0])["target"].to_numpy()
    mean_error = 1000 * np.abs(members.mean(0) - target).mean()
    shown = {column.key: column.texts[0] for column in table.uncertainty}
    assert shown["members"] == "3"
    assert shown["ensemble_mae"] == f"{mean_error:.1f}"
    assert mean_error < np.mean([row["mae"] for row in rows])
    deviation = 1000 * np.sqrt(members.var(0, ddof=1).mean())
    assert shown["deviation"] == f"{deviation:.1f}"


def test_seeds_that_agree_make_no_ensemble(leaderboard: Path) -> None:
    (table,) = build_tables(leaderboard)
    by_model = {entry.model: entry.ensemble for entry in table.entries}
    assert by_model["schnet"] is not None
    assert by_model["ridge"] is None
    members = next(column for column in table.uncertainty if column.key == "members")
    assert members.texts == ("3", "n/a", "n/a")


def test_coverage_that_a_shift_costs_is_reported_in_the_same_column(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same validation errors, but a test set on which models are biased."""
    monkeypatch.chdir(tmp_path)
    leaderboard = make_project(tmp_path, {"schnet": MODELS["schnet"]}, targets=("homo",))
    rows = read_rows(leaderboard)
    other = []
    for row in rows:
        found = predictions_of(leaderboard, row)
        folder = row["folder"].replace("homo", "homo@scaffold")
        (leaderboard / folder).mkdir(parents=True)
        for file in (leaderboard / row["folder"]).iterdir():
            (leaderboard / folder / file.name).write_bytes(file.read_bytes())
        worse = pa.array(found["prediction"].to_numpy() + 0.15)
        path = leaderboard / folder / "predictions.parquet"
        pq.write_table(found.set_column(2, "prediction", worse), path)
        other.append(row | {"split": "scaffold", "folder": folder} | measured(path.parent, "homo"))
    write_results(leaderboard, rows + other)
    alike, shifted = build_tables(leaderboard)
    assert (alike.split, shifted.split) == ("random", "scaffold")
    assert not alike.too_little_covered
    assert "than chance explains: schnet 12.8 %" in shifted.too_little_covered
    assert float(shifted.column("coverage").values[0]) < 0.4
    assert float(alike.column("coverage").values[0]) > 0.8
    paths = write_report(leaderboard)
    page = paths.index.read_text(encoding="utf-8")
    assert page.count("less often here than they promise") == 1
    assert "less often here than they promise" in paths.markdown.read_text(encoding="utf-8")


def test_results_of_an_older_version_are_shown_without(leaderboard: Path) -> None:
    old = [
        {key: value for key, value in row.items() if not key.endswith(NEW)}
        for row in read_rows(leaderboard)
    ]
    write_results(leaderboard, old)
    for path in leaderboard.rglob("calibration.safetensors"):
        path.unlink()
    (table,) = build_tables(leaderboard)
    assert set(table.column("coverage").texts) == {"n/a"}
    assert not table.too_little_covered
    site = write_report(leaderboard).site
    drawn = {path.stem for path in (site / "figures" / "calibration").rglob("*.svg")}
    assert drawn == {"schnet", "schnet-dark"}, "that of the ensemble needs no calibration"


def test_figures_of_uncertainty_are_drawn_where_there_is_any(leaderboard: Path) -> None:
    figures = write_report(leaderboard).site / "figures"
    for kind, models in {
        "calibration": {"schnet", "ridge", "mean"},
        "deviation": {"schnet"},
    }.items():
        drawn = {path.stem for path in (figures / kind).rglob("*.svg")}
        assert {name for name in drawn if not name.endswith("-dark")} == models
    spread = (figures / "spread" / "qm9" / "homo" / "random.svg").read_text(encoding="utf-8")
    assert "MAE (meV)" in spread
    curves = (figures / "calibration/qm9/homo/random/schnet.svg").read_text(encoding="utf-8")
    assert "promised coverage (%)" in curves
    assert "deviation of 3 seeds" in curves


def test_one_seed_has_no_figure_of_spread(leaderboard: Path) -> None:
    write_results(leaderboard, [row for row in read_rows(leaderboard) if row["seed"] == 0])
    figures = write_report(leaderboard).site / "figures"
    assert not (figures / "spread").exists()


def test_errors_of_forces_are_resampled_like_those_of_the_result(
    leaderboard: Path,
) -> None:
    generator = np.random.default_rng(0)
    atoms = generator.integers(2, 7, 40)
    target = generator.normal(size=(atoms.sum(), 3))
    prediction = target + 0.1 * generator.normal(size=target.shape)
    errors = force_errors_of(prediction, target, FORCE)
    forces = Forces(target, prediction, atoms, errors)
    ids, energy = np.array([f"{item:02}" for item in range(40)]), generator.normal(size=40)
    order = generator.permutation(40)
    pair = (energy, energy + 0.1)
    found = Evaluated(ids[order], *pair, errors_of(*pair, ENERGY), 1.0, forces)
    task = Task("x", "y", "energy", ENERGY, "random", forces="forces", forces_definition=FORCE)
    row = read_rows(leaderboard)[0]
    cell = Cell.parse(
        row | {"forces_unit": "meV/Å", "forces_mae": errors.mae, "forces_cosine": errors.cosine}, ""
    )
    write_predictions(leaderboard / cell.folder / "predictions.parquet", found, task)
    terms = read_force_terms(leaderboard, cell)
    by_id = np.argsort(ids[order])
    np.testing.assert_allclose(terms, force_error_terms(prediction, target, atoms)[:, by_id])
    predictions = Predictions(ids, energy[by_id], energy[by_id] + 0.1)
    (entry,) = rank_models([OnTest(cell, predictions, terms)], ENERGY, FORCE)
    expected = found.intervals(task)
    assert set(expected) == set(entry.intervals)
    for name, bounds in entry.intervals.items():
        assert bounds == pytest.approx(expected[name], rel=1e-9), name
    table = TaskTable("x/y", "random", load_card("qm9"), "homo", (entry,))
    assert table.has_forces
    keys = [column.key for column in table.columns]
    assert keys.index("forces_mae") + 1 == keys.index("forces_mae_interval")
    assert "forces_cosine_interval" in [column.key for column in table.uncertainty]


def test_equal_models_share_a_rank_whatever_stands_between_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model = FakeModel(0.1, seeds_differ=False)
    leaderboard = make_project(tmp_path, {"a": model}, targets=("homo",))
    tested = []
    for name in ("a", "b", "c", "d", "e"):
        for row in read_rows(leaderboard):
            cell = Cell.parse(row | {"model": name}, "")
            table = predictions_of(leaderboard, row)
            pair = table["target"].to_numpy(), table["prediction"].to_numpy()
            tested.append(OnTest(cell, Predictions(table["id"].to_numpy(), *pair)))
    assert [entry.rank for entry in rank_models(tested, ENERGY)] == [1] * 5
