"""The page that says where the paper's tables and figures are in a run."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from report_data import REPOSITORY, FakeModel, make_project

from molcryst_bench.report import addresses
from molcryst_bench.report.paper.exhibits import Exhibit, exhibits_of, known_profiles
from molcryst_bench.report.paper.run import Run
from molcryst_bench.report.paper.space import published_space
from molcryst_bench.report.tables import TaskTable, build_tables

MODELS = {"cgcnn": FakeModel(0.1), "cgcnn_matrix": FakeModel(0.2), "mean": FakeModel(0.6)}


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> list[TaskTable]:
    root = tmp_path_factory.mktemp("paper")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        return build_tables(make_project(root, MODELS, targets=("homo",)))


def exhibits(tables: list[TaskTable], *pages: str) -> dict[str, Exhibit]:
    run = Run(tables, [], frozenset(pages), has_space=True)
    return {each.name: each for each in exhibits_of(run, known_profiles())}


def test_every_table_and_figure_of_the_paper_is_listed(tables: list[TaskTable]) -> None:
    names = " ".join(exhibits(tables))
    for number in ("Table 1", "2 to 4", "A1", "A2", *(f"{n}" for n in range(1, 10)), "B1", "B2"):
        assert number in names
    assert all(each.commands for each in exhibits(tables).values())


def test_what_a_run_has_is_linked(tables: list[TaskTable]) -> None:
    found = exhibits(tables)
    (table,) = tables
    (parity,) = found["Figure 2"].places
    assert (parity.address, parity.anchor) == (addresses.task_page(table), "#parity")
    (formats,) = found["Figure 4, formats"].places
    one, other = (entry.mae.mean for entry in table.entries[:2])
    assert formats.label.endswith(f"\N{MINUS SIGN}{other - one:.1f} meV")
    assert formats.address == addresses.compare_page(table)
    assert "3 seeds" in found["Figure 3"].places[0].label


def test_pages_that_there_are_count(tables: list[TaskTable]) -> None:
    assert not exhibits(tables)["Figures 6 and 7"].places
    found = exhibits(tables, addresses.TRANSFER, "interpretation/qm9.html", "index.html")
    assert [each.address for each in found["Figures 6 and 7"].places] == [addresses.TRANSFER]
    assert [each.address for each in found["Figure 9"].places] == ["interpretation/qm9.html"]


def test_what_a_run_lacks_belongs_to_profiles_that_have_it(
    tables: list[TaskTable], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(REPOSITORY)
    found = exhibits(tables)["Figure 5"]
    assert not found.places
    assert "paper" in found.profiles
    assert "quick" not in found.profiles


def test_a_profile_that_cannot_be_read_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(REPOSITORY / "conf", tmp_path / "conf")
    shutil.copytree(REPOSITORY / "datasets", tmp_path / "datasets")
    (tmp_path / "params.yaml").write_text("profile: quick\n")
    (tmp_path / "conf" / "quick.yaml").write_text("tasks: none\n")
    found = known_profiles()
    assert "paper" in found
    assert "quick" not in found


def test_the_search_space_is_that_of_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    space = published_space()
    assert space["batch_size"] == ("integer", "128 to 512")
    assert space["optimizer"][1] == "sgd, torch_adam, torch_adamw, lamb"


def test_without_the_project_there_is_no_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text("profile: quick\n")
    assert published_space() == {}
