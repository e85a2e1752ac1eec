"""What searches have found, at the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from molcryst_bench.report.searches.found import Listed, findings_of
from molcryst_bench.report.searches.reading import require_comparisons


def print_searches(folders: Sequence[Path], console: Console) -> None:
    """Print methods compared, importance and the best trials of all searches in folders.

    Raises:
        RunError: if there is no search, or one that cannot be read.
    """
    for findings in findings_of(require_comparisons(folders)):
        console.print(Text(findings.title, "bold"))
        console.print(_as_rich(findings.summary))
        console.print(Text(" ".join(findings.words)))
        if findings.importance is not None and findings.importance_table is not None:
            console.print(_as_rich(findings.importance_table))
            console.print(Text(findings.importance.caution))
        for listed in [*findings.fronts, *findings.top]:
            console.print(_as_rich(listed))


def _as_rich(listed: Listed) -> Table:
    shown = Table(title=Text(listed.title), title_justify="left", box=SIMPLE_HEAD)
    for column in listed.columns:
        left = column.key in ("method", "setting")
        shown.add_column(Text(column.header), justify="left" if left else "right")
    for texts in zip(*(column.texts for column in listed.columns), strict=True):
        shown.add_row(*map(Text, texts))
    return shown
