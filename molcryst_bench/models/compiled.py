"""Energies and forces as one compiled function: in small systems calls of operators take the time.

The derivative by the positions is taken within the function, so that a compiler fuses what energy
and derivative have in common.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch._dynamo.exc import TorchDynamoException

from molcryst_bench.models.forces import EnergyForces, energy_and_forces
from molcryst_bench.models.interface import GradientModel

# Together they take off a third of a step of one ethanol with the published TorchMD-NET.
_OPTIONS = {
    "cpp_wrapper": True,  # kernels are called from C++
    "realize_opcount_threshold": 8,  # what is of an edge is not computed for each feature again
    # Nobody looks at each step whether layers are still the same.
    "guard_filter_fn": torch.compiler.skip_guard_on_all_nn_modules_unsafe,
}


@dataclass(frozen=True)
class PlainBatch:
    """What models read of a batch of graphs, in a class that a compiler sees through."""

    z: Tensor
    pos: Tensor
    edge_index: Tensor
    batch: Tensor | None
    cell: Tensor | None
    edge_shift: Tensor | None
    symmetric: bool
    num_graphs: int

    @classmethod
    def of(cls, batch: Any) -> PlainBatch:
        """Take what models read from a batch, or from a single graph."""
        return cls(
            z=batch.z,
            pos=batch.pos,
            edge_index=batch.edge_index,
            batch=batch.batch,
            cell=getattr(batch, "cell", None),
            edge_shift=getattr(batch, "edge_shift", None),
            symmetric=bool(getattr(batch, "symmetric", False)),
            num_graphs=1 if batch.batch is None else batch.num_graphs,
        )


class CompiledEnergyAndForces:
    """``energy_and_forces`` of one model for inference, compiled at its first call, in minutes.

    Batches may be of any size and weights may take other values, but layers must stay as they are.
    Molecules and crystals, one graph and several are compiled each when they first come. The first
    result is compared with that of the model as it is. Where they differ, where there is no C++
    compiler, or where the model does what cannot be compiled, a warning says so, and the model
    works as it is.

    Derivatives of forces, to train on them, are not compiled: with torch 2.13 those by the weights
    of TorchMD-NET come out wrong by some per cent, without an error.

    Args:
        model: its first target is the energy.
    """

    def __init__(self, model: GradientModel) -> None:
        self.model = model
        self.fails = False
        self._checked = False
        self._compiled = torch.compile(  # type: ignore[call-overload]
            self._derive,
            fullgraph=True,
            dynamic=True,
            isolate_recompiles=True,
            options=dict(_OPTIONS),  # torch takes out some
        )

    def __call__(self, batch: Any) -> EnergyForces:
        """Return the energy of each graph and minus its derivative by the positions.

        Args:
            batch: of graphs; it is not changed.
        """
        if self.fails:
            return energy_and_forces(self.model, batch)
        try:
            with torch.no_grad():
                result: EnergyForces = self._compiled(PlainBatch.of(batch))
        except TorchDynamoException as error:
            return self._give_up(batch, str(error).strip().partition("\n")[0])
        if not self._checked and not _agree(result, energy_and_forces(self.model, batch)):
            return self._give_up(batch, "the compiled model gives other numbers.")
        self._checked = True
        return result

    def _derive(self, batch: PlainBatch) -> EnergyForces:
        def total(position: Tensor) -> tuple[Tensor, Tensor]:
            energy = self.model(replace(batch, pos=position)).prediction[:, 0]  # (graphs,)
            return energy.sum(), energy

        gradient, energy = torch.func.grad(total, has_aux=True)(batch.pos.detach())
        return EnergyForces(energy, -gradient)

    def _give_up(self, batch: Any, reason: str) -> EnergyForces:
        self.fails = True
        warnings.warn(
            f"{type(self.model).__name__} cannot be compiled and works as it is, slower on small "
            f"systems: {reason} If a C++ compiler is missing, install one, such as g++.",
            stacklevel=3,
        )
        return energy_and_forces(self.model, batch)


def _agree(found: EnergyForces, wanted: EnergyForces) -> bool:
    """Return whether two results are the same but for rounding."""
    tolerance = torch.finfo(wanted.energy.dtype).eps ** 0.5
    pairs = zip(found, wanted, strict=True)
    return all(bool((a - b).norm() <= tolerance * b.norm()) for a, b in pairs)
