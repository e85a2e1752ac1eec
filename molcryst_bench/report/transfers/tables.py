"""The tables of the transfer benchmark, the same wherever they are shown."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

from molcryst_bench.dynamics.record import ClassScore, TransferScore
from molcryst_bench.dynamics.transfer_figure import shown_name
from molcryst_bench.report.columns import Column
from molcryst_bench.report.formatting import NOTHING, between, number, significant

_DECIMALS = {"Å": 4, "°": 2}
_MOST_REASONS = 2  # of the failures of a model that are told


@dataclass(frozen=True)
class MoleculeScores:
    """What all models that were trained for one task have done with one molecule."""

    task: str
    molecule: str
    scores: tuple[TransferScore, ...]  # the best first

    @property
    def title(self) -> str:
        """Training and molecule in words."""
        return f"{self.molecule}, by models trained on {self.task}"

    @property
    def at_home(self) -> bool:
        """Whether models were trained on it."""
        return self.scores[0].at_home

    @property
    def reference(self) -> str:
        """What distributions are compared with, in words."""
        known = next((score for score in self.scores if score.reference), None)
        if known is None:
            return "no reference: the dataset does not have this molecule"
        return f"{known.reference_frames:,} {known.reference}"

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """One row for each model."""
        return (
            _column("model", "Model", self.scores, lambda s: s.model, _model),
            _column("score", "Transfer score", self.scores, lambda s: s.score, _score),
            _column("forces", self._forces_header, self.scores, _forces_value, _forces),
            _column("survival", "Lasts", self.scores, lambda s: s.survival, _lasts),
            _column("drift", "Drift (meV/atom/ps)", self.scores, lambda s: _of(s.drift), _drift),
            _column("heat", "Temperature (K)", self.scores, lambda s: _of(s.temperature), _heat),
        )

    @cached_property
    def distances(self) -> tuple[Column, ...]:
        """The distance of each class, a row for each class, a column for each model."""
        kinds = {"length": 0, "angle": 1, "torsion": 2}
        keys = {(kinds[c.kind], c.name, c.unit, c.kind) for s in self.scores for c in s.classes}
        rows = [(kind, name, unit) for _, name, unit, kind in sorted(keys)]
        names = tuple(f"{shown_name(name)} {kind} ({unit})" for kind, name, unit in rows)
        known = [{(c.kind, c.name): c for c in score.classes} for score in self.scores]
        noise = [_first(of.get((kind, name)) for of in known) for kind, name, _ in rows]
        columns = [Column("setting", "Distance", names, names)]
        columns.append(_distances("noise", "Noise of the reference", noise, _noise))
        for score, of in zip(self.scores, known, strict=True):
            found = [of.get((kind, name)) for kind, name, _ in rows]
            columns.append(_distances("distance", _model(score), found, _distance))
        return tuple(columns)

    @property
    def failures(self) -> list[str]:
        """What went wrong, a sentence for each model with which something did."""
        return [line for score in self.scores if (line := _failure(score))]

    @property
    def _forces_header(self) -> str:
        unit = next((score.forces.unit for score in self.scores if score.forces), "")
        return f"Force MAE ({unit})" if unit else "Force MAE"


def molecules_of(scores: Iterable[TransferScore]) -> list[MoleculeScores]:
    """Return the scores by task and molecule, the molecule of the training before others."""

    def place(score: TransferScore) -> tuple[str, bool, str]:
        return score.task, not score.at_home, score.molecule

    found = []
    for (task, _, molecule), group in groupby(sorted(scores, key=place), place):
        best_first = sorted(group, key=lambda s: (-(s.score or 0.0), s.model, s.seed))
        found.append(MoleculeScores(task, molecule, tuple(best_first)))
    return found


def explain_scores() -> str:
    """Say in plain words how to read the tables."""
    return (
        "Each model runs each molecule: replicas from different velocities, first with a "
        "thermostat, then at constant energy. The distance of a distribution of bond lengths, "
        "angles or torsions from that of the reference is the first Wasserstein distance, with a "
        "95 % interval from resampling replicas and blocks of reference frames; its noise is the "
        "distance of halves of the reference from one another. The transfer score is s / (1 + G): "
        "s is the mean part of its time that a replica lasts, G the geometric mean over bond "
        "lengths and angles of the distance, or the noise if that is more, over the mean "
        "difference of two reference frames. It is 1 for exact dynamics, 1/2 where distributions "
        "are as far from the truth as two frames from one another, and 0 for a molecule that "
        "falls apart at once. The number behind the score is that of a run whose distances are "
        "all noise, which no model can be told from. The molecule that a model was trained on is "
        "the yardstick for the others. Force errors are on frames of the molecule that the model "
        "has not seen; in brackets, in parts of the mean size of the force components."
    )


def _column(
    key: str,
    header: str,
    scores: Sequence[TransferScore],
    value: Callable[[TransferScore], float | str | None],
    text: Callable[[TransferScore], str],
) -> Column:
    found = tuple(math.inf if (v := value(score)) is None else v for score in scores)
    return Column(key, header, tuple(map(text, scores)), found)


def _distances(
    key: str,
    header: str,
    classes: Sequence[ClassScore | None],
    text: Callable[[ClassScore], tuple[float | None, str]],
) -> Column:
    found = [(None, NOTHING) if each is None else text(each) for each in classes]
    values = tuple(math.inf if value is None else value for value, _ in found)
    return Column(key, header, tuple(words for _, words in found), values)


def _distance(of: ClassScore) -> tuple[float | None, str]:
    if of.distance is None or of.distance_low is None or of.distance_high is None:
        return None, NOTHING
    decimals = _DECIMALS[of.unit]
    bounds = between((of.distance_low, of.distance_high), decimals)
    return of.distance, f"{number(of.distance, decimals)} ({bounds})"


def _noise(of: ClassScore) -> tuple[float | None, str]:
    return of.noise, NOTHING if of.noise is None else number(of.noise, _DECIMALS[of.unit])


def _first(classes: Iterable[ClassScore | None]) -> ClassScore | None:
    """Return the first class that has a reference."""
    return next((each for each in classes if each is not None and each.noise is not None), None)


def _model(score: TransferScore) -> str:
    return score.model if score.seed == 0 else f"{score.model}, seed {score.seed}"


def _score(score: TransferScore) -> str:
    if score.score is None:
        return NOTHING
    best = "" if score.best is None else f" of {number(score.best, 3)}"
    return f"{number(score.score, 3)}{best}"


def _forces_value(score: TransferScore) -> float | None:
    return score.forces.mae if score.forces else None


def _forces(score: TransferScore) -> str:
    if score.forces is None:
        return NOTHING
    part = number(100 * score.forces.mae / score.forces.size, 0)
    return f"{significant(score.forces.mae)} ({part} %)"


def _lasts(score: TransferScore) -> str:
    if score.problem:
        return "cannot run"
    length = f"{significant(score.length / 1000)} ps"
    if not score.failed:
        return length
    when = "while equilibrating"
    if score.first_failure:
        when = f"after {significant(score.first_failure / 1000)} ps"
    return f"{score.failed} of {score.replicas} fail, the first {when}"


def _drift(score: TransferScore) -> str:
    return NOTHING if score.drift is None else _estimate(score.drift)


def _heat(score: TransferScore) -> str:
    if score.temperature is None:
        return NOTHING
    return f"{number(score.temperature[0], 0)} ({between(score.temperature[1:], 0)})"


def _estimate(found: tuple[float, float, float]) -> str:
    value, low, high = found
    return f"{significant(value)} ({significant(low)} to {significant(high)})"


def _of(estimate: tuple[float, float, float] | None) -> float | None:
    return None if estimate is None else estimate[0]


def _failure(score: TransferScore) -> str:
    reasons = [score.problem] if score.problem else list(score.reasons)
    more = len(reasons) - _MOST_REASONS
    others = f"; and {more} more" if more > 0 else ""
    shown = "; ".join(reasons[:_MOST_REASONS])
    return f"{_model(score)}: {shown}{others}" if reasons else ""
