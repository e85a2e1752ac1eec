"""What the pages about looks into models show."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from molcryst_bench.base.errors import RunError
from molcryst_bench.base.theme import dark_twin
from molcryst_bench.interpret.looks.record import Look
from molcryst_bench.report import addresses
from molcryst_bench.report.columns import Column
from molcryst_bench.report.interpretation import found
from molcryst_bench.report.interpretation.found import Picture
from molcryst_bench.report.interpretation.tables import TaskLooks, map_columns

Keep = Callable[[Picture, str], None]
"""Puts a drawing at an address of the site."""


class Shown(NamedTuple):
    """A drawing at its place on the site."""

    address: str
    picture: Picture


class ModelLook(NamedTuple):
    """A network's map on one task, with its numbers."""

    look: Look
    map: Shown
    columns: tuple[Column, ...]


class ModelAtoms(NamedTuple):
    """The drawings of structures that a model page shows of one task."""

    look: Look
    drawn: list[Shown]
    command: str


def keep_in(folder: Path) -> Keep:
    """Return what copies drawings, and their twins for dark screens, into a site.

    Raises:
        RunError: later, if a drawing is missing.
    """

    def keep(picture: Picture, address: str) -> None:
        target = folder / address
        target.parent.mkdir(parents=True, exist_ok=True)
        for old, new in (
            (picture.file, target),
            (dark_twin(picture.file), dark_twin(target)),
        ):
            if not old.exists():
                message = f"{old} is missing: remove its folder and run `{found.STAGE}` again"
                raise RunError(message)
            shutil.copyfile(old, new)

    return keep


def overview(tasks: Sequence[TaskLooks]) -> dict[str, Any]:
    """Return what the first page shows but for its figure."""
    return {
        "tasks": tasks,
        "stage": found.STAGE,
        "on_roughness": found.explain_roughness(),
    }


def task_page(of: TaskLooks, leaderboard: Path, keep: Keep) -> dict[str, Any]:
    """Return what the page of a task shows."""
    models = []
    for look in of.models:
        picture = found.map_picture(look, leaderboard)
        address = addresses.interpretation_figure(look, "map")
        keep(picture, address)
        models.append(ModelLook(look, Shown(address, picture), map_columns(look)))
    return {
        "of": of,
        "models": models,
        "stage": found.STAGE,
        "roughness_command": found.roughness_command(of),
        "check_command": found.check_command(of) if of.models else "",
        "sums_command": found.explain_command(of.models[0]) if of.models else "",
        "on_roughness": found.explain_roughness(),
        "on_tests": found.explain_looks(),
        "on_maps": found.explain_maps(),
    }


def atoms_of(
    model: str, tasks: Sequence[TaskLooks], leaderboard: Path, keep: Keep
) -> list[ModelAtoms]:
    """Return what the page of a model shows of each task."""
    shown = []
    for look in (look for of in tasks for look in of.models if look.representation == model):
        drawn = []
        for number, picture in enumerate(found.atom_pictures(look, leaderboard), start=1):
            address = addresses.interpretation_figure(look, f"atoms-{number}")
            keep(picture, address)
            drawn.append(Shown(address, picture))
        shown.append(ModelAtoms(look, drawn, found.explain_command(look)))
    return shown
