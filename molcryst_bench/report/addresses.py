"""Where each page and figure of the site lies, whatever characters names contain."""

from __future__ import annotations

import hashlib
import posixpath
import re
from pathlib import Path
from urllib.parse import quote

from molcryst_bench.interpret.looks.plan import INTERPRET
from molcryst_bench.interpret.looks.record import Look
from molcryst_bench.report.entries import Entry
from molcryst_bench.report.results import Cell
from molcryst_bench.report.searches.reading import Comparison, SearchTable
from molcryst_bench.report.tables import TaskTable
from molcryst_bench.report.transfers.tables import MoleculeScores

INDEX = "index.html"
TRANSFER = "transfer.html"
PAPER = "paper.html"
CHANGES = "changes.html"
RESULTS = "../results.parquet"  # beside the site
INTERPRETATION = "interpretation.html"
ROUGHNESS = "figures/interpretation/roughness.svg"
STYLE = "assets/style.css"
SCRIPT = "assets/tables.js"
THEME_SCRIPT = "assets/theme.js"
COMPARE_SCRIPT = "assets/compare.js"


def model_page(model: str) -> str:
    """Return the address of a model's page, from the root of the site."""
    return f"models/{slug(model)}.html"


def submission_page(name: str) -> str:
    """Return the address of the page of a submission."""
    return f"submissions/{slug(name)}.html"


def entry_page(entry: Entry) -> str:
    """Return the address of what a row of a table is about."""
    if entry.submission is None:
        return model_page(entry.model)
    return submission_page(entry.submission.submission.name)


def dataset_page(dataset: str) -> str:
    """Return the address of a dataset's page."""
    return f"datasets/{slug(dataset)}.html"


def dataset_folder(dataset: str) -> str:
    """Return the address of the folder of a dataset's files."""
    return f"datasets/{slug(dataset)}"


def cell_page(cell: Cell) -> str:
    """Return the address of a cell's page."""
    return f"cells/{_task(cell.task)}/{slug(cell.split)}/{slug(cell.model)}/{cell.seed}.html"


def cell_file(cell: Cell, name: str) -> str:
    """Return the address of one of a cell's files, which lie beside the site."""
    return posixpath.join("..", cell.folder, name)


def search_page(searches: Comparison) -> str:
    """Return the address of the page about the searches for a model on a task."""
    return f"searches/{_task(searches.task)}/{_search(searches)}.html"


def search_figure(kind: str, searches: Comparison) -> str:
    """Return the address of a figure about them."""
    return _figure(kind, _task(searches.task), _search(searches))


def search_file(search: SearchTable, leaderboard: Path) -> str:
    """Return the address of the table of a search, which lies beside the site."""
    return posixpath.join("..", search.path.relative_to(leaderboard).as_posix())


def transfer_anchor(of: MoleculeScores) -> str:
    """Return the id of a molecule on the page about transfer."""
    return f"{_task(of.task)}/{slug(of.molecule)}".replace("/", "-")


def transfer_figure(kind: str, of: MoleculeScores) -> str:
    """Return the address of a figure about it."""
    return _figure("transfer", _task(of.task), slug(of.molecule), kind)


def interpretation_page(task: str) -> str:
    """Return the address of the page about looks into the models of a task."""
    return f"interpretation/{_task(task)}.html"


def interpretation_figure(look: Look, name: str) -> str:
    """Return the address of a drawing that a look has left behind, or of another figure."""
    return _figure("interpretation", _task(look.task), slug(look.representation), name)


def interpretation_file(look: Look, name: str) -> str:
    """Return the address of a file of a look, which lies beside the site."""
    return posixpath.join("..", INTERPRET, look.place, name)


def anchor(table: TaskTable) -> str:
    """Return the id of a table on the first page."""
    return f"{_task(table.task)}/{slug(table.split)}".replace("/", "-")


def task_page(table: TaskTable) -> str:
    """Return the address of the page about the predictions on a task."""
    return f"tasks/{_task(table.task)}/{slug(table.split)}.html"


def table_files(table: TaskTable) -> str:
    """Return the address of the files of a table, without what their names end in."""
    return f"tables/{anchor(table)}"


def compare_page(table: TaskTable) -> str:
    """Return the address of the page that compares two models of a table."""
    return f"compare/{_task(table.task)}/{slug(table.split)}.html"


def task_figure(kind: str, table: TaskTable, *names: str) -> str:
    """Return the address of a figure about a task, and perhaps a model."""
    return _figure(kind, _task(table.task), *map(slug, (table.split, *names)))


def dataset_figure(kind: str, dataset: str, *names: str) -> str:
    """Return the address of a figure about a dataset, and perhaps a target."""
    return _figure(kind, *map(slug, (dataset, *names)))


def structure_figure(dataset: str, record: str) -> str:
    """Return the address of the drawing of a record of a dataset."""
    return _figure("structure", *map(slug, (dataset, record)))


def link(page: str, target: str) -> str:
    """Return the relative link from one page to another address, both from the site's root."""
    return "../" * page.count("/") + quote(target)


def slug(name: str) -> str:
    """Return a name as a file name. Names that lose characters keep apart by a digest."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")
    if plain == name:
        return plain
    return f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:8]}".lstrip("-")


def _task(task: str) -> str:
    return "/".join(slug(part) for part in task.split("/"))


def _search(searches: Comparison) -> str:
    return f"{slug(searches.model)}-{searches.digest[:8]}"


def _figure(kind: str, *parts: str) -> str:
    return f"figures/{kind}/{'/'.join(parts)}.svg"
