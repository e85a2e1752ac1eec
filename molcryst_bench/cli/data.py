"""``molcryst data``: fetch, build, check and show datasets."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from molcryst_bench.base.errors import SettingsError
from molcryst_bench.base.project import dataset_folder, leaderboard_folder, store_path
from molcryst_bench.cli.console import counted, shown

if TYPE_CHECKING:
    from molcryst_bench.sources.making import Generation
    from molcryst_bench.sources.registry import Obtained

_source_option = click.option("--source", help="Which public form to use; the first by default.")

_workers_option = click.option(
    "--workers", type=click.IntRange(min=1), help="Processes; all cores by default."
)

_executor_option = click.option(
    "--executor",
    metavar="NAME",
    help="Where the work runs: a .yaml file, or the name of one in conf/executors.",
)


@click.group()
def data() -> None:
    """Fetch, build, check and show datasets."""


@data.command("new")
@click.argument("name")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--labels",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CSV table with one row for each structure.",
)
@click.option("--id", "id_column", help="Column with the file names; the first by default.")
@click.option(
    "--target", "targets", required=True, multiple=True, help="COLUMN:UNIT, such as band_gap:eV."
)
def new_command(
    name: str, folder: Path, labels: Path, id_column: str | None, targets: tuple[str, ...]
) -> None:
    """Make a dataset NAME of the structure files in FOLDER and a table of labels."""
    from molcryst_bench.cli.own_data import OwnData, create

    create(OwnData(name, folder, labels, id_column, targets))


@data.command("fetch")
@click.argument("dataset")
@_workers_option
@_executor_option
@_source_option
def fetch_command(
    dataset: str, workers: int | None, executor: str | None, source: str | None
) -> None:
    """Fetch the raw files of DATASET and check them against their checksums.

    A dataset that the project makes itself is made, as params.yaml says.
    """
    with _obtained(dataset, workers, executor, source) as (obtained, _):
        for path in obtained.paths.values():
            click.echo(f"{shown(path)} is complete ({path.stat().st_size / 1e6:,.0f} MB)")


@data.command("build")
@click.argument("dataset")
@click.option("--all", "everything", is_flag=True, help="All records, not the profile's sample.")
@_workers_option
@_executor_option
@click.option("--output", type=click.Path(path_type=Path), help="In place of the usual store.")
@click.option("--accept-quarantined", is_flag=True, help="Build although records are unusable.")
@_source_option
def build_command(
    dataset: str,
    everything: bool,
    workers: int | None,
    executor: str | None,
    output: Path | None,
    accept_quarantined: bool,
    source: str | None,
) -> None:
    """Build the graph store of DATASET, as params.yaml says."""
    from molcryst_bench.bench.params import load_dataset_settings
    from molcryst_bench.graphs.build import BuildRequest, build_store
    from molcryst_bench.graphs.store import open_store
    from molcryst_bench.sources.card import load_card
    from molcryst_bench.sources.registry import get_dataset, is_made

    settings = load_dataset_settings(dataset)
    if everything:
        settings = settings.model_copy(update={"sample": None})
    path = output or store_path(dataset)
    with _workers(workers, executor) as pool:
        obtained = _obtain(dataset, source, settings.generate, pool)
        request = BuildRequest(load_card(dataset), obtained.source, obtained.paths, settings)
        with counted(f"Building {dataset}") as progress:
            build_store(
                request, path, pool, progress=progress, accept_quarantined=accept_quarantined
            )
        if is_made(get_dataset(dataset)):  # how many records there are is a setting
            _write_splits(dataset, obtained, pool)
    store = open_store(path)
    click.echo(f"{shown(path)}: {len(store):,} graphs, digest {store.digest}")


@data.command("split")
@click.argument("dataset")
@_workers_option
@_executor_option
@_source_option
def split_command(
    dataset: str, workers: int | None, executor: str | None, source: str | None
) -> None:
    """Draw the splits of DATASET again, as its card says, and write those that differ."""
    with _obtained(dataset, workers, executor, source) as (obtained, pool):
        _write_splits(dataset, obtained, pool)


@data.command("audit")
@click.argument("dataset")
@click.option("--split", "splits", multiple=True, help="Which split; all of the card by default.")
@click.option(
    "--gap",
    "gaps",
    multiple=True,
    type=click.IntRange(min=1),
    help="Frames nearer than this are alike; by default 10, 100 and the gaps on the card.",
)
@_workers_option
@_executor_option
@_source_option
def audit_command(
    dataset: str,
    splits: tuple[str, ...],
    gaps: tuple[int, ...],
    workers: int | None,
    executor: str | None,
    source: str | None,
) -> None:
    """Count the records of each subset of DATASET that have a like one in another subset.

    It looks for equal geometries, and depending on what the records are for equal molecules,
    stereoisomers and scaffolds, for frames that are close in time, or for similar frameworks. With
    --split, which may be given more than once, it tells them for each group, such as a molecule.
    """
    with _obtained(dataset, workers, executor, source) as (obtained, pool):
        from molcryst_bench.cli.audit import run_audit

        run_audit(dataset, splits, gaps, obtained, pool)


@data.command("verify")
@click.argument("dataset")
def verify_command(dataset: str) -> None:
    """Check every file of the store of DATASET, its values and its splits."""
    from molcryst_bench.graphs.store import open_store

    store = open_store(store_path(dataset))
    with counted(f"Checking {dataset}") as progress:
        store.verify(progress)
    click.echo(f"{shown(store_path(dataset))} holds what was built: digest {store.digest}")


@data.command("export")
@click.argument("dataset")
@click.argument("folder", type=click.Path(path_type=Path))
def export_command(dataset: str, folder: Path) -> None:
    """Write ids, targets and splits of DATASET as a table into FOLDER, described in Croissant."""
    from molcryst_bench.graphs.store import open_store
    from molcryst_bench.report.croissant import export_dataset
    from molcryst_bench.sources.card import load_card

    path = export_dataset(open_store(store_path(dataset)), load_card(dataset), folder)
    click.echo(f"{shown(path)} describes the table beside it")


@data.command("show")
@click.argument("dataset")
def show_command(dataset: str) -> None:
    """Show the card of DATASET and what its store holds."""
    from molcryst_bench.cli.show import show_dataset

    show_dataset(dataset)


@contextmanager
def _obtained(
    dataset: str, workers: int | None, executor: str | None, source: str | None
) -> Iterator[tuple[Obtained, Executor]]:
    """Yield raw files and workers, to do something else with them than to build a store."""
    from molcryst_bench.bench.params import load_dataset_settings
    from molcryst_bench.sources.registry import get_dataset, is_made

    made = is_made(get_dataset(dataset))  # nothing else depends on the settings
    generation = load_dataset_settings(dataset).generate if made else None
    with _workers(workers, executor) as pool:
        yield _obtain(dataset, source, generation, pool), pool


@contextmanager
def _workers(workers: int | None, executor: str | None) -> Iterator[Executor]:
    """Yield processes on this machine, or the workers of an executor that was named."""
    if executor is None:
        from molcryst_bench.base.executors import available_cores, local_executor

        with local_executor(workers or available_cores()) as pool:
            yield pool
        return
    from molcryst_bench.bench.executors.choose import choose_site

    site = choose_site(executor, workers, threads=1, count=1).site
    with site.executor(leaderboard_folder()) as pool:
        yield pool


def _obtain(
    name: str, source: str | None, generation: Generation | None, executor: Executor
) -> Obtained:
    from molcryst_bench.sources.making import Generation, Making
    from molcryst_bench.sources.registry import get_dataset, is_made, obtain

    dataset, raw = get_dataset(name), dataset_folder(name) / "raw"
    if not is_made(dataset):
        if generation is not None:
            raise SettingsError(f"datasets.{name}: 'generate' is for datasets that are made here")
        return obtain(dataset, raw, source)
    with counted(f"Making {name}") as progress:
        making = Making(generation or Generation(), executor, progress)
        return obtain(dataset, raw, source, making)


def _write_splits(dataset: str, obtained: Obtained, executor: Executor) -> None:
    """Draw the splits that the card tells and write those that differ from what is there."""
    from molcryst_bench.graphs.draw import draw_split
    from molcryst_bench.graphs.split import load_split, save_split
    from molcryst_bench.sources.card import load_card
    from molcryst_bench.sources.registry import published_splits

    ids = [record.id for record in obtained.source.raw_records(obtained.paths)]
    published = published_splits(obtained)
    families = _families(dataset, obtained, executor, len(ids))
    for name, recipe in load_card(dataset).splits.items():
        split = draw_split(name, recipe, ids, published.get(name, {}), families.get(name, {}))
        path = dataset_folder(dataset) / "splits" / f"{name}.parquet"
        same = path.exists() and load_split(path).digest == split.digest
        if not same:
            save_split(split, path)
        word = "is as drawn" if same else "written"
        click.echo(f"{shown(path)} {word}: digest {split.digest}")


def _families(
    dataset: str, obtained: Obtained, executor: Executor, records: int
) -> dict[str, dict[str, int]]:
    """Return, for each split that keeps like records together, the family of each record."""
    from molcryst_bench.sources.card import FamilySplit, load_card

    splits = load_card(dataset).splits
    recipes = {name: recipe for name, recipe in splits.items() if isinstance(recipe, FamilySplit)}
    if not recipes:
        return {}  # then nothing needs to be read but ids
    from molcryst_bench.cli.audit import portray_all
    from molcryst_bench.graphs.similarity.families import find_families

    described = portray_all(dataset, obtained, executor, records)
    return {name: find_families(described, recipe, name) for name, recipe in recipes.items()}
