"""Changes since older results: of a file, or of the last release in git."""

from __future__ import annotations

import math
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from report_data import make_project, read_rows, write_results

from molcryst_bench.base.errors import RunError
from molcryst_bench.cli.report import report
from molcryst_bench.report.changes.found import Change, Changes, changes_since
from molcryst_bench.report.changes.previous import Previous, last_release, read_previous
from molcryst_bench.report.results import read_results


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("changes")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        return make_project(root, targets=("homo",))


@pytest.fixture
def leaderboard(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "project"
    shutil.copytree(made.parent, root)
    monkeypatch.chdir(root)
    return root / "leaderboard"


def older(leaderboard: Path) -> list[dict[str, Any]]:
    """Results with one cell missing, one with another error and one that is gone."""
    rows = read_rows(leaderboard)
    changed = rows[1] | {"mae": 2 * rows[1]["mae"], "predictions_sha256": "0" * 64}
    gone = rows[0] | {"model": "<b>gone</b>", "mae": 123.0}
    return [changed, *rows[2:], gone]


def by_kind(changes: Changes) -> Mapping[str, Change]:
    return {change.kind: change for change in changes.found}


def test_cells_are_new_changed_or_gone(leaderboard: Path) -> None:
    rows = read_rows(leaderboard)
    changes = changes_since(Previous("v1", older(leaderboard)), read_results(leaderboard))
    assert changes.in_words == "1 new, 1 changed, 1 gone, 7 as before"
    found = by_kind(changes)
    assert (found["new"].model, found["new"].seed) == (rows[0]["model"], rows[0]["seed"])
    assert found["new"].before_text == "n/a"
    assert found["changed"].growth == pytest.approx(-0.5)
    assert found["changed"].after_text == f"{rows[1]['mae']:.1f} meV"
    assert found["gone"].before_text == "123.0 meV"
    assert math.isnan(found["gone"].growth)
    assert found["gone"].cell is None


def test_equal_results_have_no_changes(leaderboard: Path) -> None:
    changes = changes_since(Previous("v1", read_rows(leaderboard)), read_results(leaderboard))
    assert changes.found == ()
    assert changes.in_words == "9 as before"


def test_errors_in_other_units_are_not_compared(leaderboard: Path) -> None:
    rows = [row | {"error_unit": "eV", "predictions_sha256": ""} for row in read_rows(leaderboard)]
    changes = changes_since(Previous("v1", rows), read_results(leaderboard))
    assert all(math.isnan(change.growth) for change in changes.found)


def test_the_command_compares_with_a_file(leaderboard: Path) -> None:
    path = leaderboard.parent / "older.parquet"
    pq.write_table(pa.Table.from_pylist(older(leaderboard)), path)
    done = CliRunner().invoke(report, ["--since", str(path)])
    assert done.exit_code == 0, done.output
    site = leaderboard / "site"
    page = (site / "changes.html").read_text(encoding="utf-8")
    assert "1 new, 1 changed, 1 gone, 7 as before" in page
    assert "&lt;b&gt;gone&lt;/b&gt;" in page
    assert "Changes since older.parquet" in (site / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("content", [b"", b"PAR1 no table", None])
def test_what_is_no_table_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "older.parquet"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RunError, match=r"older\.parquet"):
        read_previous(path)


def test_a_table_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.parquet"
    pq.write_table(pa.table({"task": ["qm9/homo"]}), path)
    with pytest.raises(RunError, match="lacks the columns split, model"):
        read_previous(path)


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


def test_the_last_release_is_what_its_tag_has(leaderboard: Path) -> None:
    root = leaderboard.parent
    assert last_release(leaderboard) is None  # no repository
    git(root, "init")
    results = leaderboard / "results.parquet"
    now = read_rows(leaderboard)
    for tag, rows in {"v1": now[:4], "v2": now[:6]}.items():
        write_results(leaderboard, rows)
        git(root, "add", "--force", str(results))
        git(root, "commit", "-m", tag)
        git(root, "tag", tag)
    # The release that is being made is not compared with itself.
    found = last_release(leaderboard)
    assert found is not None
    assert (found.name, len(found.rows)) == ("v1", 4)
    write_results(leaderboard, now)
    found = last_release(leaderboard)
    assert found is not None
    assert (found.name, len(found.rows)) == ("v2", 6)


def test_a_release_without_results_says_nothing(leaderboard: Path) -> None:
    root = leaderboard.parent
    git(root, "init")
    git(root, "add", "params.yaml")
    git(root, "commit", "-m", "no results")
    git(root, "tag", "v1")
    assert last_release(leaderboard) is None
