"""``molcryst verify``: whether a number of the leaderboard follows from the bytes it names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from molcryst_bench.report.provenance.links import Link
    from molcryst_bench.report.results import Cell

_STATUS = {"broken": 1, "unchecked": 2}
_VERDICTS = {
    "holds": "Every link holds.",
    "broken": "BROKEN: the number does not follow from its files.",
    "unchecked": "Nothing is broken, but some links could not be checked here.",
}


@click.command()
@click.argument("cells", metavar="CELL...", nargs=-1, required=True)
@click.option("--retrain", is_flag=True, help="Also train it again, and compare the numbers.")
def verify(cells: tuple[str, ...], retrain: bool) -> None:
    """Recompute CELL, such as qm9/homo/schnet/0, from its files, link by link.

    From raw files through store, split, configuration, code, weights and predictions to the numbers
    of leaderboard/results.parquet. The exit status is 0 if every link holds, 1 if one is broken,
    and 2 if none is broken but something cannot be checked here; then the table says what to do.
    """
    states = {_verify(name, retrain) for name in cells}
    worst = next((state for state in ("broken", "unchecked") if state in states), "holds")
    if worst != "holds":
        raise SystemExit(_STATUS[worst])


def _verify(name: str, retrain: bool) -> str:
    from molcryst_bench.base.project import leaderboard_folder
    from molcryst_bench.cli.console import counted
    from molcryst_bench.report.provenance.chain import find_cell, full_name, verify_cell
    from molcryst_bench.report.provenance.links import verdict

    leaderboard = leaderboard_folder()
    cell = find_cell(leaderboard, name)
    with counted(f"Checking the store of {cell.dataset}") as progress:
        links = verify_cell(leaderboard, cell, progress)
    if retrain:
        links.append(_retrain(cell))
    _show(full_name(cell), links)
    return verdict(links)


def _retrain(cell: Cell) -> Link:
    from molcryst_bench.base.project import project_root
    from molcryst_bench.bench.params import load_params
    from molcryst_bench.bench.work import run_cell
    from molcryst_bench.cli.console import console
    from molcryst_bench.cli.training import TrainingProgress
    from molcryst_bench.report.provenance.again import compare_again, plan_again, scratch_folder
    from molcryst_bench.training.ranks import started_outside

    plan = plan_again(cell, load_params().executor.threads)
    with TrainingProgress(plan, console) as progress:
        again = run_cell(
            plan,
            scratch_folder(project_root()),
            on_epoch=progress.on_epoch,
            on_step=progress.on_step,
            environment=started_outside(plan.training),
        )
    return compare_again(cell, again)


def _show(name: str, links: list[Link]) -> None:
    from rich.table import Table
    from rich.text import Text

    from molcryst_bench.cli.console import console
    from molcryst_bench.report.provenance.links import verdict

    styles = {"holds": "green", "broken": "bold red", "unchecked": "yellow"}
    words = {"holds": "holds", "broken": "BROKEN", "unchecked": "not checked"}
    shown = Table("link", "state", title=Text(name, "bold"))
    shown.add_column("what was found", overflow="fold")  # paths are needed whole
    for link in links:
        shown.add_row(link.name, Text(words[link.state], styles[link.state]), Text(link.words))
    console.print(shown)
    state = verdict(links)
    console.print(Text(_VERDICTS[state], styles[state]))
