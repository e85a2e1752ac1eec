"""The leaderboard at the terminal."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from molcryst_bench.report.tables import TaskTable, build_tables

_COLUMNS = (
    "rank",
    "model",
    "mae",
    "mae_interval",
    "rmse",
    "r2",
    "forces_mae",
    "forces_mae_interval",
    "forces_cosine",
    "coverage",
    "width",
    "seeds",
    "parameters",
    "train_seconds",
)
_DISPENSABLE = (  # go first where the terminal is narrow
    "rmse",
    "parameters",
    "width",
    "forces_mae_interval",
    "r2",
    "train_seconds",
    "coverage",
    "mae_interval",
    "forces_cosine",
    "seeds",
)
_UNBOUNDED = 10_000  # characters


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
        console.print(_fitting(table, console))
        console.print()
    index = leaderboard / "site" / "index.html"
    where = os.path.relpath(index) if index.exists() else "not made yet: run `molcryst report`"
    console.print(Text.assemble("Site: ", (where, "bold")), soft_wrap=True)


def _fitting(table: TaskTable, console: Console) -> Table:
    """Leave out columns until a table fits; the site has all of them."""
    there = {column.key for column in table.columns}
    columns = [key for key in _COLUMNS if key in there]
    shown = _as_rich(table, columns)
    unbounded = console.options.update(width=_UNBOUNDED)
    for key in _DISPENSABLE:
        if console.measure(shown, options=unbounded).minimum <= console.width:
            break
        if key in columns:
            columns.remove(key)
        shown = _as_rich(table, columns)
    return shown


def _as_rich(table: TaskTable, keys: Sequence[str]) -> Table:
    title = Text(f"{table.title}, {table.first.n_test:,} test items", "bold")
    shown = Table(title=title, caption=_caption(table), box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    columns = [table.column(key) for key in keys]
    for column in columns:
        justify: Literal["left", "right"] = "left" if column.key == "model" else "right"
        # Headers may wrap, numbers may not.
        width = max(map(cell_len, (*column.texts, *column.header.split())))
        shown.add_column(Text(column.header), justify=justify, min_width=width)
    for texts in zip(*(column.texts for column in columns), strict=True):
        shown.add_row(*(Text(text, "bold" if texts[0] == "1" else "") for text in texts))
    return shown


def _caption(table: TaskTable) -> Text:
    return Text(
        f"Profile {table.profile}: {table.scope}. Mean ± standard deviation over seeds; "
        "intervals over test items; models that cannot be told apart share a rank. "
        f"{table.too_little_covered}".strip()
    )
