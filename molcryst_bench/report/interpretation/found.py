"""All that is told of looks into models beside their tables: words, commands and figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure

from molcryst_bench.bench.result import RESULTS
from molcryst_bench.interpret.looks.plan import INTERPRET
from molcryst_bench.interpret.looks.record import EMBEDDINGS, MAP, DrawnStructure, Look
from molcryst_bench.interpret.roughness_figure import (
    Roughness,
    rank_correlation,
    roughness_figure,
)
from molcryst_bench.report.formatting import between, number
from molcryst_bench.report.interpretation.tables import TaskLooks

STAGE = "molcryst interpret"


class Picture(NamedTuple):
    """A drawing that a look has left behind, with what stands below it and what it shows."""

    file: Path
    caption: str
    alt: str
    command: str


class RoughnessFigure(NamedTuple):
    """Roughness beside error, over all models and tasks."""

    figure: Figure
    caption: str
    alt: str


def draw_roughness_of(tasks: Sequence[TaskLooks]) -> RoughnessFigure | None:
    """Draw a point for each network on each task, if there are any; the look is the caller's."""
    points = [
        Roughness(look.task, look.representation, look.roughness.rogi_xd[0], look.relative_error)
        for of in tasks
        for look in of.models
        if look.roughness and look.relative_error is not None
    ]
    if not points:
        return None
    found = rank_correlation(points)
    bounds = between((found.low, found.high), 2)
    in_words = f"{number(found.value, 2)} (95 % interval {bounds})"
    caption = (
        "Roughness of the property in what each network has learnt, beside its test error in "
        "parts of the error of the mean, both without a unit. Spearman's rank correlation over "
        f"models and tasks, {len(points)} in all, is {in_words}, from resampling these points."
    )
    names = ", ".join(of.task for of in tasks if of.models)
    alt = f"Relative test error against ROGI-XD for {names}: rank correlation {in_words}"
    return RoughnessFigure(roughness_figure(points, found), caption, alt)


def map_picture(look: Look, leaderboard: Path) -> Picture:
    """Return the picture of a network's embeddings."""
    quantity = f"{look.quantity} ({look.unit})"
    caption = (
        f"UMAP in two and three dimensions of the second-last layer of {look.representation}, "
        f"seed {look.seed}, for {look.embedded:,} structures, coloured by {quantity}. Axes of "
        "such maps have no unit."
    )
    flat = [row for row in look.maps if row.method == "UMAP"]
    trust = ", ".join(f"{row.trustworthiness:.2f} in {row.dimensions}D" for row in flat)
    alt = f"Two maps of dots coloured by {quantity}; trustworthiness {trust}"
    cell = f"leaderboard/{RESULTS}/{look.place}"
    command = f"molcryst embed {cell} --most {look.embedded} --map{_seeded(look)}"
    return Picture(_folder(leaderboard, look) / MAP, caption, alt, command)


def atom_pictures(look: Look, leaderboard: Path) -> list[Picture]:
    """Return the drawings of structures with the values of their atoms."""
    folder = _folder(leaderboard, look)
    return [_atom_picture(each, look, folder / each.file) for each in look.drawn]


def _atom_picture(each: DrawnStructure, look: Look, file: Path) -> Picture:
    unit = "" if look.unit == "1" else f" {look.unit}"
    true = "" if each.truth is None else f", true {number(each.truth, 3)}{unit}"
    caption = (
        f"{each.id}, {each.formula}: {look.quantity} predicted as "
        f"{number(each.prediction, 3)}{unit}{true}."
    )
    alt = (
        f"Atoms of {each.formula} as discs: the area is the size of the share in {look.quantity}, "
        "orange with a whole rim raises it, purple with a dashed rim lowers it"
    )
    return Picture(file, caption, alt, explain_command(look))


def explain_command(look: Look) -> str:
    """Return what draws these structures and adds up values."""
    cell = f"leaderboard/{RESULTS}/{look.place}"
    how = f"--test {look.explained} --sums --draw {len(look.drawn)}"
    return f"molcryst explain {cell} {how} --steps {look.steps}{_seeded(look)}"


def check_command(of: TaskLooks) -> str:
    """Return what puts the attributions of a network to the test."""
    look = of.models[0]
    cell = f"leaderboard/{RESULTS}/{look.task}/{look.representation}"
    how = f"--test {look.checked} --check --steps {look.steps}"
    return f"molcryst explain {cell} {how}{_seeded(look)}"


def roughness_command(of: TaskLooks) -> str:
    """Return what computes the indices of all representations."""
    tables = f"leaderboard/{INTERPRET}/{of.task}/*/*/{EMBEDDINGS}"
    look = of.looks[0]
    return f"molcryst rogi {tables} --resamples {look.resamples}{_seeded(look)}"


def explain_looks() -> str:
    """Say in plain words how to read the tables."""
    return (
        "Deletion takes away the features of atoms, those with the largest values first, and "
        "insertion brings them back: the score is how much sooner the prediction changes than with "
        "random orders, in parts of its whole change, so that 0 is as random and more is better. "
        "With random weights, with integrated gradients and between seeds are rank correlations of "
        "the sizes of the values: the first is with a network whose weights are in random order, "
        "and should be 0, the others should be 1. Equivalent atoms and rotation are the largest "
        "differences between atoms that symmetry makes equal, and between a structure and itself "
        "turned, over the largest value: 0 but for rounding. In brackets are 95 % intervals over "
        "test structures."
    )


def explain_roughness() -> str:
    """Say in plain words what the indices mean."""
    return (
        "ROGI (doi 10.1021/acs.jcim.2c00903) is 0 where neighbours have like values, and largest "
        "where values are shuffled, which is the ceiling beside it. ROGI-XD (doi "
        "10.1021/acs.jcim.3c01067) compares representations of different width; principal "
        "components of equal width compare them once more. 95 % intervals resample structures with "
        "their values. Raw representations, which nobody has trained, stand beside those that "
        "networks have learnt: composition, distances, and Morgan fingerprints of molecules. "
        "Structures are drawn from the whole dataset, errors are those on the test set."
    )


def explain_maps() -> str:
    """Say what the numbers beside maps mean."""
    return (
        "Trustworthiness is 1 where no stranger is among the neighbours in a map; neighbours kept "
        "is the share of the 15 nearest that are still among the 15 nearest; the rank correlation "
        "is that of a value with the mean of its neighbours' values, which in all features is what "
        "the network has learnt. What is far apart in a map of UMAP need not be far apart."
    )


def in_one_line(tasks: Sequence[TaskLooks]) -> str:
    """Say how many networks have been looked into."""
    networks = sum(len(of.models) for of in tasks)
    if not tasks:
        return ""
    return f"{networks} networks on {len(tasks)} tasks"


def _folder(leaderboard: Path, look: Look) -> Path:
    return leaderboard / INTERPRET / look.place


def _seeded(look: Look) -> str:
    return f" --seed {look.draw}" if look.draw else ""
