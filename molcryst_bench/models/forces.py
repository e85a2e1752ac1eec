"""Energies with their exact derivatives: forces on atoms, stress on cells."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from molcryst_bench.models.components.wanted import by_positions_alone
from molcryst_bench.models.interface import Model


class EnergyForces(NamedTuple):
    """Energies and forces in the units that the model was trained in."""

    energy: Tensor  # (graphs,)
    forces: Tensor  # (nodes, 3) per Å


class EnergyForcesStress(NamedTuple):
    """The same, with the stress of each cell."""

    energy: Tensor  # (graphs,)
    forces: Tensor  # (nodes, 3) per Å
    stress: Tensor  # (graphs, 3, 3) per Å^3, symmetric; positive under tension


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
        (gradient,) = _derivatives(energy, [position], create_graph)
    return EnergyForces(energy if create_graph else energy.detach(), -gradient)


def energy_forces_stress(
    model: Model, batch: Any, create_graph: bool = False
) -> EnergyForcesStress:
    r"""Return energies, forces and the stress of periodic graphs.

    The stress is :math:`\sigma = V^{-1}\,\partial E / \partial \epsilon` at zero strain, where the
    symmetric strain :math:`\epsilon` maps positions and cell vectors by :math:`1 + \epsilon`
    (Knuth et al., Comput. Phys. Commun. 190, 33 (2015), doi 10.1016/j.cpc.2015.01.003).

    Args:
        model: its first target is the energy.
        batch: of periodic graphs; it is not changed.
        create_graph: keep the graph of the derivatives, to train on them.
    """
    position = batch.pos.detach().requires_grad_()
    cell = batch.cell.detach().reshape(-1, 3, 3)  # (graphs, 3, 3)
    strain = torch.zeros_like(cell).requires_grad_()  # (graphs, 3, 3)
    strained = batch.clone()
    with torch.enable_grad():
        deformation = 0.5 * (strain + strain.mT)
        of_node = deformation[batch.batch] if batch.batch is not None else deformation[0]
        strained.pos = position + (position[:, None] @ of_node).squeeze(1)
        strained.cell = cell + cell @ deformation
        energy = model(strained).prediction[:, 0]  # (graphs,)
        by_position, by_strain = _derivatives(energy, [position, strain], create_graph)
    stress = by_strain / torch.linalg.det(cell).abs()[:, None, None]
    kept = energy if create_graph else energy.detach()
    return EnergyForcesStress(kept, -by_position, stress)


def _derivatives(energy: Tensor, inputs: list[Tensor], create_graph: bool) -> tuple[Tensor, ...]:
    """Differentiate the total energy; what it does not depend on has the derivative zero."""
    if not energy.requires_grad:  # a baseline that knows the composition alone
        return tuple(map(torch.zeros_like, inputs))
    with by_positions_alone():
        return torch.autograd.grad(
            energy.sum(), inputs, create_graph=create_graph, materialize_grads=True
        )
