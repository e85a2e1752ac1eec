"""The card of a dataset and what its store holds, in the terminal."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table

from molcryst_bench.base.errors import StoreError
from molcryst_bench.base.project import dataset_folder, store_path
from molcryst_bench.cli.console import console, shown
from molcryst_bench.graphs.split import SUBSETS
from molcryst_bench.graphs.store import GraphStore, open_store
from molcryst_bench.sources.card import Card, load_card


def show_dataset(name: str) -> None:
    """Print the card of a dataset, then its store if there is one."""
    card = load_card(name)
    console.print(f"[bold]{card.title}[/bold]: {card.description}", highlight=False)
    console.print(f"Licence: {card.licence}", highlight=False)
    for citation in card.citations:
        console.print(f"Cite: {citation.text}, doi {citation.doi}", highlight=False)
    console.print(_targets(card))
    try:
        _show_store(open_store(store_path(name)))
    except StoreError:
        console.print(f"No store yet: make it with `molcryst data build {name}`", highlight=False)


def _targets(card: Card) -> Table:
    table = Table("target", "unit", "errors in", "of each", "meaning")
    for name, target in card.targets.items():
        what = "atom" if target.level == "node" else "structure"
        table.add_row(name, target.unit, target.error_unit, what, target.description)
    return table


def _show_store(store: GraphStore) -> None:
    sample = store.attributes["provenance"]["sample"]
    population = store.attributes["population"]["records"]
    part = f" (a sample of {population:,}, seed {sample['seed']})" if sample else ""
    lines = [
        f"Store: {shown(Path(store.path))}, {len(store):,} graphs{part}",
        f"Edges: within {store.spec.cutoff} Å",
        *(f"Split '{name}': {_counts(store, name)}" for name in load_card(store.dataset).splits),
        f"Digest: {store.digest}",
    ]
    console.print("\n".join(lines), highlight=False)


def _counts(store: GraphStore, split: str) -> str:
    """Say how many records each subset of a split has, if it has been drawn."""
    if not (dataset_folder(store.dataset) / "splits" / f"{split}.parquet").exists():
        return f"not drawn yet: `molcryst data split {store.dataset}`"
    drawn = store.split(split)
    return ", ".join(f"{len(drawn.rows(subset)):,} {subset}" for subset in SUBSETS)
