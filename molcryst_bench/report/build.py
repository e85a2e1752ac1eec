"""Everything that a leaderboard shows, made from its results."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from molcryst_bench.base.files import whole_file, whole_folder
from molcryst_bench.dynamics.transfers import read_transfers
from molcryst_bench.interpret.looks.stage import read_looks
from molcryst_bench.report.changes.previous import Previous, last_release
from molcryst_bench.report.interpretation.markdown import render_looks
from molcryst_bench.report.interpretation.tables import tasks_of
from molcryst_bench.report.markdown import render_markdown
from molcryst_bench.report.site.write import write_site
from molcryst_bench.report.tables import build_tables
from molcryst_bench.report.transfers.build import render_transfers
from molcryst_bench.report.transfers.tables import molecules_of


@dataclass(frozen=True)
class ReportPaths:
    """Where a report lies."""

    markdown: Path
    site: Path

    @property
    def index(self) -> Path:
        """First page of the site."""
        return self.site / "index.html"


def write_report(leaderboard: Path, since: Previous | None = None) -> ReportPaths:
    """Write ``leaderboard.md`` and ``site/`` into a leaderboard folder, whole or not at all.

    Equal results give equal bytes.

    Args:
        leaderboard: folder of ``results.parquet`` and the files that it names.
        since: older results to compare with; by default those of the last release in git.

    Raises:
        MolcrystError: if the results cannot be read, or a number does not follow from its file.
    """
    paths = ReportPaths(leaderboard / "leaderboard.md", leaderboard / "site")
    tables = build_tables(leaderboard)
    with whole_folder(paths.site) as partial:
        write_site(tables, leaderboard, partial, since or last_release(leaderboard))
    transfers = render_transfers(molecules_of(read_transfers(leaderboard)))
    looks = render_looks(tasks_of(read_looks(leaderboard)))
    with whole_file(paths.markdown) as partial:
        partial.write_text(render_markdown(tables) + transfers + looks, encoding="utf-8")
    return paths
