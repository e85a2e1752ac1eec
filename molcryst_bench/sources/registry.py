"""The importers that this project knows."""

from __future__ import annotations

from molcryst_bench.base.errors import SettingsError, unknown_name
from molcryst_bench.sources import qm9
from molcryst_bench.sources.record import Dataset, Source

_IMPORTERS = {"qm9": qm9.importer}


def get_dataset(name: str) -> Dataset:
    """Return the importer of a dataset.

    Raises:
        SettingsError: for a name that is not known, with the nearest one that is.
    """
    if name not in _IMPORTERS:
        raise SettingsError(unknown_name("dataset", name, _IMPORTERS))
    return _IMPORTERS[name]()


def get_source(dataset: Dataset, name: str) -> Source:
    """Return the source of a dataset that has this name."""
    sources = {source.name: source for source in dataset.sources}
    if name not in sources:
        raise SettingsError(unknown_name(f"source of {dataset.name}", name, sources))
    return sources[name]
