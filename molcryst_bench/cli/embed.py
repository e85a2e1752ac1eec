"""``molcryst embed``: what a model makes of structures, as a table and as a map."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from molcryst_bench.graphs.store import GraphStore
    from molcryst_bench.interpret.embeddings import Embeddings


@click.command()
@click.argument("cell_or_task")
@click.option(
    "--raw",
    type=click.Choice(["composition", "distances", "fingerprint"]),
    help="A representation that nobody has trained: then name a task, such as qm9/homo.",
)
@click.option(
    "--store",
    "store_path",
    type=click.Path(path_type=Path),
    help="The graph store; by default that of the dataset.",
)
@click.option(
    "--subset",
    type=click.Choice(["train", "valid", "test", "all"]),
    default="all",
    show_default=True,
)
@click.option("--most", type=click.IntRange(min=3), help="Take this many at random.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the draw and the map.")
@click.option(
    "--map",
    "with_map",
    is_flag=True,
    help="Also UMAP in two and three dimensions: figure, page and numbers.",
)
@click.option(
    "--output", type=click.Path(path_type=Path), default=Path("runs/embeddings"), show_default=True
)
def embed(
    cell_or_task: str,
    raw: str | None,
    store_path: Path | None,
    subset: str,
    most: int | None,
    seed: int,
    with_map: bool,
    output: Path,
) -> None:
    """Write the second-last layer of the model in the folder CELL for structures of its dataset.

    The Parquet file has the columns id, value, prediction and embedding, for `molcryst rogi` too.
    """
    from molcryst_bench.base.project import store_path as usual_path
    from molcryst_bench.cli.console import counted, shown
    from molcryst_bench.graphs.store import open_store
    from molcryst_bench.interpret.embeddings import chosen_rows
    from molcryst_bench.interpret.embeddings import embed as embed_rows
    from molcryst_bench.interpret.raw import represent
    from molcryst_bench.training.predict import load_predictor
    from molcryst_bench.training.task import load_task

    predictor = None if raw else load_predictor(cell_or_task)
    name = cell_or_task if predictor is None else predictor.card.task
    task = load_task(name)
    store = open_store(store_path or usual_path(task.dataset))
    rows = chosen_rows(store, most, seed, task.split, subset, task.group)
    with counted("Embedding") as progress:
        if predictor is None:
            found = represent(raw or "", name, store, rows)
        else:
            found = embed_rows(predictor, store, rows, progress)
    folder = output / task.name / found.facts["model"]
    found.save(folder / "embeddings.parquet")
    click.echo(
        f"{len(rows):,} structures of {found.features.shape[1]} features: "
        f"{shown(folder / 'embeddings.parquet')}"
    )
    if with_map:
        _map(found, store, rows, folder, seed)


def _map(found: Embeddings, store: GraphStore, rows: object, folder: Path, seed: int) -> None:
    from molcryst_bench.base.files import write_json
    from molcryst_bench.cli.console import shown
    from molcryst_bench.interpret.map_figure import MapPicture, draw_map, write_page
    from molcryst_bench.interpret.maps import judge, pca_map, umap_map
    from molcryst_bench.interpret.raw import structures_of

    maps = {("UMAP", d): umap_map(found.features, d, seed) for d in (2, 3)}
    maps |= {("PCA", d): pca_map(found.features, d) for d in (2, 3)}
    quality = judge(found.features, maps, found.values)
    facts = found.facts
    picture = MapPicture(
        f"{facts['task']}: second-last layer of {facts['model']}",
        facts["quantity"],
        facts["unit"],
        found.ids.tolist(),
        found.values,
        maps["UMAP", 2],
        maps["UMAP", 3],
        quality,
    )
    draw_map(picture, [folder / f"map.{form}" for form in ("svg", "pdf", "png")])
    write_page(picture, structures_of(store, rows), folder / "map.html")  # type: ignore[arg-type]
    write_json(folder / "map.json", [each._asdict() for each in quality])
    for each in quality:
        click.echo(
            f"{each.method}, {each.dimensions} dimensions: trustworthiness "
            f"{each.trustworthiness:.3f}, neighbours kept {each.preservation:.3f}, rank "
            f"correlation of neighbours' values {each.neighbor_correlation:.3f}"
        )
    click.echo(f"Maps: {shown(folder / 'map.svg')}, {shown(folder / 'map.html')}")
