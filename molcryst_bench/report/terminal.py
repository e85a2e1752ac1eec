"""The leaderboard at the terminal."""

from __future__ import annotations

import os
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from molcryst_bench.report.tables import TaskTable, build_tables

_SHOWN = (
    "rank",
    "model",
    "mae",
    "rmse",
    "r2",
    "seeds",
    "parameters",
    "train_seconds",
)


def print_leaderboard(leaderboard: Path, console: Console | None = None) -> None:
    """Print one table for each task, and where the site lies.

    Args:
        leaderboard: folder of ``results.parquet``.
        console: where to print; standard output by default.

    Raises:
        MolcrystError: if the results cannot be read or trusted.
    """
    console = console or Console()
    for table in build_tables(leaderboard):
        console.print(_as_rich(table))
        console.print()
    index = leaderboard / "site" / "index.html"
    where = os.path.relpath(index) if index.exists() else "not made yet: run `molcryst report`"
    console.print(Text.assemble("Site: ", (where, "bold")), soft_wrap=True)


def _as_rich(table: TaskTable) -> Table:
    title = Text(f"{table.title}, {table.first.n_test:,} test items", "bold")
    shown = Table(title=title, caption=Text(_caption(table)), box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    columns = [table.column(key) for key in _SHOWN]
    for column in columns:
        left = column.key == "model"
        header = Text(column.header)
        shown.add_column(header, justify="left" if left else "right", overflow="fold")
    for texts in zip(*(column.texts for column in columns), strict=True):
        shown.add_row(*(Text(text, "bold" if texts[0] == "1" else "") for text in texts))
    return shown


def _caption(table: TaskTable) -> str:
    return (
        f"Profile {table.first.profile}: {table.scope}. Mean ± standard deviation over seeds; "
        "models that cannot be told apart share a rank."
    )
