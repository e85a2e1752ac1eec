"""Changed numbers, files and splits are found, by ``molcryst verify`` and by the site's build."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import handmade
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bench_project import Record, write_params
from click.testing import CliRunner, Result
from report_data import make_project, read_rows, write_results

from molcryst_bench.base.errors import MolcrystError
from molcryst_bench.base.executors import InlineExecutor
from molcryst_bench.base.files import checksum_of
from molcryst_bench.bench.cell import plan_cells
from molcryst_bench.bench.explain import write_parts
from molcryst_bench.bench.result import CellResult
from molcryst_bench.bench.runner import run_bench
from molcryst_bench.cli.console import console
from molcryst_bench.cli.main import molcryst
from molcryst_bench.graphs.store import GraphStore
from molcryst_bench.report.tables import build_tables
from molcryst_bench.training.metrics import Errors

NAME = "qm9/homo/schnet/0"
NUMBERS = [
    name
    for name, field in CellResult.model_fields.items()
    if field.annotation in (float, float | None, int) and not name.startswith("forces_")
]


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths of tests are long."""
    monkeypatch.setattr(console, "_width", 2000)


@pytest.fixture
def leaderboard(tiny_store: GraphStore, project: Path) -> Path:
    """Two trained cells with all that the runner leaves."""
    models = {"ridge": {}, "schnet": {"hyperparameters": {"width": 8, "gaussians": 8}}}
    params = write_params(project, bench__tasks=["qm9/homo"], bench__seeds=[0], models=models)
    leaderboard = project / "leaderboard"
    plans = plan_cells(params)
    run_bench(plans, leaderboard, InlineExecutor(), Record())
    for plan in plans:
        write_parts(plan, leaderboard / "results")
    return leaderboard


def verify(*options: str) -> Result:
    return CliRunner().invoke(molcryst, ["verify", NAME, *options])


def state_of(link: str, result: Result) -> str:
    (line,) = (line for line in result.output.splitlines() if f"│ {link} " in line)
    return line.split("│")[2].strip()


def folder(leaderboard: Path) -> Path:
    return leaderboard / "results" / NAME


def change_rows(leaderboard: Path, **changes: Any) -> None:
    rows = pq.read_table(leaderboard / "results.parquet")
    values = rows.to_pylist()
    (row,) = (row for row in values if row["model"] == "schnet")
    row |= {name: change(row[name]) for name, change in changes.items()}
    pq.write_table(pa.Table.from_pylist(values, rows.schema), leaderboard / "results.parquet")


def change_prediction(leaderboard: Path) -> Path:
    path = folder(leaderboard) / "predictions.parquet"
    table = pq.read_table(path)
    values = table["prediction"].to_numpy().copy()
    values[3] += 1e-6
    position = table.column_names.index("prediction")
    pq.write_table(table.set_column(position, "prediction", pa.array(values)), path)
    return path


def flip_byte(path: Path, place: int = -10) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def both_find(leaderboard: Path, link: str, words: str) -> None:
    result = verify()
    assert result.exit_code == 1, result.output
    assert state_of(link, result) == "BROKEN"
    assert words in result.output
    with pytest.raises(MolcrystError) as refused:
        build_tables(leaderboard)
    assert words in str(refused.value)


def test_an_untouched_cell_holds_and_trains_again_to_the_same_numbers(leaderboard: Path) -> None:
    result = verify("--retrain")
    assert result.exit_code == 0, result.output
    assert "Every link holds" in result.output
    assert "the same numbers" in result.output
    build_tables(leaderboard)


@pytest.mark.parametrize("name", NUMBERS)
def test_a_changed_number_is_found(leaderboard: Path, name: str) -> None:
    """Each number of the table, even in its last digits."""
    change_rows(
        leaderboard,
        **{name: lambda value: value + 1 if isinstance(value, int) else value * (1 + 1e-7)},
    )
    words = "results.parquet says"
    if name == "seed":
        result = CliRunner().invoke(molcryst, ["verify", "qm9/homo/schnet/1"])
        assert result.exit_code == 1
        with pytest.raises(MolcrystError, match=words):
            build_tables(leaderboard)
        return
    both_find(leaderboard, "numbers", words)


