"""Predicting with a trained model."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.data import chemical_symbols

from molcryst_bench.graphs.single import build_batch
from molcryst_bench.training.checkpoint import ModelCard, load_model
from molcryst_bench.training.regressor import Regressor, predict_all


class Predictor:
    """A trained model that takes structures and gives numbers in the unit of its task."""

    def __init__(
        self, regressor: Regressor, card: ModelCard, device: str | torch.device = "cpu"
    ) -> None:
        self.regressor = regressor
        self.card = card
        self.device = torch.device(device)

    @property
    def unit(self) -> str:
        """The unit of the predictions."""
        return self.card.unit

    def __call__(self, structures: Sequence[Atoms], batch_size: int = 64) -> np.ndarray:
        """Predict the target of each structure.

        Args:
            structures: molecules or crystals, positions in Å.
            batch_size: structures in memory at once.

        Returns:
            (structures,) float64 in ``unit``.
        """
        self._warn_of_unknown_elements(structures)
        batches = self._batches(structures, batch_size)
        return predict_all(self.regressor, batches, self.device).values.numpy()

    def _batches(self, structures: Sequence[Atoms], size: int) -> Iterator[Any]:
        for start in range(0, len(structures), size):
            yield build_batch(structures[start : start + size], self.card.graph)

    def _warn_of_unknown_elements(self, structures: Sequence[Atoms]) -> None:
        known = set(self.card.elements)
        found = {int(number) for atoms in structures for number in np.unique(atoms.numbers)}
        if unknown := sorted(found - known):
            names = ", ".join(chemical_symbols[number] for number in unknown)
            message = f"not in the training set of this {self.card.model}: {names}; do not trust it"
            warnings.warn(message, stacklevel=3)


def load_predictor(folder: str | Path, device: str = "cpu") -> Predictor:
    """Load the model of a benchmark cell.

    Args:
        folder: with ``model.safetensors`` and ``model.json``.
        device: where to compute, such as ``cuda``.
    """
    return Predictor(*load_model(Path(folder)), device)
