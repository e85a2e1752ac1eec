"""Tables as files to work with: CSV, JSON and LaTeX, one of each for a task and split."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

from molcryst_bench.report.columns import Column
from molcryst_bench.report.latex import render_latex
from molcryst_bench.report.tables import TaskTable


def render_csv(table: TaskTable) -> str:
    """Return the table as it is shown; what is quoted follows, marked as such."""
    columns = _all_columns(table)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*(column.header for column in columns), "Source"])
    for row in zip(*(column.texts for column in columns), strict=True):
        writer.writerow([*map(_inert, row), "computed"])
    for one in table.quoted:
        shown = {"Model": one.model, f"{one.quantity} ({one.unit})": f"{one.error:g}"}
        source = f"quoted from doi:{one.citation.doi}; {one.conditions}"
        writer.writerow([*(shown.get(column.header, "") for column in columns), source])
    return out.getvalue()


def render_json(table: TaskTable) -> str:
    """Return every number of the table, as it is shown and in full, and what is quoted."""
    content = {
        "task": table.task,
        "split": table.split,
        "profile": table.profile,
        "store_digest": table.first.store_digest,
        "split_digest": table.first.split_digest,
        "models": [_as_row(table, row) for row in range(len(table.entries))],
        "quoted": [one.model_dump() for one in table.quoted],
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


RENDERED: dict[str, Callable[[TaskTable], str]] = {
    "csv": render_csv,
    "json": render_json,
    "tex": render_latex,
}


def write_table_files(table: TaskTable, stem: Path) -> list[Path]:
    """Write a table in all these forms; return the files, which differ in their suffix."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    paths = [stem.with_name(f"{stem.name}.{suffix}") for suffix in RENDERED]
    for path, render in zip(paths, RENDERED.values(), strict=True):
        path.write_text(render(table), encoding="utf-8")
    return paths


def _inert(text: str) -> str:
    """Keep a name that somebody else has chosen from being a formula in a spreadsheet."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def _all_columns(table: TaskTable) -> list[Column]:
    return [*table.columns, *table.uncertainty[1:]]


def _as_row(table: TaskTable, row: int) -> dict[str, dict[str, str | float | None]]:
    columns = _all_columns(table)
    return {each.header: {"text": each.texts[row], "value": _finite(each, row)} for each in columns}


def _finite(column: Column, row: int) -> str | float | None:
    value = column.values[row]
    return value if isinstance(value, str) or abs(value) < float("inf") else None
