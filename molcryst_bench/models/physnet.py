"""PhysNet (Unke and Meuwly 2019)."""

from __future__ import annotations

import math
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from molcryst_bench.base.settings import Settings
from molcryst_bench.models.components.activations import shifted_softplus
from molcryst_bench.models.components.composition import ELEMENTS
from molcryst_bench.models.components.linear import Linear
from molcryst_bench.models.components.neighbors import Neighbors
from molcryst_bench.models.components.pooling import Readout, pool
from molcryst_bench.models.components.radial import ExponentialBasis, polynomial_cutoff
from molcryst_bench.models.components.residual import orthogonal_linear, residual_stack
from molcryst_bench.models.interface import GradientModel, Output, Purpose


class PhysNetHyperparameters(Settings):
    """Defaults are the published ones."""

    width: int = Field(default=128, gt=0, description="features of an atom")
    radial_functions: int = Field(default=64, gt=1, description="Gaussians of exp(-distance)")
    modules: int = Field(default=5, gt=0, description="each adds its part to the prediction")
    interaction_residuals: int = Field(
        default=3, ge=0, description="residual blocks on the message in each module"
    )
    atomic_residuals: int = Field(
        default=2, ge=0, description="residual blocks on the atoms in each module"
    )
    output_residuals: int = Field(
        default=1, ge=0, description="residual blocks before the output of each module"
    )
    cutoff: float = Field(default=10.0, gt=0, description="radius of the interactions in Å")
    readout: Readout = Field(default="sum", description="how atoms add up to a graph")
    targets: int = Field(default=1, gt=0, description="predicted values per graph")


class PhysNet(GradientModel):
    r"""PhysNet: modules of attention on distances, each with an output of its own.

    An atom starts as an embedding of its element, :math:`x_i = e_{z_i}`. Each module first lets
    atoms interact,

    .. math:: v_i = \sigma(W_I\,\sigma(x_i) + b_I)
        + \sum_j G\,g(d_{ij}) \circ \sigma(W_J\,\sigma(x_j) + b_J)

    .. math:: x_i \leftarrow u \circ x_i + W\,\sigma(R(v_i)) + b,

    then refines them by residual blocks. :math:`g` are Gaussians of :math:`e^{-d}` times a smooth
    cut-off, :math:`G` an attention mask without bias, :math:`u` a gate, :math:`R` residual blocks
    :math:`x + W_2\,\sigma(W_1\,\sigma(x) + b_1) + b_2`, and :math:`\sigma` the shifted softplus.
    Module :math:`m` says :math:`y_i^m = W_m\,\sigma(R_m(x_i))`; an atom contributes
    :math:`s_{z_i} \sum_m y_i^m + t_{z_i}` with a trained scale and shift for each element, and
    contributions are summed or averaged. All of :math:`G` and :math:`W_m` begin at zero.

    What the paper has and this model has not: long-range electrostatics and dispersion, whose
    charges need dipole labels, and the penalty on modules that do not decay, which is a term of
    the loss.

    Reference: O. T. Unke, M. Meuwly, PhysNet: a neural network for predicting energies, forces,
    dipole moments, and partial charges, J. Chem. Theory Comput. 15, 3678 (2019),
    doi 10.1021/acs.jctc.9b00181.
    """

    Hyperparameters = PhysNetHyperparameters

    def __init__(self, hyperparameters: PhysNetHyperparameters) -> None:
        super().__init__(hyperparameters)
        width, count = hyperparameters.width, hyperparameters.modules
        self.cutoff = hyperparameters.cutoff
        self.readout = hyperparameters.readout
        self.embedding = nn.Embedding(ELEMENTS, width)
        nn.init.uniform_(self.embedding.weight, -math.sqrt(3), math.sqrt(3))
        self.basis = ExponentialBasis(hyperparameters.radial_functions, self.cutoff)
        self.blocks = nn.ModuleList(Module(hyperparameters) for _ in range(count))
        self.head = nn.Linear(count * width, hyperparameters.targets, bias=False)
        nn.init.zeros_(self.head.weight)
        self.scale = nn.Parameter(torch.ones(ELEMENTS, hyperparameters.targets))
        self.shift = nn.Parameter(torch.zeros(ELEMENTS, hyperparameters.targets))

    def forward(self, batch: Any) -> Output:
        """Predict the targets of every graph."""
        neighbors = Neighbors.of(batch)
        envelope = polynomial_cutoff(neighbors.distance, self.cutoff)  # (edges,)
        radial = self.basis(neighbors.distance) * envelope[:, None]  # (edges, radial functions)
        x = self.embedding(batch.z)  # (nodes, width)
        outputs = []
        for block in self.blocks:
            x, output = block(x, neighbors, radial)
            outputs.append(output)
        # One product with all outputs side by side is the sum over the modules.
        features = torch.cat(outputs, dim=1)  # (nodes, modules * width)
        atoms = self.scale[batch.z] * self.head(features) + self.shift[batch.z]
        prediction = pool(atoms, batch, self.readout)
        return Output(prediction, features, pool(features, batch, self.readout))

    @classmethod
    def hyperparameters_for(cls, purpose: Purpose) -> dict[str, Any]:
        """Sum extensive targets, average others; atoms see as far as the neighbour list."""
        return {"readout": "sum" if purpose.extensive else "mean", "cutoff": purpose.cutoff}

    @classmethod
    def training_for(cls, purpose: Purpose) -> dict[str, Any]:
        """Train as the paper and its code do; weights of forces are those for eV and eV/Å.

        Its AMSGrad becomes Adam. Its rate falls tenfold in 10 million steps and it ends when
        validation does: 1,000 epochs of QM9 are a third of those, and a cosine is the nearest.
        """
        weights = {"energy_weight": 1.0, "forces_weight": 52.9177} if purpose.forces else {}
        return {
            "epochs": 1000,
            "batch_size": 32,
            "optimizer": "torch_adam",
            "learning_rate": 1e-3,
            "schedule": "cosine",
            "warmup": 0.0,
            "gradient_clip": 1000.0,
            "loss": "l1",
            "average": 0.999,
            **weights,
        }


