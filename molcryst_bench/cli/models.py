"""``molcryst models``: which there are, and what one of them can be told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.table import Table

    from molcryst_bench.report.catalogue import ModelEntry

_WIDE = 120  # columns of a terminal in which the references have one of their own
_READABLE = 100  # characters of a line of text


@click.command()
@click.argument("name", required=False)
@click.option("--json", "as_data", is_flag=True, help="Print all of it for programs.")
def models(name: str | None, as_data: bool) -> None:
    """List all models, or show the model NAME with its hyperparameters."""
    from molcryst_bench.report.catalogue import find_entry, list_entries

    if as_data:
        _print_json(list_entries() if name is None else find_entry(name))
    elif name is None:
        _print_list(list_entries())
    else:
        _print_model(find_entry(name))


def _print_json(found: list[ModelEntry] | ModelEntry) -> None:
    import json

    from molcryst_bench.report.catalogue import as_json

    data = [as_json(each) for each in found] if isinstance(found, list) else as_json(found)
    click.echo(json.dumps(data, indent=2, ensure_ascii=False))


def _print_list(entries: list[ModelEntry]) -> None:
    from rich.text import Text

    from molcryst_bench.cli.console import console

    wide = console.width >= _WIDE
    table = _table("model", "title", "kind")
    table.add_column("parameters", justify="right")
    if wide:
        table.add_column("reference", no_wrap=True)
    for entry in entries:
        identifiers = "\n".join(entry.identifiers)
        under = "" if wide else f"\n{identifiers}"
        title = entry.problem or f"{entry.title}{under}".strip()
        cells = [entry.name, title, entry.kind or "unusable", _count(entry)]
        texts = map(Text, [*cells, *([identifiers] * wide)])
        table.add_row(*texts, style="red" if entry.problem else "")
    console.print(table)
    console.print("Parameters with default hyperparameters; one in full: molcryst models NAME")


def _print_model(entry: ModelEntry) -> None:
    from molcryst_bench.cli.console import console
    from molcryst_bench.report.documentation import describe_model
    from molcryst_bench.report.plain import as_text, body

    width = min(console.width, _READABLE)
    source = f", from the package {entry.package}" if entry.package else ""
    click.secho(entry.title, bold=True)
    click.echo(f"Name: {entry.name}, kind: {entry.kind}{source}")
    click.echo(f"Parameters with default hyperparameters: {_count(entry)}\n")
    for block in body(describe_model(entry.name).blocks):
        click.echo(as_text(block, width) + "\n")
    console.print(_hyperparameters(entry.name))
    _print_presets(entry.name)
    for reference in entry.references:
        console.print(f"Reference: {reference}", highlight=False, markup=False, width=width)


def _hyperparameters(name: str) -> Table:
    from rich.text import Text

    from molcryst_bench.report.catalogue import allowed_values, hyperparameters_of, type_name

    table = _table("hyperparameter", "type", "default", "allowed", "meaning")
    for field, schema in hyperparameters_of(name).items():
        default = str(schema["default"]).lower() if "default" in schema else "required"
        meaning = schema.get("description", "")
        cells = [field, type_name(schema), default, allowed_values(schema), meaning]
        table.add_row(*map(Text, cells))
    return table


def _print_presets(name: str) -> None:
    """Show what the model and its training take where nothing is set, if the model says so."""
    from rich.text import Text

    from molcryst_bench.cli.console import console
    from molcryst_bench.report.catalogue import presets_of

    presets = presets_of(name)
    settings = list(dict.fromkeys(key for preset in presets.values() for key in preset))
    if not settings:
        return
    table = _table("preset", *presets)
    for key in settings:
        values = [preset.get(key, "default") for preset in presets.values()]
        shown = ["none" if value is None else str(value).lower() for value in values]
        table.add_row(*map(Text, [key, *shown]))
    console.print(table)


def _table(*columns: str) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    return Table(*columns, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))


def _count(entry: ModelEntry) -> str:
    return "-" if entry.parameters is None else f"{entry.parameters:,}"
