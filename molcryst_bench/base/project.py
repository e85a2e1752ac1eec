"""Where the files of a benchmark project lie."""

from __future__ import annotations

from pathlib import Path

from molcryst_bench.base.errors import SettingsError


def project_root() -> Path:
    """Return the nearest folder, upwards from the current one, that has a ``params.yaml``.

    Raises:
        SettingsError: outside a project.
    """
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "params.yaml").exists():
            return folder
    message = f"no params.yaml in {here} or above: run molcryst inside a clone of the project"
    raise SettingsError(message)


def dataset_folder(name: str) -> Path:
    """Return ``datasets/<name>``: card, splits, raw files and store."""
    return project_root() / "datasets" / name


def store_path(name: str) -> Path:
    """Return where the graph store of a dataset lies."""
    return dataset_folder(name) / "store.zarr"


def splits_folder(name: str) -> Path:
    """Return where the splits of a dataset lie."""
    return dataset_folder(name) / "splits"


def leaderboard_folder() -> Path:
    """Return ``leaderboard``: results, tables and site."""
    return project_root() / "leaderboard"
