"""Predicting with a trained model, or with several that differ in their seed."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from ase import Atoms

from molcryst_bench.base.errors import RunError
from molcryst_bench.graphs.single import build_batch
from molcryst_bench.sources.record import BadRecordError
from molcryst_bench.training.checkpoint import CARD, ModelCard, load_model
from molcryst_bench.training.domain import outside_in_words
from molcryst_bench.training.regressor import Predicted, Regressor, predict_all
from molcryst_bench.training.uncertainty import Calibration, load_calibration

if TYPE_CHECKING:
    from molcryst_bench.training.calculator import LearnedCalculator
    from molcryst_bench.training.force_field import LearnedForceField, Precision

_BATCH = 64
_SHARED = ("task", "model", "unit", "graph", "split", "store_digest", "split_digest")


class Ensembled(NamedTuple):
    """What an ensemble says, in the unit of its task."""

    mean: np.ndarray  # (structures,) float64
    deviation: np.ndarray  # (structures,) sample standard deviation over the models


class EnergiesForces(NamedTuple):
    """Energies and forces in the units of the task."""

    energies: np.ndarray  # (structures,) float64
    forces: list[np.ndarray]  # for each structure (atoms, 3) float64


class Predictor:
    """A trained model that takes structures and gives numbers in the unit of its task.

    It may be an ensemble of models that differ in their seed; then it gives their mean.
    """

    def __init__(
        self,
        members: Sequence[Regressor],
        card: ModelCard,
        calibration: Calibration | None = None,
        device: str | torch.device = "cpu",
    ) -> None:
        self.members = tuple(members)
        self.card = card  # of the first member
        self.calibration = calibration  # of the mean of all members
        self.device = torch.device(device)

    @property
    def regressor(self) -> Regressor:
        """The trained model.

        Raises:
            RunError: for an ensemble, which has several.
        """
        if len(self.members) > 1:
            raise RunError("an ensemble has no model of its own: load the folder of one seed")
        return self.members[0]

    @property
    def unit(self) -> str:
        """The unit of the predictions."""
        return self.card.unit

    def __call__(self, structures: Sequence[Atoms], batch_size: int = _BATCH) -> np.ndarray:
        """Predict the target of each structure.

        Args:
            structures: molecules or crystals, positions in Å.
            batch_size: structures in memory at once.

        Returns:
            (structures,) float64 in ``unit``.

        Raises:
            BadRecordError: if a structure cannot be right.
        """
        self._warn_of_strangers(structures)
        mean: np.ndarray = self._values(structures, batch_size).mean(0)
        return mean

    def predict_with_deviation(
        self, structures: Sequence[Atoms], batch_size: int = _BATCH
    ) -> Ensembled:
        """Predict with an ensemble, and say how much its models differ.

        The deviation shows where seeds lead to different models, mostly far from the training set.
        It is not the size of the error; ``interval`` is about that.

        Raises:
            BadRecordError: if a structure cannot be right.
            RunError: if this is one model alone.
        """
        if len(self.members) == 1:
            message = "one model alone has no deviation: load the folder that holds several seeds"
            raise RunError(message)
        self._warn_of_strangers(structures)
        values = self._values(structures, batch_size)
        return Ensembled(values.mean(0), values.std(0, ddof=1))

    def interval(
        self, structures: Sequence[Atoms], coverage: float = 0.9, batch_size: int = _BATCH
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return lower and upper bounds, both (structures,) in ``unit``.

        They hold the truth with a probability of ``coverage`` for structures like those of the
        validation subset; see ``molcryst_bench.training.uncertainty``.

        Raises:
            BadRecordError: if a structure cannot be right.
            RunError: if the model was made without the errors of its validation subset, or with too
                few of them.
            SettingsError: if the coverage is not between 0 and 1.
        """
        half = self.half_width(coverage)
        values = self(structures, batch_size)
        return values - half, values + half

    def half_width(self, coverage: float = 0.9) -> float:
        """Return half the width of the intervals, in ``unit``; it raises what they raise."""
        if self.calibration is None:
            problem = f"no validation errors are kept with this {self.card.model}"
            raise RunError(f"{problem}, so it has no intervals: train it again")
        return self.calibration.half_width(coverage)

    def check_forces(self) -> None:
        """Raise a ``RunError`` if the model was not trained with forces."""
        if self.card.forces_unit is None:
            problem = f"this {self.card.model} for {self.card.task} was not trained with forces"
            raise RunError(f"{problem}: choose a task that has them, such as rmd17/ethanol")

    def energies_and_forces(
        self, structures: Sequence[Atoms], batch_size: int = _BATCH
    ) -> EnergiesForces:
        """Predict energies in ``unit`` and forces in ``card.forces_unit``.

        Raises:
            BadRecordError: if a structure cannot be right.
            RunError: if the model was not trained with forces.
        """
        self._warn_of_strangers(structures)
        found = self.of_members(structures, batch_size, forces=True)
        forces = split_by_structure(found.forces.mean(0).numpy(), structures)
        return EnergiesForces(found.values.mean(0).numpy(), forces)

    def of_members(
        self, structures: Sequence[Atoms], batch_size: int = _BATCH, forces: bool = False
    ) -> Predicted:
        """Return what each member predicts, without warnings.

        Values are (members, structures); forces (members, atoms of all structures, 3), if asked
        for.

        Raises:
            BadRecordError: if a structure cannot be right.
            RunError: if forces are asked for and the model was not trained with them.
        """
        if forces:
            self.check_forces()
        count = len(self.members)
        parts = [Predicted(torch.empty(count, 0).double(), torch.empty(count, 0, 3).double())]
        for start in range(0, len(structures), batch_size):
            batch = self._batch(structures[start : start + batch_size])
            found = [predict_all(member, [batch], self.device, forces) for member in self.members]
            parts.append(Predicted(*map(torch.stack, zip(*found, strict=True))))
        values, gradients = zip(*parts, strict=True)
        return Predicted(torch.cat(values, 1), torch.cat(gradients, 1))

    def force_field(self, **options: Any) -> LearnedForceField:
        """Return the model as a force field for many replicas; options as ``calculator`` has them.

        Raises:
            RunError: if the model was not trained with forces.
        """
        from molcryst_bench.training.force_field import LearnedForceField

        return LearnedForceField(self, **options)

    def calculator(
        self,
        precision: Precision = "float32",
        device: str | torch.device | None = None,
        compile: bool = False,
        skin: float = 1.0,
    ) -> LearnedCalculator:
        """Return a calculator for ASE, in eV and Å whatever the unit of the task.

        Args:
            precision: of the model, ``float32`` or ``float64``.
            device: where to compute; where the predictor does by default.
            compile: whether to compile the model at its first call, in a minute or two, which
                about halves the time that small molecules take.
            skin: in Å, by which neighbour lists reach beyond the cut-off, so that they serve for
                some steps; it does not change results.

        Raises:
            RunError: if the model was not trained with forces.
        """
        from molcryst_bench.training.calculator import LearnedCalculator

        options = {"precision": precision, "device": device, "compile": compile, "skin": skin}
        return LearnedCalculator(self.force_field(**options))

    def _batch(self, structures: Sequence[Atoms]) -> Any:
        """Return the graphs, with what ``atoms.info`` knows of what the model wants to be told."""
        batch = build_batch(structures, self.card.graph)
        if names := [name for name, _ in self.card.features]:
            rows = [[told(each, name) for name in names] for each in structures]
            batch.features = torch.tensor(rows, dtype=torch.float64)  # (structures, features)
        return batch

    def _values(self, structures: Sequence[Atoms], batch_size: int) -> np.ndarray:
        """Return the prediction of each member, (members, structures)."""
        return self.of_members(structures, batch_size).values.numpy()

    def _warn_of_strangers(self, structures: Sequence[Atoms]) -> None:
        for sentence in outside_in_words(self.card.outside(structures), len(structures)):
            warnings.warn(sentence, stacklevel=3)


