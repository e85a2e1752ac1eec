"""The page of each dataset, and its records for other programs."""

from __future__ import annotations

from collections.abc import Iterator

from molcryst_bench.base.errors import StoreError
from molcryst_bench.base.project import store_path
from molcryst_bench.graphs.split import SUBSETS
from molcryst_bench.graphs.store import open_store
from molcryst_bench.report import addresses, figures
from molcryst_bench.report.croissant import DESCRIPTION, TABLE, export_dataset
from molcryst_bench.report.datasets import DatasetFacts
from molcryst_bench.report.site.content import Content
from molcryst_bench.report.site.press import Press


def write_datasets(of: Content, press: Press) -> None:
    """Write what each dataset holds and how it is split."""
    for facts in of.datasets.values():
        name = facts.card.name
        content = {
            "facts": facts,
            "card": facts.card,
            "croissant": _export(facts, press),
            "subsets": SUBSETS,
            "tables": [table for table in of.tables if table.card.name == name],
            "histograms": list(_draw_histograms(facts, press)),
        }
        press.page(addresses.dataset_page(name), "dataset.html", content)


def _export(facts: DatasetFacts, press: Press) -> list[str]:
    """Write the records of a dataset for other programs; without its store there are none."""
    if facts.store is None:
        return []
    name = facts.card.name
    place = addresses.dataset_folder(name)
    try:
        export_dataset(open_store(store_path(name)), facts.card, press.folder / place)
    except StoreError:
        return []
    return [f"{place}/{file}" for file in (DESCRIPTION, TABLE)]


def _draw_histograms(facts: DatasetFacts, press: Press) -> Iterator[tuple[str, str]]:
    """Yield the label and address of each histogram."""
    if facts.store is None:
        return
    name = facts.card.name
    label = "atoms per record"
    drawn = figures.histogram(facts.store.atoms, label, "records")
    yield label, press.figure(drawn, addresses.dataset_figure("atoms", name))
    for target, values in facts.store.values.items():
        properties = facts.card.targets[target]
        label = f"{target} ({properties.unit})"
        counted = "records" if properties.level == "graph" else "atoms"
        drawn = figures.histogram(values, label, counted)
        yield label, press.figure(drawn, addresses.dataset_figure("target", name, target))
