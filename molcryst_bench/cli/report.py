"""``molcryst report``: make or show the leaderboard."""

from __future__ import annotations

import click


@click.command()
@click.option("--show", is_flag=True, help="Only print the table of what has been made before.")
def report(show: bool) -> None:
    """Make the tables and the site from leaderboard/results.parquet, and print the table."""
    from molcryst_bench.base.project import leaderboard_folder
    from molcryst_bench.report.build import write_report
    from molcryst_bench.report.terminal import print_leaderboard

    if not show:
        write_report(leaderboard_folder())
    print_leaderboard(leaderboard_folder())