def told(atoms: Atoms, name: str) -> float:
    """Return a number that is known of a structure; NaN where it is not told.

    Raises:
        BadRecordError: if it is no number.
    """
    value = atoms.info.get(name, math.nan)
    try:
        return float(value)
    except (TypeError, ValueError):
        raise BadRecordError(f"atoms.info['{name}'] is {value!r}, not a number") from None


def split_by_structure(rows: np.ndarray, structures: Sequence[Atoms]) -> list[np.ndarray]:
    """Return the rows (atoms of all structures, ...) of each structure."""
    ends = np.cumsum([len(atoms) for atoms in structures])
    return np.split(rows, ends)[:-1]


def load_predictor(folder: str | Path, device: str = "cpu") -> Predictor:
    """Load a trained model, or all seeds of one as an ensemble.

    Args:
        folder: of a benchmark cell, with ``model.safetensors`` and ``model.json``; or one that
            holds such folders, one for each seed.
        device: where to compute, such as ``cuda``.

    Raises:
        RunError: if there is no model, a file is damaged, or the seeds are not of one model on one
            task.
    """
    path = Path(folder)
    seeds = [] if (path / CARD).exists() else sorted(path.glob(f"[!.]*/{CARD}"))
    folders = [seed.parent for seed in seeds] or [path]
    members, cards = zip(*map(load_model, folders), strict=True)
    _check_alike(cards, folders)
    calibrations = [found for each in folders if (found := load_calibration(each))]
    whole = len(calibrations) == len(folders)
    return Predictor(
        members, cards[0], Calibration.of_mean(calibrations) if whole else None, device
    )


def _check_alike(cards: Sequence[ModelCard], folders: Sequence[Path]) -> None:
    for card, folder in zip(cards, folders, strict=True):
        differing = [name for name in _SHARED if getattr(card, name) != getattr(cards[0], name)]
        if differing:
            message = f"{folders[0]} and {folder} differ in {', '.join(differing)}"
            raise RunError(f"{message}: an ensemble is one model on one task with several seeds")
