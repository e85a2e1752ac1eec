"""``molcryst repro``: the whole pipeline."""

from __future__ import annotations

import click


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def repro(arguments: tuple[str, ...]) -> None:
    """Check params.yaml, mend what a killed run has left, then run `dvc repro ARGUMENTS`."""
    from molcryst_bench.base.project import project_root
    from molcryst_bench.bench.params import load_params
    from molcryst_bench.bench.pipeline import reproduce

    load_params()
    reproduce(project_root(), arguments, on_wait=_say_waiting)


def _say_waiting(process: int) -> None:
    click.echo(f"Another run (process {process}) is at work here; waiting for it to end ...")
