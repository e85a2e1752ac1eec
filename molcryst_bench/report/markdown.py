"""The leaderboard as a Markdown file, to be read in a repository or pasted elsewhere."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

from molcryst_bench.report.columns import Column
from molcryst_bench.report.formatting import short_digest
from molcryst_bench.report.quoted import Quoted
from molcryst_bench.report.tables import TaskTable, explain_ranks, explain_uncertainty

_LEFT_ALIGNED = ("model", "method", "setting")


def render_markdown(tables: Sequence[TaskTable]) -> str:
    """Return the text of ``leaderboard.md``."""
    blocks = ["# Leaderboard", explain_ranks(), explain_uncertainty(), *map(_section, tables)]
    return "\n\n".join(blocks) + "\n"


def _section(table: TaskTable) -> str:
    blocks = [f"## {escape(table.title)}", _facts(table), render_rows(table.columns)]
    blocks += [_quotes(table.quoted)]
    blocks += ["### Uncertainty", escape(table.too_little_covered)]
    return "\n\n".join(filter(None, [*blocks, render_rows(table.uncertainty)]))


def _quotes(quoted: Sequence[Quoted]) -> str:
    """Return what others have published, with sources; nothing if nothing is known."""
    if not quoted:
        return ""
    lines = [
        "- "
        + escape(
            f"{one.model} (quoted): {one.quantity} {one.error:g} {one.unit}; {one.conditions}. "
            f"{one.citation.text}, doi {one.citation.doi}"
        )
        for one in quoted
    ]
    return "\n".join(["Published by others, not computed here:", "", *lines])


def _facts(table: TaskTable) -> str:
    first = table.first
    about = f"{table.properties.description or table.target}, errors in {first.error_unit}."
    sample = f"Profile {table.profile}: {table.scope}."
    digests = (
        f"Store `{short_digest(first.store_digest)}`, split `{short_digest(first.split_digest)}`."
    )
    return f"{escape(about[:1].upper() + about[1:])} {escape(sample)} {digests}"


def render_rows(columns: Sequence[Column]) -> str:
    """Return a table."""
    lines = [[escape(column.header) for column in columns], [_rule(each) for each in columns]]
    texts = zip(*(column.texts for column in columns), strict=True)
    return "\n".join(map(_row, lines + [[escape(text) for text in row] for row in texts]))


def _row(texts: Sequence[str]) -> str:
    return f"| {' | '.join(texts)} |"


def _rule(column: Column) -> str:
    return ":---" if column.key in _LEFT_ALIGNED else "---:"


def escape(text: str) -> str:
    """Keep text from being read as HTML or Markdown."""
    one_line = " ".join(html.escape(text, quote=False).split())
    return re.sub(r"([\\`*\[\]|])", r"\\\1", one_line)
