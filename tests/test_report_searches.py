"""What is told of searches: numbers against other ways to get them, figures, pages, words."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from report_data import make_project
from scipy import stats
from search_tables import SPACE, START, write_search

from molcryst_bench.base.errors import RunError
from molcryst_bench.cli.console import console
from molcryst_bench.cli.main import molcryst
from molcryst_bench.report.build import write_report
from molcryst_bench.report.columns import Column
from molcryst_bench.report.searches import importance as importances
from molcryst_bench.report.searches.build import write_search_report
from molcryst_bench.report.searches.found import Findings, findings_of
from molcryst_bench.report.searches.front import Front, front_of
from molcryst_bench.report.searches.importance import importance_of
from molcryst_bench.report.searches.reading import Comparison, read_comparisons
from molcryst_bench.report.searches.summary import Spread, summary_columns, verdict
from molcryst_bench.report.searches.trials import best_trials, in_words, trial_columns


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five searches of each method, of which one gets better. Read only."""
    root = tmp_path_factory.mktemp("searched")
    for seed in range(5):
        write_search(root, "cbo", seed, gain=4)
        write_search(root, "random", seed)
    return root


@pytest.fixture(scope="module")
def comparison(searched: Path) -> Comparison:
    (found,) = read_comparisons([searched])
    return found


