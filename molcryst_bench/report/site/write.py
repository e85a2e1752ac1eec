"""Writes the whole site."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from molcryst_bench.base.theme import figure_style
from molcryst_bench.report.changes.previous import Previous
from molcryst_bench.report.site.across import (
    write_changes,
    write_interpretations,
    write_paper,
    write_searches,
    write_transfers,
)
from molcryst_bench.report.site.cells import write_cells
from molcryst_bench.report.site.content import Content
from molcryst_bench.report.site.datasets import write_datasets
from molcryst_bench.report.site.index import write_index
from molcryst_bench.report.site.models import write_models
from molcryst_bench.report.site.press import Press
from molcryst_bench.report.site.submissions import write_submissions
from molcryst_bench.report.site.tasks import write_tasks
from molcryst_bench.report.tables import TaskTable

_ASSETS = Path(__file__).parents[1] / "assets"
_ALL: tuple[Callable[[Content, Press], None], ...] = (
    write_index,
    write_models,
    write_datasets,
    write_searches,
    write_transfers,
    write_interpretations,
    write_tasks,
    write_cells,
    write_submissions,
    write_changes,
    write_paper,  # looks which of the others there are
)


def write_site(
    tables: Sequence[TaskTable],
    leaderboard: Path,
    folder: Path,
    since: Previous | None = None,
) -> None:
    """Write all pages, figures and assets into an empty folder.

    Args:
        tables: what to show.
        leaderboard: where the files of the cells lie.
        folder: becomes the site; links to cells' files assume that it lies in ``leaderboard``.
        since: older results, if changes are to be told.

    Raises:
        RunError: if a file of a cell is missing or damaged.
    """
    content = Content(tables, leaderboard, since)
    press = Press(content, folder)
    shutil.copytree(_ASSETS, folder / "assets")
    with figure_style():
        for write in _ALL:
            write(content, press)
