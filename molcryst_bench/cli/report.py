"""``molcryst report``: make or show the leaderboard."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option("--show", is_flag=True, help="Print the tables of what has been made before.")
@click.option(
    "--since",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Say what has changed since this results.parquet, by default since the last tag in git.",
)
@click.option(
    "--serve", "serves", is_flag=True, help="Show the site at an address of this machine."
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="For --serve; any free one without."
)
def report(show: bool, since: Path | None, serves: bool, port: int) -> None:
    """Make the tables and the site from leaderboard/results.parquet."""
    from molcryst_bench.base.project import leaderboard_folder

    if serves:
        _serve(leaderboard_folder(), port)
    elif show:
        from molcryst_bench.report.terminal import print_leaderboard

        print_leaderboard(leaderboard_folder())
    else:
        _make(leaderboard_folder(), since)


def _make(leaderboard: Path, since: Path | None) -> None:
    from molcryst_bench.cli.console import shown
    from molcryst_bench.report.build import write_report
    from molcryst_bench.report.changes.previous import read_previous

    paths = write_report(leaderboard, None if since is None else read_previous(since))
    click.echo(f"Tables: {shown(paths.markdown)}, site: {shown(paths.index)}")


def _serve(leaderboard: Path, port: int) -> None:
    from molcryst_bench.report.serve import serve

    serve(leaderboard, port, lambda address: click.echo(f"{address} until Ctrl-C"))
