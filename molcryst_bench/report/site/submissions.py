"""The page of each model that somebody submitted."""

from __future__ import annotations

from molcryst_bench.report import addresses
from molcryst_bench.report.site.content import Content
from molcryst_bench.report.site.press import Press


def write_submissions(of: Content, press: Press) -> None:
    """Write what is said by each submission, and what was found of it."""
    for table in of.tables:
        for entry in table.submitted:
            judged = entry.submission
            if judged is None:
                continue
            content = {"table": table, "entry": entry, "cell": entry.cells[0], "judged": judged}
            page = addresses.submission_page(judged.submission.name)
            press.page(page, "submission.html", {**content, "card": judged.card})
