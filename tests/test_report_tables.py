from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from report_data import FakeModel, make_project, measured, read_rows, write_results

from molcryst_bench.base.errors import MolcrystError, RunError
from molcryst_bench.report.tables import build_tables


@pytest.fixture
def leaderboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return make_project(tmp_path, targets=("homo",))


def predictions_of(leaderboard: Path, row: int) -> Path:
    return leaderboard / read_rows(leaderboard)[row]["folder"] / "predictions.parquet"


def rewrite(
    leaderboard: Path, row: int, ids: list[str], target: list[float], prediction: list[float]
) -> None:
    """Give a cell other predictions, and its row the numbers that follow from them."""
    rows = read_rows(leaderboard)
    path = predictions_of(leaderboard, row)
    pq.write_table(pa.table({"id": ids, "target": target, "prediction": prediction}), path)
    rows[row] |= measured(path.parent, "homo")
    write_results(leaderboard, rows)


def test_numbers_of_two_seeds_by_hand(leaderboard: Path) -> None:
    write_results(leaderboard, read_rows(leaderboard)[:2])
    ids = ["a", "b", "c", "d"]
    rewrite(leaderboard, 0, ids, [0.0, 1.0, 2.0, 3.0], [0.1, 1.1, 2.1, 3.1])
    # The order of the file is no matter.
    rewrite(leaderboard, 1, ids[::-1], [3.0, 2.0, 1.0, 0.0], [3.3, 2.3, 1.3, 0.3])
    (table,) = build_tables(leaderboard)
    (entry,) = table.entries
    assert entry.mae.mean == pytest.approx(200.0)  # meV, of 100 and 300
    assert entry.mae.spread == pytest.approx(math.sqrt(2) * 100.0)
    # Averaged over seeds every item has the same error, so resampling changes nothing.
    assert entry.mae_interval == pytest.approx((200.0, 200.0))
    assert table.column("mae").texts == ("200.0 ± 141.4",)
    assert table.column("mae").header == "MAE (meV)"
    assert table.column("seeds").texts == ("2",)


def test_models_are_sorted_from_best_to_worst(leaderboard: Path) -> None:
    (table,) = build_tables(leaderboard)
    assert [entry.model for entry in table.entries] == ["schnet", "ridge", "mean"]
    assert [entry.rank for entry in table.entries] == [1, 2, 3]
    for entry in table.entries:
        assert entry.mae_interval[0] < entry.mae.mean < entry.mae_interval[1]


def test_a_deterministic_model_shows_its_spread_of_zero(leaderboard: Path) -> None:
    (table,) = build_tables(leaderboard)
    assert table.column("mae").texts[1].endswith(" ± 0.0")


def test_an_r2_close_to_one_shows_how_close(leaderboard: Path) -> None:
    for row, r2 in enumerate((0.99961, 0.99963, 0.99965)):
        table = pq.read_table(predictions_of(leaderboard, row))
        target = table["target"].to_numpy()
        missed = math.sqrt(1 - r2) * (target - target.mean())
        prediction = (target - missed).tolist()
        rewrite(leaderboard, row, table["id"].to_pylist(), target.tolist(), prediction)
    (table,) = build_tables(leaderboard)
    assert table.column("r2").texts[0] == "0.99963 ± 0.00002"


def test_twins_share_a_rank(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    models = {"one": FakeModel(0.1), "two": FakeModel(0.1), "far": FakeModel(2.0)}
    (table,) = build_tables(make_project(tmp_path, models, targets=("homo",)))
    assert [entry.rank for entry in table.entries] == [1, 1, 3]


def test_the_shown_seed_is_chosen_by_validation_not_by_test(leaderboard: Path) -> None:
    rows = read_rows(leaderboard)
    for row, valid in zip(rows[:3], (30.0, 10.0, 20.0), strict=True):
        row["valid_mae"] = valid
    write_results(leaderboard, rows)
    (table,) = build_tables(leaderboard)
    assert table.entries[0].representative.seed == 1


def test_a_model_that_diverged_comes_last(leaderboard: Path) -> None:
    rows = read_rows(leaderboard)
    for number in (0, 1, 2):
        path = predictions_of(leaderboard, number)
        table = pq.read_table(path)
        lost = pa.array([math.nan] * len(table))
        pq.write_table(table.set_column(2, "prediction", lost), path)
        rows[number] |= measured(path.parent, "homo")
    write_results(leaderboard, rows)
    (table,) = build_tables(leaderboard)
    assert [entry.model for entry in table.entries] == ["ridge", "mean", "schnet"]
    assert [entry.rank for entry in table.entries] == [1, 2, 3]
    assert table.column("mae_interval").texts[2] == "n/a"


def test_a_sample_says_so(leaderboard: Path) -> None:
    (table,) = build_tables(leaderboard)
    assert table.is_sample
    assert table.scope == "a sample of 240 of the 130,831 records of QM9"


def test_the_whole_dataset_says_so(leaderboard: Path) -> None:
    card = leaderboard.parent / "datasets" / "qm9" / "card.yaml"
    card.write_text(card.read_text().replace("records: 130831", "records: 240"))
    (table,) = build_tables(leaderboard)
    assert not table.is_sample
    assert table.scope == "all 240 records of QM9"


def test_cells_of_two_profiles_name_both(leaderboard: Path) -> None:
    rows = read_rows(leaderboard)
    rows[0]["profile"] = "paper-cpu"
    write_results(leaderboard, rows)
    (table,) = build_tables(leaderboard)
    assert table.profile == "paper-cpu, quick"


def test_splits_have_tables_of_their_own(leaderboard: Path) -> None:
    rows = read_rows(leaderboard)
    write_results(leaderboard, rows + [{**row, "split": "scaffold"} for row in rows])
    assert [table.split for table in build_tables(leaderboard)] == ["random", "scaffold"]


def test_without_results_it_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"results.parquet does not exist: run `molcryst bench run`"):
        build_tables(tmp_path)


