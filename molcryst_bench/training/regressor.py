"""A model with the scaler that turns its outputs into a physical quantity."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from molcryst_bench.models.forces import EnergyForces, energy_and_forces
from molcryst_bench.models.interface import Model
from molcryst_bench.training.process import without_denormals
from molcryst_bench.training.scaler import Scaler


class Predicted(NamedTuple):
    """Predictions for all graphs of all batches, on the CPU, in float64."""

    values: Tensor  # (graphs,)
    forces: Tensor  # (nodes, 3); (0, 3) where none were asked for


class Regressor(nn.Module):
    """Predicts the first target of a model in its unit."""

    def __init__(self, model: Model, scaler: Scaler | None = None) -> None:
        super().__init__()
        self.model = model
        self.scaler = scaler or Scaler()

    def forward(self, batch: Any) -> Tensor:
        """Return predictions (graphs,) in the target's unit, in float64."""
        return self.scaler.restore(self.model(batch).prediction[:, 0], batch)

    def energy_and_forces(self, batch: Any) -> EnergyForces:
        """Return energies (graphs,) and forces (nodes, 3) in the unit of the energy, per Å."""
        energy, forces = energy_and_forces(self.model, batch)
        return EnergyForces(self.scaler.restore(energy, batch), forces.double() * self.scaler.scale)


@without_denormals()
def predict_all(
    regressor: Regressor, batches: Iterable[Any], device: torch.device, forces: bool = False
) -> Predicted:
    """Predict all graphs of all batches, with forces where they are asked for."""
    regressor.eval().to(device)
    values, gradients = [torch.empty(0).double()], [torch.empty(0, 3).double()]
    with frozen(regressor):
        for batch in batches:
            energy, force = _predict(regressor, batch.to(device), forces)
            values.append(energy.cpu())
            gradients.append(force.cpu())
    return Predicted(torch.cat(values), torch.cat(gradients))


def _predict(regressor: Regressor, batch: Any, forces: bool) -> EnergyForces:
    if forces:
        return regressor.energy_and_forces(batch)
    with torch.inference_mode():
        return EnergyForces(regressor(batch), torch.empty(0, 3).double())


@contextmanager
def frozen(regressor: nn.Module) -> Iterator[None]:
    """Spare the gradients of the weights, which forces do not need."""
    free = [weights for weights in regressor.parameters() if weights.requires_grad]
    for weights in free:
        weights.requires_grad_(False)
    try:
        yield
    finally:
        for weights in free:
            weights.requires_grad_(True)
