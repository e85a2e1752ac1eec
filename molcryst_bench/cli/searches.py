"""``molcryst searches``: what searches for hyperparameters have found."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path, exists=True))
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="A folder for all tables and figures, as Markdown, SVG and PNG.",
)
def searches(folders: tuple[Path, ...], output: Path | None) -> None:
    """Compare the searches whose tables lie in FOLDERS or below; by default in runs/tune.

    Those with the same model, task and space are compared: methods with each other, over repeats
    from different seeds. Each needs its search.parquet and nothing else.
    """
    from molcryst_bench.cli.console import console, shown
    from molcryst_bench.report.searches.build import write_search_report
    from molcryst_bench.report.searches.terminal import print_searches

    chosen = folders or (Path("runs/tune"),)
    if output is None:
        print_searches(chosen, console)
    else:
        click.echo(f"Tables and figures: {shown(write_search_report(chosen, output))}")
