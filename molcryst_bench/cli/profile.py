"""``molcryst profile``: choose or check the settings."""

from __future__ import annotations

import click


@click.command()
@click.argument("name", required=False)
def profile(name: str | None) -> None:
    """Make params.yaml a copy of the profile NAME; without NAME, check params.yaml."""
    from molcryst_bench.bench.params import activate_profile, list_profiles, load_params

    params = activate_profile(name) if name else load_params()
    cells = len(params.bench.tasks) * len(params.models) * len(params.bench.seeds)
    click.echo(
        f"Profile '{params.profile}' (of {', '.join(list_profiles())}): "
        f"{len(params.models)} models on {len(params.bench.tasks)} tasks with "
        f"{len(params.bench.seeds)} seeds, {cells} cells"
    )
