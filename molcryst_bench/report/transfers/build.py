"""The transfer benchmark as a folder of Markdown and figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from molcryst_bench.base.files import whole_folder
from molcryst_bench.base.theme import figure_style, save_figure
from molcryst_bench.report.addresses import slug
from molcryst_bench.report.markdown import escape, render_rows
from molcryst_bench.report.transfers.found import Drawn, draw_molecule
from molcryst_bench.report.transfers.tables import MoleculeScores, explain_scores

_MARKDOWN = "transfer.md"


def write_transfer_report(molecules: Sequence[MoleculeScores], folder: Path) -> Path:
    """Write ``transfer.md`` with all tables, and each figure as SVG and PNG.

    Args:
        molecules: what has been found.
        folder: what was there before is replaced.

    Returns:
        where the Markdown lies.
    """
    with whole_folder(folder) as partial, figure_style():
        drawn = [[_figure(of, each, partial) for each in draw_molecule(of)] for of in molecules]
        text = render_transfers(molecules, drawn)
        (partial / _MARKDOWN).write_text(text.lstrip(), encoding="utf-8")
    return folder / _MARKDOWN


def render_transfers(
    molecules: Sequence[MoleculeScores], figures: Sequence[Sequence[str]] = ()
) -> str:
    """Return the tables of all molecules as Markdown, nothing where there is none.

    Args:
        molecules: what has been found.
        figures: of each molecule, in Markdown; there may be none.
    """
    if not molecules:
        return ""
    drawn = figures or [()] * len(molecules)
    shown = zip(molecules, drawn, strict=True)
    sections = [block for of, of_it in shown for block in (_section(of), *of_it)]
    return "\n" + "\n\n".join(["# Transfer", explain_scores(), *sections]) + "\n"


def _section(of: MoleculeScores) -> str:
    """Return the tables of one molecule."""
    failures = "\n".join(f"- {escape(line)}" for line in of.failures)
    blocks = [f"## {escape(of.title)}", f"Reference: {escape(of.reference)}."]
    blocks += [render_rows(of.columns), failures, render_rows(of.distances)]
    return "\n\n".join(filter(None, blocks))


def _figure(of: MoleculeScores, drawn: Drawn, folder: Path) -> str:
    name = "-".join(slug(part) for part in (*of.task.split("/"), of.molecule, drawn.kind))
    save_figure(drawn.figure, folder / f"{name}.svg")
    drawn.figure.savefig(folder / f"{name}.png", dpi=200, facecolor="white")
    return f"![{escape(drawn.caption)}]({name}.svg)"
