"""All that is told of the transfer benchmark: tables, words and figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from matplotlib.figure import Figure

from molcryst_bench.dynamics.coordinates import Kind
from molcryst_bench.dynamics.transfer_figure import draw_distributions
from molcryst_bench.report.transfers.tables import MoleculeScores

_WORDS: dict[Kind, str] = {"length": "bond lengths (Å)", "angle": "bond angles (°)"}


class Drawn(NamedTuple):
    """A figure with what stands below it, which also serves those who cannot see it."""

    kind: Kind
    figure: Figure
    caption: str


def draw_molecule(of: MoleculeScores) -> Iterator[Drawn]:
    """Draw the distributions of one molecule; the look of figures is the caller's."""
    for kind, words in _WORDS.items():
        figure = draw_distributions(of.scores, kind)
        if figure is not None:
            yield Drawn(kind, figure, _caption(of, words))


def _caption(of: MoleculeScores, words: str) -> str:
    return (
        f"Distributions of {words} of {of.molecule}: each model (line, with a 95 % interval over "
        f"replicas) and the reference (grey area), {of.reference}. The number is the Wasserstein "
        "distance of the two. The area below each is one."
    )


def in_one_line(molecules: Sequence[MoleculeScores]) -> str:
    """Say how many runs there are."""
    runs = sum(len(each.scores) for each in molecules)
    return f"{runs} runs of {len({each.molecule for each in molecules})} molecules"
