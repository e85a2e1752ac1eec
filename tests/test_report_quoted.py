"""What others have published, beside ours; and tables as files."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from handmade import REPOSITORY
from report_data import FakeModel, make_project
from test_report_site import Page

from molcryst_bench.base.errors import SettingsError
from molcryst_bench.report.build import write_report
from molcryst_bench.report.latex import escape
from molcryst_bench.report.paper.differences import differences
from molcryst_bench.report.quoted import PUBLISHED, Publications
from molcryst_bench.report.table_files import render_csv, render_json
from molcryst_bench.report.tables import build_tables
from molcryst_bench.sources.card import load_card

FILES = sorted((REPOSITORY / "datasets").glob(f"*/{PUBLISHED}"))


@pytest.fixture
def leaderboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    made = make_project(tmp_path, targets=("homo",))
    shutil.copy(REPOSITORY / "datasets/qm9" / PUBLISHED, tmp_path / "datasets/qm9")
    return made


def change(leaderboard: Path, **values: object) -> None:
    path = leaderboard.parent / "datasets/qm9" / PUBLISHED
    content = yaml.safe_load(path.read_text())
    content["results"][0] |= values
    path.write_text(yaml.safe_dump(content))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name)
def test_every_publication_is_of_a_target_in_its_unit(path: Path) -> None:
    card = load_card(path.parent.name)
    for one in Publications.load(path).results:
        assert one.errors
        for name in one.errors:
            target = card.targets.get("forces" if one.quantity == "forces_mae" else name)
            assert target is not None, (one.model, name)
            assert target.error_unit == one.unit


def test_they_stand_on_the_site_and_in_the_tables(leaderboard: Path) -> None:
    (table,) = build_tables(leaderboard)
    quoted = table.quoted
    assert [one.error for one in quoted] == [20.3, 24.6, 27.6, 41, 43, 90, 150]
    assert quoted[0].model == "TorchMD-NET"
    paths = write_report(leaderboard)
    task = paths.site / "tasks/qm9/homo/random.html"
    for text in (Page(paths.index).text, Page(task).text, paths.markdown.read_text()):
        assert "TorchMD-NET (quoted)" in text
        assert "20.3 meV" in " ".join(text.split())
    links = {address["href"] for address in Page(task).all("a")}
    assert "https://doi.org/10.48550/arXiv.2202.02541" in links
    for suffix in ("csv", "json", "tex"):
        assert f"../../../tables/qm9-homo-random.{suffix}" in links
        assert (paths.site / f"tables/qm9-homo-random.{suffix}").exists()


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_latex_sets_the_table(leaderboard: Path) -> None:
    table = write_report(leaderboard).site / "tables/qm9-homo-random.tex"
    lines = [r"\documentclass{article}", r"\usepackage{booktabs}", r"\begin{document}"]
    document = leaderboard / "paper.tex"
    document.write_text("\n".join([*lines, table.read_text(), r"\end{document}"]))
    command = ["pdflatex", "-halt-on-error", "-interaction", "nonstopmode", document.name]
    run = subprocess.run(command, cwd=leaderboard, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout
    assert "1 page" in run.stdout


def test_differences_from_the_paper_are_told_with_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    models = {"mpnn": FakeModel(0.1), "mean": FakeModel(0.6)}
    leaderboard = make_project(tmp_path, models, targets=("homo",))
    shutil.copy(REPOSITORY / "datasets/qm9" / PUBLISHED, tmp_path / "datasets/qm9")
    (table,) = build_tables(leaderboard)
    (found,) = differences([table])
    ours = next(entry.mae.mean for entry in table.entries if entry.model == "mpnn")
    assert (found.model, found.quoted.error) == ("mpnn", 150)
    assert found.difference == f"{ours - 150:.1f} meV".replace("-", "\N{MINUS SIGN}")
    assert found.ratio == f"{ours / 150:.3g} times"
    assert found.trained.endswith("items, 3 seeds")
    paper = Page(write_report(leaderboard).site / "paper.html")
    assert found.difference in paper.text
    assert "https://doi.org/10.1088/2632-2153/acd434" in {a["href"] for a in paper.all("a")}
    table = replace(table, quoted=table.quoted[:1])
    assert differences([table]) == []


def test_what_a_publication_says_is_shown_as_text(leaderboard: Path) -> None:
    change(leaderboard, model="<b>bold</b> & 100 %", conditions="<script>alert(1)</script>")
    paths = write_report(leaderboard)
    assert not any("alert" in str(script) for script in Page(paths.index).all("script"))
    assert "<b>bold" not in paths.markdown.read_text()
    assert escape("\N{MINUS SIGN}0.1 ± 0.2 {Å}") == r"$-$0.1 $\pm$ 0.2 \{Å\}"
    latex = (paths.site / "tables/qm9-homo-random.tex").read_text()
    assert r"<b>bold</b> \& 100 \% (quoted) & 41" in latex


def test_another_unit_is_refused(leaderboard: Path) -> None:
    change(leaderboard, unit="eV")
    with pytest.raises(SettingsError, match=r"SchNet: mae of qm9/homo is in eV.*meV"):
        build_tables(leaderboard)


def test_files_hold_the_numbers_of_the_table(leaderboard: Path) -> None:
    (table,) = build_tables(leaderboard)
    quoted = table.quoted
    rows = list(csv.DictReader(io.StringIO(render_csv(table))))
    mine = [row for row in rows if row["Source"] == "computed"]
    assert [row["MAE (meV)"] for row in mine] == list(table.column("mae").texts)
    assert len(rows) == len(mine) + len(quoted)
    assert rows[-1]["MAE (meV)"] == f"{quoted[-1].error:g}"
    content = json.loads(render_json(table))
    values = [row["MAE (meV)"]["value"] for row in content["models"]]
    assert values == [entry.mae.mean for entry in table.entries]
    assert content["store_digest"] == table.first.store_digest
    assert content["quoted"][0]["citation"]["doi"] == quoted[0].citation.doi