def rows_of(folder: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(folder / "search.parquet").to_pylist()
    return rows


def column(columns: tuple[Column, ...], key: str) -> Column:
    return next(each for each in columns if each.key == key)


def minima(searched: Path, method: str) -> list[float]:
    """The least error of each repeat, without the first trial."""
    folders = sorted(searched.glob(f"qm9/homo/physnet/{method}-*"))
    return [min(r["error"] for r in rows_of(each)[1:] if r["error"]) for each in folders]


def test_the_table_of_minima_follows_from_the_files(searched: Path, comparison: Comparison) -> None:
    columns = summary_columns(comparison)
    assert column(columns, "method").texts == ("CBO", "Random search")
    assert column(columns, "repeats").values == (5, 5)
    assert column(columns, "trials").values == (95, 95)
    for row, method in enumerate(("cbo", "random")):
        least = minima(searched, method)
        assert column(columns, "minimum").values[row] == pytest.approx(np.mean(least))
        assert column(columns, "best").values[row] == min(least)
        low, _ = stats.t.interval(0.95, 4, np.mean(least), stats.sem(least))
        assert column(columns, "interval").values[row] == pytest.approx(low)
    for each in columns:
        if each.key in ("minimum", "interval", "best", "median", "quartiles", "deviation"):
            assert "(meV)" in each.header


def test_an_interval_holds_the_mean_as_often_as_it_says() -> None:
    draw, held = np.random.default_rng(0), 0
    for _ in range(2000):
        interval = Spread.of(draw.normal(3.0, 2.0, 5)).interval
        assert interval is not None
        held += interval[0] <= 3.0 <= interval[1]
    assert held / 2000 == pytest.approx(0.95, abs=0.015)


def test_a_difference_is_called_one_only_where_it_is_sure(tmp_path: Path) -> None:
    for seed in range(5):
        write_search(tmp_path / "same", "cbo", seed, gain=1)
        write_search(tmp_path / "same", "random", seed)
    (same,) = read_comparisons([tmp_path / "same"])
    assert verdict(same).endswith("they cannot be told apart.")
    one, other = (np.array(minima(tmp_path / "same", name)) for name in ("cbo", "random"))
    assert stats.ttest_ind(one, other, equal_var=False).pvalue > 0.05
    for folder in (tmp_path / "same").glob("qm9/homo/physnet/random-*"):
        _change(folder, lambda row: row | {"error": row["error"] and 3 * row["error"]})
    (worse,) = read_comparisons([tmp_path / "same"])
    assert verdict(worse).endswith("CBO finds less.")


def test_one_repeat_decides_nothing(tmp_path: Path) -> None:
    write_search(tmp_path, "cbo", 0)
    write_search(tmp_path, "random", 0)
    (found,) = read_comparisons([tmp_path])
    assert verdict(found) == "One repeat says nothing about which method is better."
    assert column(summary_columns(found), "interval").texts == ("n/a", "n/a")


def test_the_best_trials_have_a_column_for_each_hyperparameter(
    searched: Path, comparison: Comparison
) -> None:
    for method, name in zip(comparison.methods, ("cbo", "random"), strict=True):
        best = best_trials(method)
        rows = [r for f in searched.glob(f"qm9/homo/physnet/{name}-*") for r in rows_of(f)[1:]]
        known = sorted(row["error"] for row in rows if row["error"])
        assert [each.error for each in best] == known[:10]
        columns = trial_columns(comparison, best)
        headers = [each.header for each in columns]
        assert [p.name for p in SPACE.parameters] == headers[4:12]
        assert headers[3] == "Validation error (meV)"
        rates = column(columns, "setting learning_rate").values
        found = [json.loads(r["settings"])["learning_rate"] for r in rows if r["error"] in known]
        assert set(rates) <= set(found)


def test_settings_are_shown_with_three_digits() -> None:
    shown = [in_words(v) for v in (1.234e-5, 0.02, 300, 12.345, 0.0, "lamb", True, None, 2.5e6)]
    assert shown == [
        "1.23e-5",
        "0.0200",
        "300",
        "12.3",
        "0.0",
        "lamb",
        "True",
        "n/a",
        "2.50e6",
    ]


def test_best_so_far_never_rises_and_ends_at_the_minimum(comparison: Comparison) -> None:
    for search in comparison.searches:
        curve = search.best_so_far
        assert len(curve) == 19
        for place, value in enumerate(curve):
            seen = [error for error in search.errors[: place + 1] if np.isfinite(error)]
            assert value == min(seen) if seen else np.isnan(value)
        assert curve[-1] == search.least


def test_importance_finds_what_the_objective_depends_on(comparison: Comparison) -> None:
    found = importance_of(comparison)
    assert found is not None
    assert found.names[:2] == ("learning_rate", "optimizer")
    assert found.means[0] > 5 * found.means[1] > 5 * max(found.means[2:])
    assert found.r2 > 0.8
    assert found.trials == 180
    assert "too little" not in found.caution


def test_importance_is_honest_about_noise_and_few_trials(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    folder = write_search(tmp_path, "random", 0, trials=40)
    _change(folder, lambda row: row | {"error": row["error"] and float(draw.lognormal())})
    (noise,) = read_comparisons([tmp_path])
    found = importance_of(noise)
    assert found is not None
    assert "too little to read anything" in found.caution
    write_search(tmp_path / "few", "random", 0, trials=10)
    (few,) = read_comparisons([tmp_path / "few"])
    assert importance_of(few) is None


def test_no_trial_beats_those_of_the_front(tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    for _ in range(50):
        costs, errors = draw.integers(1, 9, 12).astype(float), draw.integers(1, 9, 12).astype(float)
        chosen = {(costs[i], errors[i]) for i in Front((), costs, errors, "").best}
        points = list(zip(costs, errors, strict=True))
        expected = {
            (c, e)
            for c, e in points
            if not any(x <= c and y <= e and (x, y) != (c, e) for x, y in points)
        }
        assert chosen == expected
    write_search(tmp_path, "cbo", 0, cost="parameters")
    (found,) = read_comparisons([tmp_path])
    front = front_of(found)
    assert front is not None
    assert all(each.trial.status == "done" for each in front.trials)
    titles = [each.title for each in Findings(found).fronts]
    assert titles == ["The Pareto front, from the cheapest on"]


def test_a_table_alone_is_enough_wherever_it_lies(searched: Path, tmp_path: Path) -> None:
    for number, path in enumerate(sorted(searched.rglob("search.parquet"))):
        (tmp_path / str(number)).mkdir()
        shutil.copy(path, tmp_path / str(number))
    (copied,), (first,) = read_comparisons([tmp_path]), read_comparisons([searched])
    assert [each.texts for each in summary_columns(copied)] == [
        each.texts for each in summary_columns(first)
    ]


def test_only_what_compares_is_compared_and_the_reader_is_warned(tmp_path: Path) -> None:
    write_search(tmp_path, "cbo", 0, budget=30)
    write_search(tmp_path, "cbo", 1, code="0ther")
    write_search(tmp_path, "cbo", 0, task="qm9/zpve")
    write_search(tmp_path / "cost", "cbo", 0, cost="parameters")
    homo, with_cost, zpve = sorted(read_comparisons([tmp_path]), key=lambda c: (c.task, c.cost))
    assert [len(each.searches) for each in (homo, with_cost, zpve)] == [2, 1, 1]
    assert homo.notes == [
        "1 of 2 searches are not finished.",
        "The code changed between trials: their errors may not compare.",
    ]
    assert zpve.notes == []


def test_a_damaged_table_is_named(tmp_path: Path) -> None:
    folder = write_search(tmp_path, "cbo", 0)
    (folder / "search.parquet").write_bytes(b"nothing")
    with pytest.raises(RunError, match=r"cbo-0/search.parquet is not the table of a search"):
        read_comparisons([tmp_path])
    with pytest.raises(RunError, match="run `molcryst tune TASK MODEL` first"):
        write_search_report([tmp_path / "none"], tmp_path / "report")
    assert not (tmp_path / "report").exists()


@pytest.fixture
def quick_importance(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_SHUFFLES", "_TREES"):
        monkeypatch.setattr(importances, name, 1)


@pytest.mark.slow
@pytest.mark.usefixtures("quick_importance")
def test_a_report_has_figures_as_svg_and_png_and_equal_bytes(tmp_path: Path) -> None:
    write_search(tmp_path / "in", "cbo", 0, cost="inference")
    write_search(tmp_path / "in", "random", 0, cost="inference")
    reports = [write_search_report([tmp_path / "in"], tmp_path / name) for name in "ab"]
    text = reports[0].read_text()
    for picture in re.findall(r"\]\((.*?\.png)\)", text):
        assert (reports[0].parent / picture).read_bytes().startswith(b"\x89PNG")
        assert (reports[0].parent / picture).with_suffix(".svg").exists()
    assert len(re.findall(r"\]\((.*?\.png)\)", text)) == 3
    one, other = (
        {path.name: path.read_bytes() for path in report.parent.iterdir()} for report in reports
    )
    assert one == other


@pytest.mark.usefixtures("quick_importance")
def test_the_terminal_shows_the_same_numbers(
    comparison: Comparison, searched: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "_width", 250)
    told = CliRunner().invoke(molcryst, ["searches", str(searched)])
    assert told.exit_code == 0, told.output
    (findings,) = findings_of([comparison])
    for listed in [findings.summary, *findings.top]:
        for each in listed.columns:
            assert all(text in told.output for text in each.texts)
    assert verdict(comparison)[:60] in told.output.replace("\n", " ")


@pytest.mark.slow
@pytest.mark.usefixtures("quick_importance")
def test_the_site_has_a_page_for_searches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    leaderboard = make_project(tmp_path, targets=("homo",))
    hostile = "<script>alert(1)</script>"
    for method in ("cbo", "random"):
        write_search(leaderboard / "results" / "searches", method, 0)
        folder = write_search(leaderboard / "results" / "searches", method, 0, model="evil")
        _rename_model(folder, hostile)
    site = write_report(leaderboard).site
    pages = sorted((site / "searches").rglob("*.html"))
    assert len(pages) == 2
    index = (site / "index.html").read_text()
    for page in pages:
        assert page.relative_to(site).as_posix() in index
        text = page.read_text()
        assert hostile not in text
        assert "(meV)" in text
        for address in re.findall(r'(?:src|srcset|href)="([^"#:]+)["#]', text):
            assert (page.parent / address).resolve().exists(), address
    assert START.keys() <= set(re.findall(r"[a-z_]+", pages[0].read_text()))


def _change(folder: Path, change: Any) -> None:
    """Rewrite the rows of a search but for the first."""
    table = pq.read_table(folder / "search.parquet")
    first, *others = table.to_pylist()
    rows = [first, *map(change, others)]
    pq.write_table(type(table).from_pylist(rows, table.schema), folder / "search.parquet")


def _rename_model(folder: Path, name: str) -> None:
    table = pq.read_table(folder / "search.parquet")
    key = b"molcryst_bench.search"
    identity = json.loads(table.schema.metadata[key]) | {"model": name}
    renamed = table.replace_schema_metadata({key: json.dumps(identity)})
    pq.write_table(renamed, folder / "search.parquet")
