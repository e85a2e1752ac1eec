"""The tables about looks into models in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from molcryst_bench.report.interpretation.found import (
    draw_roughness_of,
    explain_looks,
    explain_roughness,
)
from molcryst_bench.report.interpretation.tables import TaskLooks
from molcryst_bench.report.markdown import escape, render_rows


def render_looks(tasks: Sequence[TaskLooks]) -> str:
    """Return the tables of all tasks, nothing where there is none."""
    if not tasks:
        return ""
    drawn = draw_roughness_of(tasks)
    blocks = ["# Interpretation", escape(explain_roughness()), escape(explain_looks())]
    blocks += [escape(drawn.caption)] if drawn else []
    blocks += [block for of in tasks for block in _section(of)]
    return "\n" + "\n\n".join(filter(None, blocks)) + "\n"


def _section(of: TaskLooks) -> list[str]:
    tables = [("### Roughness", of.roughness), ("### Faithfulness", of.faithfulness)]
    tables += [("### Elements", of.elements), ("### Functional groups", of.groups)]
    problems = "\n".join(f"- {escape(line)}" for line in of.problems)
    blocks = [f"## Interpretation of {escape(of.task)}"]
    for title, columns in tables:
        if columns and columns[0].texts:
            blocks += [title, render_rows(columns)]
        if title == "### Roughness":
            blocks.append(problems)
    return [*blocks, escape(of.test_of_the_test)]
