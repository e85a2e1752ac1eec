"""What references that loop over atoms share: neighbours from ASE, weights by name, comparison."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from ase import Atoms
from ase.neighborlist import neighbor_list
from batches import CUTOFF, batch_of
from torch import Tensor

from molcryst_bench.models.forces import energy_and_forces
from molcryst_bench.models.interface import Model
from molcryst_bench.models.registry import create_model

Neighbours = list[list[tuple[int, Tensor]]]
Reference = Callable[["Weights", Tensor, Neighbours], Tensor]


def random_model(name: str, **hyperparameters: Any) -> Model:
    """A model in float64 whose weights depend on nothing but their order and shapes."""
    model = create_model(name, **{"cutoff": CUTOFF, **hyperparameters}).double()
    generator = torch.Generator().manual_seed(7)
    for weights in model.parameters():
        weights.data = torch.randn(weights.shape, generator=generator, dtype=torch.float64) * 0.3
    return model


class Weights:
    """The weights of a model by name, and of its parts by prefix."""

    def __init__(self, values: dict[str, Tensor], prefix: str = "") -> None:
        self.values = values
        self.prefix = prefix

    @classmethod
    def of(cls, model: torch.nn.Module) -> Weights:
        return cls({name: value.detach() for name, value in model.state_dict().items()})

    def part(self, name: str) -> Weights:
        return Weights(self.values, f"{self.prefix}{name}.")

    def parts(self, name: str) -> list[Weights]:
        """The parts ``name.0``, ``name.1``, ... as many as there are."""
        start = f"{self.prefix}{name}."
        numbers = {int(key[len(start) :].split(".")[0]) for key in self.values if start in key}
        return [self.part(f"{name}.{number}") for number in sorted(numbers)]

    def __getitem__(self, name: str) -> Tensor:
        return self.values[self.prefix + name]

    def apply(self, name: str, x: Tensor) -> Tensor:
        """A linear layer on one vector."""
        y = self[f"{name}.weight"] @ x
        bias = self.values.get(f"{self.prefix}{name}.bias")
        return y if bias is None else y + bias


def neighbours_of(atoms: Atoms, positions: Tensor) -> Neighbours:
    """For each atom its neighbours with their distances, differentiable in the positions."""
    neighbours: Neighbours = [[] for _ in range(len(atoms))]
    for i, j, shift in zip(*neighbor_list("ijS", atoms, CUTOFF), strict=True):
        vector = positions[j] + torch.from_numpy(shift @ atoms.cell.array) - positions[i]
        neighbours[i].append((int(j), vector.square().sum().sqrt()))
    return neighbours


def assert_equals_loop(model: Model, reference: Reference, structures: Sequence[Atoms]) -> None:
    """Compare energies and forces of a batch with those of a loop over one structure at a time."""
    ours = energy_and_forces(model, batch_of(structures))
    energies, forces = [], []
    for atoms in structures:
        positions = torch.from_numpy(atoms.positions.copy()).requires_grad_()
        elements = torch.from_numpy(atoms.numbers)
        energy = reference(Weights.of(model), elements, neighbours_of(atoms, positions))
        energies.append(energy.detach())
        forces.append(-torch.autograd.grad(energy, positions)[0])
    assert torch.stack(energies).std() > 0.1
    torch.testing.assert_close(ours.energy, torch.stack(energies), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(ours.forces, torch.cat(forces), rtol=1e-10, atol=1e-10)
