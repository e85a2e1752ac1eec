"""``molcryst data audit``: leaks between the subsets of the splits of a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor

import click
from rich.table import Table

from molcryst_bench.base.errors import SettingsError, unknown_name
from molcryst_bench.base.project import dataset_folder
from molcryst_bench.cli.console import console, counted, shown
from molcryst_bench.graphs.audit.findings import (
    PAIRS,
    Audit,
    Finding,
    SplitAudit,
    load_audit,
    save_audit,
)
from molcryst_bench.graphs.audit.run import audit_split
from molcryst_bench.graphs.similarity.kinds import Thresholds, kinds_of_likeness
from molcryst_bench.graphs.similarity.portraits import Portraits, portray_records
from molcryst_bench.graphs.split import Split, load_split
from molcryst_bench.sources.card import Card, ClusterSplit, TimeBlockSplit, load_card
from molcryst_bench.sources.registry import Obtained


def run_audit(
    dataset: str, names: Sequence[str], gaps: Sequence[int], obtained: Obtained, executor: Executor
) -> None:
    """Audit splits of a dataset, print what was found and keep it beside the card.

    Args:
        dataset: its name.
        names: of the splits; all of the card if there are none.
        gaps: in frames, for trajectories; those of the card and two small ones if there are none.
        obtained: the raw files.
        executor: where the work runs.

    Raises:
        SettingsError: for a split that is not on the card, with the nearest one that is.
    """
    card = load_card(dataset)
    splits = [_load(card, name) for name in names or card.splits]
    described = portray_all(dataset, obtained, executor, len(splits[0].ids))
    kinds = kinds_of_likeness(described, _thresholds(card, gaps))
    found = {
        split.name: audit_split(split, described, kinds, obtained.source.name) for split in splits
    }
    folder = dataset_folder(dataset)
    kept = {name: one for name, one in load_audit(folder).splits.items() if name in card.splits}
    path = save_audit(Audit(splits=kept | found), folder)
    for name, audit in found.items():
        _print(name, audit, with_groups=bool(names))
    _explain(found)
    click.echo(f"{shown(path)} is written; `molcryst report` shows it on the dataset's page")


def portray_all(dataset: str, obtained: Obtained, executor: Executor, records: int) -> Portraits:
    """Describe all records of a dataset, with a progress bar."""
    with counted(f"Reading {dataset}") as progress:
        source, paths = obtained
        return portray_records(source, paths, executor, lambda done: progress(done, records))


def _load(card: Card, name: str) -> Split:
    if name not in card.splits:
        raise SettingsError(unknown_name(f"split of {card.name}", name, card.splits))
    return load_split(dataset_folder(card.name) / "splits" / f"{name}.parquet")


def _thresholds(card: Card, gaps: Sequence[int]) -> Thresholds:
    """The card knows from where on frames and frameworks of this dataset are no longer alike."""
    blocks = [recipe.gap for recipe in card.splits.values() if isinstance(recipe, TimeBlockSplit)]
    clusters = [r.similarity for r in card.splits.values() if isinstance(r, ClusterSplit)]
    standard = Thresholds()
    return Thresholds(
        gaps=tuple(gaps) or (*standard.gaps, *blocks),
        similarity=min(clusters, default=standard.similarity),
    )


def _print(name: str, audit: SplitAudit, *, with_groups: bool) -> None:
    title = f"Split '{name}': {audit.records:,} records"
    if audit.unreadable:
        title += f", and {audit.unreadable:,} that are set aside"
    table = Table("like records", title=title, title_justify="left")
    for earlier, later in PAIRS:
        table.add_column(f"{later} in {earlier}", justify="right")
    table.add_column("such as")
    for kind in audit.kinds:
        table.add_row(kind.name, *map(_count, kind.overall), _example(kind.overall))
        for group, findings in kind.by_group.items() if with_groups else ():
            table.add_row(f"  {group}", *map(_count, findings), "")
    console.print(table, highlight=False)


def _count(finding: Finding) -> str:
    return f"{finding.found:,} ({finding.share:.1%})" if finding.records else "n/a"


def _example(findings: Sequence[Finding]) -> str:
    """Show the first pair of all."""
    return next((" ~ ".join(one.examples[0]) for one in findings if one.examples), "")


def _explain(found: dict[str, SplitAudit]) -> None:
    kinds = {kind.name: kind for audit in found.values() for kind in audit.kinds}
    meaning = "'test in train': how many test records have a like record in the training set."
    console.print(meaning, highlight=False)
    for kind in kinds.values():
        unknown = f" ({kind.unknown:,} records: not known)" if kind.unknown else ""
        console.print(f"{kind.name}: {kind.meaning}{unknown}", highlight=False)
