"""``molcryst data new``: a folder of structures and a table of labels become a dataset."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click
import yaml

from molcryst_bench.base.errors import SettingsError, SourceError
from molcryst_bench.base.files import whole_folder
from molcryst_bench.base.project import dataset_folder, project_root
from molcryst_bench.cli.console import shown
from molcryst_bench.graphs.draw import random_split
from molcryst_bench.graphs.split import Split, save_split
from molcryst_bench.sources.card import Card
from molcryst_bench.sources.folder import FolderSource, check_columns, is_empty
from molcryst_bench.sources.record import BadRecordError
from molcryst_bench.sources.registry import has_importer

_SANE_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+")
_FEWEST, _SEED = 10, 42


class OwnData(NamedTuple):
    """What the user typed."""

    name: str
    structures: Path
    labels: Path
    id_column: str | None  # the first column of the table by default
    targets: Sequence[str]  # COLUMN:UNIT


def create(own: OwnData) -> None:
    """Write card and random split of a new dataset, once everything in the table is right.

    Raises:
        SettingsError: if the name or a target is not sane, or the name is taken.
        SourceError: if folder or table are not what they should be, naming the rows.
    """
    _check_name(own.name)
    card = _card(own)
    ids = _checked_ids(card)
    split = random_split(ids, _sizes(len(ids)), _SEED)
    with whole_folder(dataset_folder(own.name)) as folder:
        content = card.model_dump(mode="json", exclude_defaults=True)
        text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)
        (folder / "card.yaml").write_text(text, encoding="utf-8")
        save_split(split, folder / "splits" / "random.parquet")
    _tell(card, split)


def _check_name(name: str) -> None:
    if not _SANE_NAME.fullmatch(name):
        rule = "use lower-case letters, digits, _ and -, with a letter or digit first"
        raise SettingsError(f"'{name}' cannot be the name of a dataset: {rule}")
    if has_importer(name) or dataset_folder(name).exists():
        raise SettingsError(f"there is a dataset '{name}' already: choose another name")


def _card(own: OwnData) -> Card:
    columns, rows = _read_table(own.labels)
    id_column = own.id_column if own.id_column is not None else columns[0]
    targets = dict(_target(text, columns, rows, own.labels) for text in own.targets)
    if len(targets) != len(own.targets):
        raise SettingsError("two targets have the same name")
    check_columns(columns, [id_column, *(t["raw"]["column"] for t in targets.values())], own.labels)
    train, valid = _sizes(len(rows))
    split = {"method": "random", "train": train, "valid": valid, "seed": _SEED}
    content = {
        "name": own.name,
        "title": own.name,
        "description": f"{len(rows):,} structures with labels from {own.labels.name}.",
        "licence": "not stated",
        "citations": [],
        "records": len(rows),
        "targets": targets,
        "splits": {"random": {**split, "description": "80/10/10 of all rows."}},
        "folder": {
            "path": _in_project(own.structures),
            "labels": _in_project(own.labels),
            "id": id_column,
        },
    }
    return Card.parse(content, f"the card of {own.name}")


def _read_table(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines)
            columns, rows = list(reader.fieldnames or ()), list(reader)
    except (csv.Error, UnicodeDecodeError, OSError) as error:
        raise SourceError(f"{path} is not a table in CSV: {error}") from error
    if len(rows) < _FEWEST:
        needed = f"a split into 80/10/10 needs {_FEWEST}"
        raise SourceError(f"{path} has {len(rows)} rows of labels: {needed}")
    return columns, rows


def _target(
    text: str, columns: list[str], rows: list[dict[str, str]], table: Path
) -> tuple[str, dict[str, Any]]:
    """Return name and description of a target; it is optional if a row has none."""
    column, _, unit = (part.strip() for part in text.rpartition(":"))
    name = _NOT_IN_NAMES.sub("_", column).strip("_.")
    if not name or not unit:
        raise SettingsError(f"'{text}' is not COLUMN:UNIT, such as band_gap:eV")
    check_columns(columns, [column], table)
    optional = any(is_empty(row[column] or "") for row in rows)
    raw = {"column": column, "unit": unit}
    return name, {"unit": unit, "error_unit": unit, "optional": optional, "raw": raw}


def _checked_ids(card: Card) -> list[str]:
    """Return the names of all structures, once each row has its file and its numbers."""
    if card.folder is None:
        raise AssertionError("the card of a folder names it")
    source = FolderSource(card.folder, card.targets)
    problems, ids = [], []
    for raw in source.raw_records(source.local_paths()):
        ids.append(raw.id)
        try:
            source.check(raw.payload)
        except BadRecordError as error:
            problems.append(str(error))
    where = source.local_paths()["labels"]
    problems += [f"{where}: '{i}' is there {n} times" for i, n in Counter(ids).items() if n > 1]
    if problems:
        more = [f"... and {len(problems) - 5:,} more"] if len(problems) > 5 else []
        raise SourceError("\n".join([*problems[:5], *more]))
    return ids


def _sizes(rows: int) -> tuple[int, int]:
    return rows * 8 // 10, rows // 10


def _in_project(path: Path) -> str:
    absolute = path.resolve()
    root = project_root().resolve()
    inside = absolute.is_relative_to(root)
    return absolute.relative_to(root).as_posix() if inside else str(absolute)


def _tell(card: Card, split: Split) -> None:
    folder = dataset_folder(card.name)
    click.echo(f"{shown(folder / 'card.yaml')}: {card.records:,} structures")
    for name, target in card.targets.items():
        rest = ", not known for all" if target.optional else ""
        click.echo(f"  {card.name}/{name} in {target.unit}{rest}")
    counts = ", ".join(f"{len(split.rows(s)):,} {s}" for s in ("train", "valid", "test"))
    click.echo(f"{shown(folder / 'splits' / 'random.parquet')}: {counts}")
    click.echo("Complete title, licence and citations on the card, then run")
    click.echo(f"  molcryst data build {card.name}")
