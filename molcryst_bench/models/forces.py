"""Energies with their exact forces."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from molcryst_bench.models.interface import Model


class EnergyForces(NamedTuple):
    """Energies and forces in the units that the model was trained in."""

    energy: Tensor  # (graphs,)
    forces: Tensor  # (nodes, 3) per Å


def energy_and_forces(model: Model, batch: Any, create_graph: bool = False) -> EnergyForces:
    """Return the energy of each graph and minus its derivative by the positions.

    Args:
        model: its first target is the energy.
        batch: of graphs; its ``pos`` is not changed.
        create_graph: keep the graph of the derivative, to train on forces.
    """
    position = batch.pos.detach().requires_grad_()
    moved = batch.clone()
    moved.pos = position
    with torch.enable_grad():
        energy = model(moved).prediction[:, 0]  # (graphs,)
        total = energy.sum()
        (gradient,) = torch.autograd.grad(
            total, position, create_graph=create_graph, materialize_grads=True
        )
    return EnergyForces(energy if create_graph else energy.detach(), -gradient)
