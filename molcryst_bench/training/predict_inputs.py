"""Predicting for files that a user names: a bad one costs only itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from molcryst_bench.base.errors import MolcrystError, SourceError
from molcryst_bench.sources.inputs import Frame, Input, find_inputs
from molcryst_bench.sources.record import BadRecordError
from molcryst_bench.training.predict import Predictor, split_by_structure

_CHUNK = 64  # structures


@dataclass(frozen=True)
class Prediction:
    """What is predicted for one structure, in the units of the model's card."""

    frame: Frame
    value: float
    deviation: float | None  # over the models of an ensemble
    forces: np.ndarray | None  # (atoms, 3) float64


@dataclass
class Predictions:
    """What is predicted for all structures, and how many of them were unlike the training set."""

    items: list[Prediction] = field(default_factory=list)
    outside: Counter[str] = field(default_factory=Counter)
    failures: int = 0


def predict_inputs(
    predictor: Predictor,
    words: Sequence[str],
    *,
    forces: bool = False,
    on_failure: Callable[[str], None] = lambda reason: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Predictions:
    """Predict for all structures in files, folders, patterns and SMILES strings.

    Args:
        predictor: a trained model or an ensemble.
        words: see ``molcryst_bench.sources.inputs.find_inputs``.
        forces: whether to predict forces, too.
        on_failure: told of each file or structure for which there is no prediction, and why.
        progress: told how many of how many files have been read.

    Raises:
        RunError: if forces are asked for and the model was not trained with them.
    """
    if forces:
        predictor.check_forces()
    found = Predictions()

    def fail(reason: str) -> None:
        found.failures += 1
        on_failure(reason)

    inputs = [each for word in words for each in _inputs(word, fail)]
    frames = _frames(inputs, fail, progress)
    while chunk := list(islice(frames, _CHUNK)):
        predicted = list(_predict(predictor, chunk, forces, fail))
        found.items += predicted
        found.outside += predictor.card.outside(each.frame.atoms for each in predicted)
    return found


def _inputs(word: str, fail: Callable[[str], None]) -> list[Input]:
    try:
        return find_inputs(word)
    except SourceError as error:
        fail(str(error))
        return []


def _frames(
    inputs: Sequence[Input], fail: Callable[[str], None], progress: Callable[[int, int], None]
) -> Iterator[Frame]:
    for done, each in enumerate(inputs):
        progress(done, len(inputs))
        try:
            yield from each.frames()
        except SourceError as error:
            fail(str(error))


def _predict(
    predictor: Predictor, frames: Sequence[Frame], forces: bool, fail: Callable[[str], None]
) -> Iterable[Prediction]:
    """Predict for some structures; if that fails, for each of them alone."""
    try:
        return _predict_at_once(predictor, frames, forces)
    except (BadRecordError, MolcrystError) as error:
        if len(frames) > 1:
            return [each for frame in frames for each in _predict(predictor, [frame], forces, fail)]
        fail(f"{frames[0].source}, structure {frames[0].number}: {error}")
        return []


def _predict_at_once(
    predictor: Predictor, frames: Sequence[Frame], forces: bool
) -> list[Prediction]:
    structures = [frame.atoms for frame in frames]
    found = predictor.of_members(structures, len(structures), forces)
    nothing = [None] * len(frames)
    ensemble = len(predictor.members) > 1
    columns = [
        frames,
        found.values.mean(0).tolist(),
        found.values.std(0).tolist() if ensemble else nothing,
        split_by_structure(found.forces.mean(0).numpy(), structures) if forces else nothing,
    ]
    return [Prediction(*row) for row in zip(*columns, strict=True)]
