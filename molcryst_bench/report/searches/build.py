"""Searches as a Markdown file with figures, wherever their tables lie."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from molcryst_bench.base.files import whole_folder
from molcryst_bench.base.theme import figure_style, save_figure
from molcryst_bench.report.markdown import escape, render_rows
from molcryst_bench.report.searches.found import Drawn, Findings, Listed, findings_of
from molcryst_bench.report.searches.reading import require_comparisons

REPORT = "searches.md"
_DPI = 150


def write_search_report(folders: Sequence[Path], output: Path) -> Path:
    """Write tables and figures of all searches in folders; the figures as SVG and PNG.

    Args:
        folders: with ``search.parquet`` files in them or below.
        output: becomes the folder of the report.

    Returns:
        the Markdown file.

    Raises:
        RunError: if there is no search, or one that cannot be read.
    """
    findings = findings_of(require_comparisons(folders))
    with whole_folder(output) as partial, figure_style():
        blocks = ["# Searches", *(block for each in findings for block in _blocks(each, partial))]
        (partial / REPORT).write_text("\n\n".join(blocks) + "\n", encoding="utf-8")
    return output / REPORT


def _blocks(findings: Findings, folder: Path) -> Iterator[str]:
    yield f"## {escape(findings.title)}"
    yield from _table(findings.summary)
    yield " ".join(map(escape, findings.words))
    drawn = findings.draw()
    for each in drawn:
        yield _picture(each, _name(findings, each), folder)
    if findings.importance is not None and findings.importance_table is not None:
        yield from _table(findings.importance_table)
        yield escape(findings.importance.caution)
    for listed in [*findings.fronts, *findings.top]:
        yield from _table(listed)


def _table(listed: Listed) -> Iterator[str]:
    yield f"### {escape(listed.title)}"
    yield render_rows(listed.columns)


def _name(findings: Findings, drawn: Drawn) -> str:
    comparison = findings.comparison
    task = comparison.task.replace("/", "-").replace("@", "-")
    return f"{task}-{comparison.model}-{comparison.digest[:6]}-{drawn.name}"


def _picture(drawn: Drawn, name: str, folder: Path) -> str:
    save_figure(drawn.figure, folder / f"{name}.svg")
    _save_png(drawn.figure, folder / f"{name}.png")
    caption = escape(drawn.caption)
    return f"![{caption}]({name}.png)\n\n{caption}"


def _save_png(figure: Figure, path: Path) -> None:
    figure.savefig(path, format="png", dpi=_DPI, facecolor="white", metadata={"Software": None})
