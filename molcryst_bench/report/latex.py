"""A leaderboard table as LaTeX, for a paper: ``booktabs`` and UTF-8."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from molcryst_bench.report.quoted import Quoted
from molcryst_bench.report.tables import TaskTable

_KEYS = ("model", "mae", "rmse", "r2", "forces_mae", "parameters")
_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "\N{MINUS SIGN}": "$-$",
    "²": r"\textsuperscript{2}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}


def render_latex(table: TaskTable) -> str:
    """Return the main columns of a table, and below a rule what is quoted, with its source."""
    columns = [column for key in _KEYS for column in table.columns if column.key == key]
    headers = [column.header for column in columns]
    rows = zip(*(column.texts for column in columns), strict=True)
    lines = [_line(headers), r"\midrule", *map(_line, rows)]
    if table.quoted:
        lines += [r"\midrule", *(_line(_beside(one, headers)) for one in table.quoted)]
    notes = [
        f"{one.model} is quoted: doi {one.citation.doi}. {one.conditions}" for one in table.quoted
    ]
    body = [r"\toprule", *lines, r"\bottomrule"]
    alignment = "l" + "r" * (len(columns) - 1)
    title = f"{table.title}, profile {table.profile}: {table.scope}"
    environment = [f"\\begin{{tabular}}{{{alignment}}}", *body, r"\end{tabular}"]
    return "\n".join([*map(_comment, [title, *notes]), *environment]) + "\n"


def escape(text: str) -> str:
    """Return text that LaTeX shows as it is."""
    return "".join(_SPECIAL.get(sign, sign) for sign in text)


def _comment(text: str) -> str:
    return f"% {' '.join(text.split())}"


def _line(cells: Iterable[str]) -> str:
    return " & ".join(map(escape, cells)) + r" \\"


def _beside(one: Quoted, headers: Sequence[str]) -> list[str]:
    shown = {headers[0]: f"{one.model} (quoted)", f"{one.quantity} ({one.unit})": f"{one.error:g}"}
    return [shown.get(header, "") for header in headers]
