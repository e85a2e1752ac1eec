"""``molcryst explain``: which atoms a prediction rests on, and how far to trust that."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ase import Atoms

    from molcryst_bench.interpret.explain import Explanation
    from molcryst_bench.interpret.faithfulness import Faithfulness
    from molcryst_bench.training.predict import Predictor


@click.command()
@click.argument("cell", type=click.Path(path_type=Path))
@click.argument("files", nargs=-1)
@click.option(
    "--method",
    type=click.Choice(["integrated", "grad_cam", "saliency", "cam"]),
    default="integrated",
    show_default=True,
)
@click.option("--layer", help="For Grad-CAM; the last by default.")
@click.option(
    "--test",
    "tested",
    type=click.IntRange(min=2),
    metavar="NUMBER",
    help="Take this many structures of the test set in place of FILES.",
)
@click.option(
    "--check",
    "checked",
    is_flag=True,
    help="Test how faithful each method is, random attributions among them.",
)
@click.option("--sums", is_flag=True, help="Also sums per element and functional group.")
@click.option(
    "--draw",
    "drawn",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    help="Draw the first so many structures.",
)
@click.option(
    "--steps", type=click.IntRange(min=16), default=512, help="Of the integral, at most (512)."
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--output", type=click.Path(path_type=Path), default=Path("runs/explain"), show_default=True
)
def explain(
    cell: Path,
    files: tuple[str, ...],
    method: str,
    layer: str | None,
    tested: int | None,
    checked: bool,
    sums: bool,
    drawn: int,
    steps: int,
    seed: int,
    output: Path,
) -> None:
    """Explain what the model in the folder CELL predicts for FILES, atom by atom.

    FILES are as for `molcryst predict`: structure files, folders, patterns, SMILES strings. Each
    structure is drawn as SVG, PDF and PNG; all values are in atoms.csv.
    """
    from molcryst_bench.base.files import write_json
    from molcryst_bench.cli.console import shown
    from molcryst_bench.interpret.explain import explain as explain_all
    from molcryst_bench.interpret.faithfulness import check
    from molcryst_bench.training.predict import load_predictor

    if bool(files) == (tested is not None):
        raise click.UsageError("give either FILES or --test NUMBER")
    predictor = load_predictor(cell)
    names, structures = _of_files(files) if tested is None else _of_test(predictor, tested, seed)
    folder = output / predictor.card.task / predictor.card.model
    found = explain_all(predictor, structures, method, layer=layer, most_steps=steps)
    _write_atoms(folder / "atoms.csv", names, found)
    for number, explanation in enumerate(found[:drawn], start=1):
        explanation.draw(*(folder / f"{number:03d}.{form}" for form in ("svg", "pdf", "png")))
    click.echo(f"{len(found):,} structures explained: {shown(folder)}")
    if sums:
        _sums(folder, found, seed)
    if checked:
        table = check(
            predictor,
            structures,
            seed=seed,
            most_steps=steps,
            progress=lambda m: click.echo(f"{m} ..."),
        )
        write_json(folder / "faithfulness.json", [_plain(row) for row in table])
        _show(table)


def _of_files(words: Sequence[str]) -> tuple[list[str], list[Atoms]]:
    from molcryst_bench.sources.inputs import find_inputs

    frames = [frame for word in words for each in find_inputs(word) for frame in each.frames()]
    return [f"{frame.source}:{frame.number}" for frame in frames], [f.atoms for f in frames]


def _of_test(predictor: Predictor, count: int, seed: int) -> tuple[list[str], list[Atoms]]:
    from molcryst_bench.base.project import store_path
    from molcryst_bench.graphs.store import open_store
    from molcryst_bench.interpret.embeddings import chosen_rows
    from molcryst_bench.interpret.raw import structures_of
    from molcryst_bench.training.task import load_task

    task = load_task(predictor.card.task)
    store = open_store(store_path(task.dataset))
    rows = chosen_rows(store, count, seed, task.split, "test", task.group)
    return store.ids[rows].tolist(), structures_of(store, rows)


def _write_atoms(path: Path, names: Sequence[str], found: Sequence[Explanation]) -> None:
    import csv

    from molcryst_bench.base.files import whole_file

    with whole_file(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["structure", "atom", "element", "value", "unit", "method", "prediction"])
        for name, each in zip(names, found, strict=True):
            for atom, symbol in enumerate(each.atoms.get_chemical_symbols()):
                value, facts = f"{each.values[atom]:.8g}", (each.unit, each.method)
                table.writerow([name, atom, symbol, value, *facts, f"{each.prediction:.8g}"])


def _sums(folder: Path, found: Sequence[Explanation], seed: int) -> None:
    from rich.table import Table

    from molcryst_bench.base.files import write_json
    from molcryst_bench.cli.console import console
    from molcryst_bench.interpret.groups import shares_of_elements, shares_of_groups

    kinds = {"element": shares_of_elements(found, seed)}
    if not any(each.atoms.pbc.any() for each in found):
        kinds["group"] = shares_of_groups(found, seed)
    write_json(folder / "sums.json", {k: [s._asdict() for s in v] for k, v in kinds.items()})
    for kind, shares in kinds.items():
        board = Table(kind, "structures", "atoms", f"mean ({found[0].unit})", "size, of the mean")
        for s in shares:
            mean = f"{s.per_atom:+.4f} ({s.low:+.4f} to {s.high:+.4f})"
            size = f"{s.size:.2f} ({s.size_low:.2f} to {s.size_high:.2f})"
            board.add_row(s.kind, f"{s.structures:,}", f"{s.atoms:,}", mean, size)
        console.print(board)


def _show(table: Sequence[Faithfulness]) -> None:
    from rich.table import Table

    from molcryst_bench.cli.console import console

    board = Table(
        "method",
        "deletion",
        "insertion",
        "random weights",
        "equivalent atoms",
        "rotation",
        "with integrated",
        "between seeds",
    )
    for row in table:
        board.add_row(*(_cell(value) for value in row))
    console.print(board)
    console.print(
        "deletion, insertion: 0 as random orders, higher is better; random weights: rank "
        "correlation with a network of random weights, 0 is best; equivalent atoms, rotation: "
        "largest difference over the largest value, 0 is best. ± 95 % over structures.",
        highlight=False,
    )


def _cell(value: object) -> str:
    if value is None:
        return "one seed"
    if isinstance(value, tuple):
        return f"{value[0]:.2f} ± {value[2] - value[0]:.2f}"
    return f"{value:.1e}" if isinstance(value, float) else str(value)


def _plain(row: Faithfulness) -> dict[str, object]:
    return {k: v._asdict() if hasattr(v, "_asdict") else v for k, v in row._asdict().items()}
