"""Explanations of single predictions, in the unit of the task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from ase import Atoms

from molcryst_bench.graphs.single import build_batch
from molcryst_bench.interpret.attributions import MOST_STEPS, attribute
from molcryst_bench.training.predict import Predictor, load_predictor, split_by_structure
from molcryst_bench.training.process import without_denormals
from molcryst_bench.training.regressor import Regressor, frozen

if TYPE_CHECKING:
    from torch_geometric.data import Batch

_BATCH = 16


@dataclass(frozen=True)
class Explanation:
    """How much each atom of a structure has to do with what is predicted for it."""

    atoms: Atoms
    values: np.ndarray  # (atoms,) in the unit of the prediction
    prediction: float
    quantity: str  # such as "homo"
    unit: str
    method: str

    def draw(self, *paths: str | Path) -> None:
        """Draw the structure with its values, in the format of each suffix: svg, pdf or png."""
        from molcryst_bench.interpret.draw import draw_explanation

        draw_explanation(self, [Path(path) for path in paths])


def explain(
    predictor: Predictor | str | Path,
    structures: Sequence[Atoms],
    method: str = "integrated",
    *,
    layer: str | None = None,
    most_steps: int = MOST_STEPS,
) -> list[Explanation]:
    """Explain what a trained model predicts for structures.

    An ensemble gives the mean of what its models say.

    Args:
        predictor: a trained model, or the folder of one.
        structures: molecules or crystals, positions in Å.
        method: ``integrated``, ``grad_cam``, ``saliency`` or ``cam``; see
            ``molcryst_bench.interpret.attributions``.
        layer: for ``grad_cam``; the last by default.
        most_steps: of the integral of ``integrated``, which is left as it is there.

    Raises:
        BadRecordError: if a structure cannot be right.
        RunError: if the model does not allow the method.
        SettingsError: for an unknown method or layer.
    """
    model = predictor if isinstance(predictor, Predictor) else load_predictor(predictor)
    predicted = model.of_members(structures).values.mean(0).tolist()
    members = [
        values_of(each, model, structures, method, layer, most_steps=most_steps)
        for each in model.members
    ]
    values = split_by_structure(np.mean(members, 0), structures)
    card = model.card
    return [
        Explanation(atoms, value, number, card.quantity, card.unit, method)
        for atoms, value, number in zip(structures, values, predicted, strict=True)
    ]


def values_of(
    regressor: Regressor,
    predictor: Predictor,
    structures: Sequence[Atoms],
    method: str,
    layer: str | None = None,
    steps: int | None = None,
    most_steps: int = MOST_STEPS,
) -> np.ndarray:
    """Return what one model of a predictor says about all atoms, (atoms of all structures,)."""
    parts = []
    for start in range(0, len(structures), _BATCH):
        batch = graphs_of(predictor, structures[start : start + _BATCH])
        parts.append(scaled_values(regressor, batch, method, layer, steps, most_steps))
    return np.concatenate(parts)


@without_denormals()
def scaled_values(
    regressor: Regressor,
    batch: Batch,
    method: str,
    layer: str | None = None,
    steps: int | None = None,
    most_steps: int = MOST_STEPS,
) -> np.ndarray:
    """Return the values of the atoms of a batch in the unit of the target, (nodes,)."""
    with frozen(regressor):
        how = {"layer": layer, "steps": steps, "most_steps": most_steps}
        found = attribute(regressor.model, batch, method, **how)  # type: ignore[arg-type]
    return (found.double() * regressor.scaler.scale).cpu().numpy()


def graphs_of(predictor: Predictor, structures: Sequence[Atoms]) -> Batch:
    """Return structures as the model sees them, where it computes."""
    device = next(iter(predictor.members[0].parameters()), torch.empty(0)).device
    return build_batch(structures, predictor.card.graph).to(device)
