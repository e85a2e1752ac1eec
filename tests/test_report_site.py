from __future__ import annotations

import html
import io
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from report_data import FakeModel, make_project, measured, read_rows, write_results
from rich.console import Console

from molcryst_bench.base.errors import MolcrystError
from molcryst_bench.graphs.split import UNUSED, load_split, save_split
from molcryst_bench.report.build import ReportPaths, write_report
from molcryst_bench.report.datasets import describe_dataset
from molcryst_bench.report.results import read_results
from molcryst_bench.report.tables import build_tables
from molcryst_bench.report.terminal import print_leaderboard

HOSTILE = "<script>alert(1)</script>"
HOSTILE_MODELS = {
    HOSTILE: FakeModel(0.1, hyperparameters={"<b>width</b>": "<i>1</i>"}),
    '"><img src=x onerror=alert(1)>': FakeModel(0.2),
    "../../escape|me [bold]$\\frac": FakeModel(0.4),
}
VOID = {"meta", "link", "img", "source", "br", "input"}
DATA = {"application/json"}  # what a browser does not run


class Page(HTMLParser):
    """Elements, links and ids of a page; fails if tags do not match."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        assert not self.open, f"{path}: {self.open} is not closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def ids(self) -> list[str]:
        return [str(attributes["id"]) for _, attributes in self.elements if "id" in attributes]

    @property
    def addresses(self) -> list[str]:
        names = ("href", "src", "srcset")
        return [str(a[name]) for _, a in self.elements for name in names if name in a]


def pages_of(site: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in sorted(site.rglob("*.html"))}


def content_of(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def printed(leaderboard: Path, width: int = 200) -> str:
    console = Console(file=io.StringIO(), width=width)
    print_leaderboard(leaderboard, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A leaderboard with its report. Read only."""
    root = tmp_path_factory.mktemp("built")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        leaderboard = make_project(root)
        write_report(leaderboard)
    return leaderboard