def test_missing_predictions_are_named(leaderboard: Path) -> None:
    path = predictions_of(leaderboard, 4)
    path.unlink()
    with pytest.raises(MolcrystError) as caught:
        build_tables(leaderboard)
    assert str(path) in str(caught.value)
    assert "qm9/homo/ridge/1" in str(caught.value)


def test_changed_predictions_are_noticed(leaderboard: Path) -> None:
    path = predictions_of(leaderboard, 0)
    table = pq.read_table(path)
    better = table.set_column(2, "prediction", table["target"])
    pq.write_table(better, path)
    with pytest.raises(RunError, match="has changed since qm9/homo/schnet/0 was evaluated"):
        build_tables(leaderboard)


def test_damaged_predictions_are_named(leaderboard: Path) -> None:
    path = predictions_of(leaderboard, 0)
    path.write_bytes(b"PAR1 but not really")
    rows = read_rows(leaderboard)
    rows[0]["predictions_sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    write_results(leaderboard, rows)
    with pytest.raises(RunError, match=r"predictions.parquet is not a readable Parquet file"):
        build_tables(leaderboard)


def test_a_number_that_does_not_follow_from_its_file_is_refused(leaderboard: Path) -> None:
    rows = read_rows(leaderboard)
    rows[0]["mae"] *= 0.9
    write_results(leaderboard, rows)
    with pytest.raises(RunError, match=r"gives an MAE of .* meV, results.parquet says"):
        build_tables(leaderboard)


def test_cells_tested_on_other_items_are_refused(leaderboard: Path) -> None:
    table = pq.read_table(predictions_of(leaderboard, 0))
    ids = [f"other_{row}" for row in range(len(table))]
    rewrite(leaderboard, 0, ids, table["target"].to_pylist(), table["prediction"].to_pylist())
    with pytest.raises(RunError, match="were tested on different items"):
        build_tables(leaderboard)


def test_cells_from_different_stores_are_refused(leaderboard: Path) -> None:
    rows = read_rows(leaderboard)
    rows[0]["store_digest"] = "0" * 64
    write_results(leaderboard, rows)
    with pytest.raises(RunError, match="the cells of qm9/homo differ in store_digest"):
        build_tables(leaderboard)


def test_a_cell_that_stands_twice_is_refused(leaderboard: Path) -> None:
    rows = read_rows(leaderboard)
    write_results(leaderboard, [*rows, rows[0]])
    with pytest.raises(RunError, match=r"qm9/homo/schnet/0 \(random split\) 2 times"):
        build_tables(leaderboard)


def test_a_table_of_another_version_is_refused(leaderboard: Path) -> None:
    rows = [{k: v for k, v in row.items() if k != "r2"} for row in read_rows(leaderboard)]
    write_results(leaderboard, rows)
    with pytest.raises(RunError, match="lacks the columns r2"):
        build_tables(leaderboard)


def test_a_row_with_a_wrong_value_is_named(leaderboard: Path) -> None:
    rows = read_rows(leaderboard)
    rows[2]["hyperparameters"] = json.dumps([1, 2])
    write_results(leaderboard, rows)
    with pytest.raises(MolcrystError, match=r"results.parquet, row 2: 'hyperparameters' is"):
        build_tables(leaderboard)


def test_a_folder_outside_the_leaderboard_is_refused(leaderboard: Path) -> None:
    rows = read_rows(leaderboard)
    rows[0]["folder"] = "../../secrets"
    write_results(leaderboard, rows)
    with pytest.raises(RunError, match="lies outside"):
        build_tables(leaderboard)