class Module(nn.Module):
    """An interaction, the refinement of the atoms, and what goes to the output."""

    def __init__(self, hyperparameters: PhysNetHyperparameters) -> None:
        super().__init__()
        width = hyperparameters.width
        self.interaction = Interaction(hyperparameters)
        self.atomic = residual_stack(hyperparameters.atomic_residuals, width)
        self.output = residual_stack(hyperparameters.output_residuals, width)

    def forward(self, x: Tensor, neighbors: Neighbors, radial: Tensor) -> tuple[Tensor, Tensor]:
        """Return the atoms' features and those of the output, both (nodes, width)."""
        x = self.atomic(self.interaction(x, neighbors, radial))
        return x, shifted_softplus(self.output(x))


class Interaction(nn.Module):
    """Atoms receive messages from their neighbours through the attention mask."""

    def __init__(self, hyperparameters: PhysNetHyperparameters) -> None:
        super().__init__()
        width = hyperparameters.width
        self.attention = Linear(hyperparameters.radial_functions, width, bias=False)
        nn.init.zeros_(self.attention.weight)
        self.central = orthogonal_linear(width)
        self.neighbor = orthogonal_linear(width)
        self.residuals = residual_stack(hyperparameters.interaction_residuals, width)
        self.out = orthogonal_linear(width)
        self.gate = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor, neighbors: Neighbors, radial: Tensor) -> Tensor:
        """Return the new features (nodes, width) of the atoms."""
        active = shifted_softplus(x)
        message = shifted_softplus(self.central(active))
        senders = shifted_softplus(self.neighbor(active))
        message = message + neighbors.convolve(senders, self.attention(radial))
        update: Tensor = self.out(shifted_softplus(self.residuals(message)))
        return self.gate * x + update
