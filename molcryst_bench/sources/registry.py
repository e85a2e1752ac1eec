"""The importers that this project knows."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from molcryst_bench.base.errors import SettingsError, UnreachableError, unknown_name
from molcryst_bench.sources import coremof, folder, hmof, md17, qm9, xtb
from molcryst_bench.sources.card import list_datasets, load_card
from molcryst_bench.sources.fetch import fetch
from molcryst_bench.sources.making import MakesFiles, Making
from molcryst_bench.sources.record import Dataset, PublishesSplits, ReadsInPlace, Source


class Obtained(NamedTuple):
    """A source with its verified raw files."""

    source: Source
    paths: dict[str, Path]


_IMPORTERS = {
    "coremof": coremof.importer,
    "hmof": hmof.importer,
    "md17": md17.md17,
    "qm9": qm9.importer,
    "rmd17": md17.rmd17,
    "xtb": xtb.importer,
}


def get_dataset(name: str) -> Dataset:
    """Return the importer of a dataset.

    Raises:
        SettingsError: for a name that is not known, with the nearest one that is.
    """
    if name in _IMPORTERS:
        return _IMPORTERS[name]()
    known = {*_IMPORTERS, *list_datasets()}
    card = load_card(name) if name in known else None
    if card is None or card.folder is None:
        raise SettingsError(unknown_name("dataset", name, known))
    return folder.importer(card, card.folder)


def has_importer(name: str) -> bool:
    """Return whether the project itself knows a dataset of this name."""
    return name in _IMPORTERS


def obtain(
    dataset: Dataset, raw: Path, only: str | None = None, making: Making | None = None
) -> Obtained:
    """Fetch or make the raw files of the first source that can be had and has the right records.

    Args:
        dataset: to fetch.
        raw: folder for its raw files; those of the user stay where they are.
        only: the name of the one source to use.
        making: how much to make and where the work runs, for a source that makes its files.

    Raises:
        UnreachableError: if none can be had; says what each address answered.
        SourceError: if a file that is there already is not the right one.
        RunError: if a file cannot be made.
    """
    problems = []
    for source in _candidates(dataset, only):
        try:
            paths = _raw_files(source, raw, making or Making())
        except UnreachableError as error:
            problems.append(str(error))
        else:
            return Obtained(source, paths)
    if not dataset.interchangeable:
        others = ", ".join(source.name for source in dataset.sources)
        problems.append(f"  {dataset.name} has other records from each source: --source {others}")
    raise UnreachableError("\n".join(problems))


def is_made(dataset: Dataset) -> bool:
    """Return whether the raw files of a dataset are made here, not fetched."""
    return any(isinstance(source, MakesFiles) for source in dataset.sources)


def _raw_files(source: Source, raw: Path, making: Making) -> dict[str, Path]:
    paths = {file.name: fetch(file, raw) for file in source.files}
    if isinstance(source, ReadsInPlace):
        paths |= source.local_paths()
    if isinstance(source, MakesFiles):
        paths |= source.make(raw, making)
    return paths


def _candidates(dataset: Dataset, only: str | None) -> tuple[Source, ...]:
    """Return what to try; another source is no substitute where it holds other records."""
    if only:
        return (get_source(dataset, only),)
    return dataset.sources if dataset.interchangeable else dataset.sources[:1]


def published_splits(obtained: Obtained) -> dict[str, dict[str, str]]:
    """Return the splits that the raw files themselves define, if any."""
    source = obtained.source
    return source.published_splits(obtained.paths) if isinstance(source, PublishesSplits) else {}


def get_source(dataset: Dataset, name: str) -> Source:
    """Return the source of a dataset that has this name."""
    sources = {source.name: source for source in dataset.sources}
    if name not in sources:
        raise SettingsError(unknown_name(f"source of {dataset.name}", name, sources))
    return sources[name]
