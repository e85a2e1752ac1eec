"""The leaderboard at the terminal."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from molcryst_bench.report.columns import Column
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
    columns = [column for column in table.columns if column.key in _COLUMNS]
    for key in _DISPENSABLE:
        if _total(map(_least_width, columns)) <= console.width:
            break
        columns = [column for column in columns if column.key != key]
    whole = _total(map(_whole_width, columns)) <= console.width
    return _as_rich(table, columns, _whole_width if whole else _least_width)


def _as_rich(table: TaskTable, columns: Sequence[Column], width: Callable[[Column], int]) -> Table:
    title = Text(f"{table.title}, {table.first.n_test:,} test items", "bold")
    shown = Table(title=title, caption=_caption(table), box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in columns:
        justify: Literal["left", "right"] = "left" if column.key == "model" else "right"
        # Rich would make columns narrower than their least width, and cut the last one off.
        shown.add_column(Text(column.header), justify=justify, width=width(column))
    for texts in zip(*(column.texts for column in columns), strict=True):
        shown.add_row(*(Text(text, "bold" if texts[0] == "1" else "") for text in texts))
    return shown


def _least_width(column: Column) -> int:
    """Return the width of a column whose header wraps; numbers do not."""
    return max(map(cell_len, (*column.texts, *column.header.split())))


def _whole_width(column: Column) -> int:
    return max(map(cell_len, (*column.texts, column.header)))


def _total(widths: Iterable[int]) -> int:
    """Return the width of a table with a space on both sides of each column."""
    return sum(width + 2 for width in widths) + 1


def _caption(table: TaskTable) -> Text:
    return Text(
        f"Profile {table.profile}: {table.scope}. Mean ± standard deviation over seeds; "
        "intervals over test items; models that cannot be told apart share a rank. "
        f"{table.too_little_covered}".strip()
    )
