"""``molcryst report``: make or show the leaderboard."""

from __future__ import annotations

import click


@click.command()
@click.option("--show", is_flag=True, help="Print the tables of what has been made before.")
def report(show: bool) -> None:
    """Make the tables and the site from leaderboard/results.parquet."""
    from molcryst_bench.base.project import leaderboard_folder
    from molcryst_bench.cli.console import shown
    from molcryst_bench.report.build import write_report
    from molcryst_bench.report.terminal import print_leaderboard

    if show:
        print_leaderboard(leaderboard_folder())
        return
    paths = write_report(leaderboard_folder())
    click.echo(f"Tables: {shown(paths.markdown)}, site: {shown(paths.index)}")