def test_a_number_changed_together_with_the_cells_own_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the cell keeps no result of its own, numbers are recomputed all the same."""
    monkeypatch.chdir(tmp_path)
    leaderboard = make_project(tmp_path, targets=("homo",))
    for name in ("mae", "rmse", "r2", "mae_low", "r2_high", "coverage_90", "interval_90"):
        rows = read_rows(leaderboard)
        write_results(leaderboard, [{**rows[0], name: rows[0][name] * (1 + 1e-7)}, *rows[1:]])
        with pytest.raises(MolcrystError, match=r"qm9/homo/schnet/0.*results.parquet says"):
            build_tables(leaderboard)
        write_results(leaderboard, rows)
    build_tables(leaderboard)


def test_a_changed_prediction_is_found(leaderboard: Path) -> None:
    path = change_prediction(leaderboard)
    both_find(leaderboard, "predictions", "has changed since qm9/homo/schnet/0 was evaluated")
    change_rows(leaderboard, predictions_sha256=lambda _: checksum_of(path))
    both_find(leaderboard, "numbers", "results.parquet says")


def test_a_changed_checkpoint_is_found(leaderboard: Path) -> None:
    path = folder(leaderboard) / "model.safetensors"
    flip_byte(path)
    both_find(leaderboard, "weights", "has changed since qm9/homo/schnet/0 was trained")
    path.unlink()
    both_find(leaderboard, "weights", "model.safetensors is missing")


def test_weights_that_do_not_make_the_predictions_are_found(leaderboard: Path) -> None:
    """Even if all checksums are made to agree."""
    from safetensors.torch import load_file, save_file

    path = folder(leaderboard) / "model.safetensors"
    weights = load_file(path)
    save_file(
        {
            name: value * 1.5 if value.is_floating_point() else value
            for name, value in weights.items()
        },
        path,
    )
    change_rows(leaderboard, weights_sha256=lambda _: checksum_of(path))
    result = verify()
    assert result.exit_code == 1
    assert state_of("predicted again", result) == "BROKEN"


def test_a_changed_split_is_found(leaderboard: Path, project: Path) -> None:
    from molcryst_bench.graphs.split import load_split, save_split

    path = project / "datasets" / "qm9" / "splits" / "random.parquet"
    split = load_split(path)
    first, last = np.flatnonzero(split.subset == 2)[0], np.flatnonzero(split.subset == 0)[0]
    split.subset[[first, last]] = split.subset[[last, first]]
    save_split(split, path)
    result = verify()
    assert result.exit_code == 1
    assert state_of("split", result) == "BROKEN"
    assert state_of("test records", result) == "BROKEN"
    with pytest.raises(MolcrystError, match="split"):
        build_tables(leaderboard)


def test_changed_raw_files_store_and_configuration_are_found(
    leaderboard: Path, project: Path
) -> None:
    dataset = project / "datasets" / "qm9"
    flip_byte(dataset / "raw" / handmade.WHEEL_NAME, 100)
    assert state_of("raw files", verify()) == "BROKEN"
    shard = next(
        each
        for each in (dataset / "store.zarr" / "targets" / "homo").rglob("*")
        if each.is_file() and each.name != "zarr.json"
    )
    flip_byte(shard, 5)
    assert state_of("store", verify()) == "BROKEN"
    key = folder(leaderboard) / "key.json"
    key.write_text(key.read_text().replace('"gaussians": 8', '"gaussians": 9'))
    assert state_of("configuration", verify()) == "BROKEN"


def test_what_is_not_here_cannot_be_checked(leaderboard: Path, project: Path) -> None:
    shutil.rmtree(project / "datasets" / "qm9" / "raw")
    result = verify()
    assert result.exit_code == 2, result.output
    assert "molcryst data fetch qm9" in result.output
    shutil.rmtree(project / "datasets" / "qm9" / "store.zarr")
    result = verify()
    assert result.exit_code == 2, result.output
    assert "molcryst data build" in result.output
    assert state_of("numbers", result) == "holds"


def test_a_cell_that_is_not_there_is_named(leaderboard: Path) -> None:
    result = CliRunner().invoke(molcryst, ["verify", "qm9/homo/schnet/7"])
    assert result.exit_code == 1
    assert "unknown cell 'qm9/homo/schnet/7'" in str(result.exception)
    by_folder = CliRunner().invoke(molcryst, ["verify", f"leaderboard/results/{NAME}"])
    assert by_folder.exit_code == 0


def test_every_error_is_recomputed() -> None:
    """A new error that nobody checks would be noticed here."""
    assert {*Errors._fields} <= {*NUMBERS}