@pytest.fixture
def leaderboard(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A leaderboard of one's own without a report, with the current folder in its project."""
    root = tmp_path / "project"
    shutil.copytree(built.parent, root, ignore=shutil.ignore_patterns("site"))
    monkeypatch.chdir(root)
    return root / "leaderboard"


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ReportPaths:
    monkeypatch.chdir(tmp_path)
    return write_report(make_project(tmp_path, HOSTILE_MODELS, targets=("homo",)))


def test_all_outputs_show_the_same_numbers(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(built.parent)
    index = (built / "site" / "index.html").read_text(encoding="utf-8")
    markdown = (built / "leaderboard.md").read_text(encoding="utf-8")
    terminal = printed(built, width=300)
    tables = build_tables(built)
    assert len(tables) == 2
    for table in tables:
        for key in (
            "model",
            "mae",
            "mae_interval",
            "rmse",
            "r2",
            "coverage",
            "width",
            "seeds",
            "parameters",
            "train_seconds",
        ):
            column = table.column(key)
            for text in column.texts:
                assert f">{html.escape(text)}<" in index
                assert f"| {text} |" in markdown
                assert text in terminal
            for shown in (index, markdown, terminal):
                assert column.header in shown


def test_a_narrow_terminal_shows_whole_numbers(
    built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(built.parent)
    (homo, _) = build_tables(built)
    shown = printed(built, width=60)
    assert all(text in shown for text in homo.column("mae").texts)
    assert "RMSE" not in shown
    assert max(map(len, shown.splitlines())) <= 60


@pytest.mark.parametrize("width", range(60, 190, 7))
def test_no_terminal_cuts_a_column_off(
    built: Path, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.chdir(built.parent)
    lines = printed(built, width=width).splitlines()
    last = build_tables(built)[0].column("train_seconds" if width >= 80 else "mae").texts
    for text in last:
        assert any(text in line for line in lines), text
    heads = lines[: next(row for row, line in enumerate(lines) if "───" in line)]
    assert not any("…" in line for line in lines)
    assert any("Model" in line for line in heads)


def test_every_error_stands_under_its_unit(built: Path) -> None:
    markdown = (built / "leaderboard.md").read_text(encoding="utf-8")
    assert "| MAE (meV) | 95 % interval of MAE (meV) | RMSE (meV) |" in markdown


def test_equal_results_give_equal_bytes(built: Path, leaderboard: Path) -> None:
    paths = write_report(leaderboard)
    assert content_of(paths.site) == content_of(built / "site")
    assert paths.markdown.read_bytes() == (built / "leaderboard.md").read_bytes()


def test_the_site_holds_no_path_of_this_machine(built: Path) -> None:
    for name, content in content_of(built / "site").items():
        assert str(built.parent).encode() not in content, name


def test_every_link_of_the_site_leads_somewhere(built: Path) -> None:
    check_links(built / "site")


def test_hostile_names_have_working_links_too(hostile: ReportPaths) -> None:
    check_links(hostile.site)


def check_links(site: Path) -> None:
    pages = pages_of(site)
    assert len(pages) > 10
    for path, page in pages.items():
        assert len(set(page.ids)) == len(page.ids), f"{path} has an id twice"
        for address in page.addresses:
            check_link(path, address, pages)


def check_link(path: Path, address: str, pages: dict[Path, Page]) -> None:
    parts = urlsplit(address)
    if parts.scheme:
        assert address == "data:," or address.startswith("https://doi.org/10."), address
        return
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    assert target.exists(), f"{path} links to {address}"
    if parts.fragment:
        assert parts.fragment in pages[target].ids, f"{path} links to {address}"


def test_without_older_results_nothing_is_said_of_changes(built: Path) -> None:
    assert not (built / "site" / "changes.html").exists()
    assert "Changes since" not in Page(built / "site" / "index.html").text


def test_nothing_is_loaded_from_elsewhere(built: Path) -> None:
    for path, page in pages_of(built / "site").items():
        loaded = [a for tag in ("img", "script", "source", "link") for a in page.all(tag)]
        for attributes in loaded:
            for name in ("src", "srcset", "href"):
                assert "//" not in str(attributes.get(name, "")), path
    style = (built / "site" / "assets" / "style.css").read_text()
    assert "url(" not in style
    assert "@import" not in style


def test_pages_are_accessible(built: Path) -> None:
    for path, page in pages_of(built / "site").items():
        assert page.all("html")[0]["lang"] == "en"
        assert len(page.all("h1")) == 1, path
        assert all(image["alt"] for image in page.all("img")), path
        assert all(header["scope"] in ("col", "row") for header in page.all("th")), path


def test_every_figure_has_a_twin_for_dark_screens(built: Path) -> None:
    site = built / "site"
    figures = [path for path in site.rglob("*.svg") if not path.stem.endswith("-dark")]
    assert len(figures) > 10
    for path in figures:
        dark = path.with_name(f"{path.stem}-dark.svg").read_text(encoding="utf-8")
        assert "#1f2933" not in dark
        assert dark != path.read_text(encoding="utf-8")


def test_a_cell_leads_back_to_the_raw_bytes(built: Path) -> None:
    row = read_rows(built)[1]
    page = Page(built / "site" / "cells" / "qm9" / "homo" / "random" / "schnet" / "1.html")
    chain = [
        row[name]
        for name in (
            "store_digest",
            "split_digest",
            "code_digest",
            "key",
            "weights_sha256",
            "predictions_sha256",
        )
    ]
    places = [page.text.index(digest) for digest in chain]
    assert places == sorted(places)
    assert "g2.txt" in page.text[: places[0]]
    assert f"{row['mae']:.1f} meV" in page.text[places[-1] :]


def test_a_cell_shows_its_worst_predictions(built: Path) -> None:
    page = Page(built / "site" / "cells" / "qm9" / "homo" / "random" / "schnet" / "1.html")
    pictures = [image for image in page.all("img") if "structural formula" in str(image["alt"])]
    assert len(pictures) == 2 * 5  # the worst, and some of all
    predictions = pq.read_table(built / read_rows(built)[1]["folder"] / "predictions.parquet")
    error = predictions["prediction"].to_numpy() - predictions["target"].to_numpy()
    worst = np.abs(error).argmax()
    shown = page.text[page.text.index("Worst predictions") :]
    assert shown.index(predictions["id"][worst].as_py()) < shown.index("meV")
    assert f"{abs(1000 * error[worst]):,.1f} meV" in shown


def test_a_models_page_documents_and_compares_hyperparameters(built: Path) -> None:
    page = Page(built / "site" / "models" / "schnet.html")
    assert "SchNet: continuous-filter convolutions" in page.text
    assert "doi:10.1063/1.5019779" in page.text
    assert "features of an atom and of a filter" in page.text
    assert any(image.get("class") == "formula" for image in page.all("img"))
    row = read_rows(built)[0]
    assert f"{row['valid_mae']:.1f}" in page.text


def test_a_model_fitted_in_one_step_has_no_learning_curve(built: Path) -> None:
    curves = sorted(path.stem for path in (built / "site" / "figures" / "curves").rglob("*.svg"))
    assert set(curves) == {"schnet", "schnet-dark"}
    assert "fitted in one step" in Page(built / "site" / "models" / "mean.html").text


def test_a_datasets_page_shows_card_splits_and_provenance(built: Path) -> None:
    page = Page(built / "site" / "datasets" / "qm9.html")
    assert "CC0 1.0" in page.text
    assert "1 hartree = 27.211386245988 eV" in page.text
    assert read_rows(built)[0]["store_digest"] in page.text
    assert "g2.txt" in page.text
    assert [image["alt"] for image in page.all("img")] == [
        "Histogram of atoms per record over the store's 240 records",
        "Histogram of homo (eV) over the store's 240 records",
        "Histogram of zpve (eV) over the store's 240 records",
    ]


def test_records_that_a_split_leaves_out_are_not_counted(leaderboard: Path) -> None:
    splits = leaderboard.parent / "datasets" / "qm9" / "splits"
    whole = load_split(splits / "random.parquet")
    subset = np.where(np.arange(len(whole.ids)) < 7, UNUSED, whole.subset)
    save_split(replace(whole, name="scaffold", subset=subset), splits / "scaffold.parquet")
    facts = describe_dataset("qm9", read_results(leaderboard))
    (found,) = (split for split in facts.splits if split.name == "scaffold")
    assert found.whole == found.stored == tuple(np.bincount(subset[7:]))


def test_without_a_store_the_datasets_page_says_so(leaderboard: Path) -> None:
    shutil.rmtree(leaderboard.parent / "datasets" / "qm9" / "store.zarr")
    paths = write_report(leaderboard)
    page = Page(paths.site / "datasets" / "qm9.html")
    assert "The graph store is not where this page was made" in page.text
    assert "CC0 1.0" in page.text
    assert not page.all("img")
    cell = Page(paths.site / "cells" / "qm9" / "homo" / "random" / "mean" / "0.html")
    assert "the store with this digest is not where the page was made" in cell.text
    assert "Their structures are not shown" in cell.text
    assert not cell.all("img")


def test_another_store_is_not_taken_for_that_of_the_results(leaderboard: Path) -> None:
    rows = [{**row, "store_digest": "f" * 64} for row in read_rows(leaderboard)]
    write_results(leaderboard, rows)
    paths = write_report(leaderboard)
    assert "Not the store of all results" in Page(paths.site / "datasets" / "qm9.html").text
    cell = Page(paths.site / "cells" / "qm9" / "homo" / "random" / "mean" / "0.html")
    assert "g2.txt" not in cell.text


def test_many_predictions_are_shown_as_a_density(leaderboard: Path) -> None:
    """Even if all of them lie outside the frame; what is no number cannot be shown."""
    items = 900
    generator = np.random.default_rng(0)
    target = generator.normal(size=items)
    rows = read_rows(leaderboard)[:1]
    path = leaderboard / rows[0]["folder"] / "predictions.parquet"
    for prediction in (target + 0.1, target + 100.0, np.full(items, np.nan)):
        ids = [str(number) for number in range(items)]
        pq.write_table(pa.table({"id": ids, "target": target, "prediction": prediction}), path)
        rows[0] |= measured(path.parent, "homo")
        mae = rows[0]["mae"]
        write_results(leaderboard, rows)
        site = write_report(leaderboard).site
        figure = site / "figures" / "parity" / "qm9" / "homo" / "random" / "schnet.svg"
        drawn = figure.read_text(encoding="utf-8")
        assert ("items per hexagon" in drawn) == np.isfinite(mae)
        assert ("900 outside" in drawn) == (not mae < 1000)


def test_a_sample_is_not_mistaken_for_the_whole(built: Path) -> None:
    notice = "a sample of 240 of the 130,831 records of QM9"
    assert Page(built / "site" / "index.html").text.count(notice) == 2
    assert (built / "leaderboard.md").read_text(encoding="utf-8").count(notice) == 2


def test_hostile_names_stay_text(hostile: ReportPaths) -> None:
    for path, page in pages_of(hostile.site).items():
        assert all("src" in script or script["type"] in DATA for script in page.all("script")), path
        assert not any("onerror" in attributes for _, attributes in page.elements), path
        assert not page.all("b"), path
        assert not page.all("i"), path
    assert HOSTILE in Page(hostile.index).text
    assert HOSTILE not in hostile.markdown.read_text(encoding="utf-8")
    for path in hostile.site.rglob("*.svg"):
        assert HOSTILE not in path.read_text(encoding="utf-8")


def test_hostile_names_stay_in_the_site(hostile: ReportPaths) -> None:
    leaderboard = hostile.site.parent
    names = {path.name for path in leaderboard.iterdir()}
    assert names == {"leaderboard.md", "results", "results.parquet", "site"}
    assert {path.name for path in leaderboard.parent.iterdir()} == {
        "params.yaml",
        "datasets",
        "leaderboard",
    }
    assert len(list((hostile.site / "models").iterdir())) == len(HOSTILE_MODELS)


def test_markdown_rows_keep_their_columns_whatever_the_names(hostile: ReportPaths) -> None:
    lines = hostile.markdown.read_text(encoding="utf-8").splitlines()
    rows = [line.replace(r"\|", "") for line in lines if line.startswith("|")]
    size = 2 + len(HOSTILE_MODELS)
    assert len(rows) == 2 * size
    for table in (rows[:size], rows[size:]):
        assert len({row.count("|") for row in table}) == 1


def test_the_terminal_shows_hostile_names_as_they_are(hostile: ReportPaths) -> None:
    shown = printed(hostile.site.parent)
    assert HOSTILE in shown
    assert "[bold]" in shown


def test_the_terminal_says_where_the_site_lies(
    built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(built.parent)
    assert "Site: leaderboard/site/index.html" in printed(built)


def test_the_terminal_says_how_to_make_the_site(leaderboard: Path) -> None:
    assert "run `molcryst report`" in printed(leaderboard)


def test_a_failed_report_leaves_the_old_one(leaderboard: Path) -> None:
    paths = write_report(leaderboard)
    before = content_of(paths.site)
    history = leaderboard / read_rows(leaderboard)[0]["folder"] / "history.csv"
    history.unlink()
    with pytest.raises(MolcrystError) as caught:
        write_report(leaderboard)
    assert str(history) in str(caught.value)
    assert content_of(paths.site) == before
    assert sorted(path.name for path in leaderboard.iterdir()) == [
        "leaderboard.md",
        "results",
        "results.parquet",
        "site",
    ]


def test_a_damaged_learning_curve_is_named(leaderboard: Path) -> None:
    history = leaderboard / read_rows(leaderboard)[0]["folder"] / "history.csv"
    history.write_text("epoch,valid_mae\n1,much\n")
    with pytest.raises(MolcrystError, match=r"history.csv is not a learning curve"):
        write_report(leaderboard)


def test_records_set_aside_are_listed(leaderboard: Path) -> None:
    rows = [{"file": "g2.txt", "id": "gdb_7", "reason": "two atoms are 0.100 Å apart <b>"}]
    quarantine = leaderboard.parent / "datasets" / "qm9" / "quarantine.parquet"
    pq.write_table(pa.Table.from_pylist(rows), quarantine)
    page = Page(write_report(leaderboard).site / "datasets" / "qm9.html")
    assert "Set aside by the last build: 1." in page.text
    assert "two atoms are 0.100 Å apart <b>" in page.text
    assert "gdb_7" in page.text
