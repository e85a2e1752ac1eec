"""SchNet (Schütt et al. 2018)."""

from __future__ import annotations

from typing import Any

from pydantic import Field
from torch import Tensor, nn

from molcryst_bench.base.settings import Settings
from molcryst_bench.models.components.activations import shifted_softplus
from molcryst_bench.models.components.composition import ELEMENTS
from molcryst_bench.models.components.filters import filtered_sum
from molcryst_bench.models.components.linear import Linear
from molcryst_bench.models.components.neighbors import Neighbors
from molcryst_bench.models.components.pooling import Readout, pool
from molcryst_bench.models.components.radial import GaussianBasis, cosine_cutoff
from molcryst_bench.models.interface import GradientModel, Output, Purpose


class SchNetHyperparameters(Settings):
    """Defaults are the published ones for QM9."""

    width: int = Field(default=128, gt=0, description="features of an atom and of a filter")
    interactions: int = Field(default=6, ge=0, description="number of interaction blocks")
    gaussians: int = Field(default=50, gt=1, description="radial functions between 0 and cutoff")
    cutoff: float = Field(default=5.0, gt=0, description="radius of the filters in Å")
    readout: Readout = Field(default="sum", description="how atoms add up to a graph")
    targets: int = Field(default=1, gt=0, description="predicted values per graph")


class SchNet(GradientModel):
    r"""SchNet: continuous-filter convolutions on distances.

    An atom starts as an embedding of its element, :math:`x_i = E_{z_i}`. Each of :math:`T`
    interaction blocks adds

    .. math:: v_i = W_3\,\mathrm{ssp}\Big(W_2 \sum_j (W_1 x_j) \circ f(d_{ij})\,C(d_{ij})\Big)

    where the filter :math:`f` is a two-layer network on Gaussians of the distance, :math:`C` a
    cosine cut-off and :math:`\mathrm{ssp}(x) = \ln(\tfrac12 e^x + \tfrac12)`. A two-layer network
    turns each atom into its contribution; contributions are summed or averaged.

    Reference: K. T. Schütt, H. E. Sauceda, P.-J. Kindermans, A. Tkatchenko, K.-R. Müller, SchNet:
    a deep learning architecture for molecules and materials, J. Chem. Phys. 148, 241722 (2018),
    doi 10.1063/1.5019779.
    """

    Hyperparameters = SchNetHyperparameters

    def __init__(self, hyperparameters: SchNetHyperparameters) -> None:
        super().__init__(hyperparameters)
        width = hyperparameters.width
        self.cutoff = hyperparameters.cutoff
        self.readout = hyperparameters.readout
        self.embedding = nn.Embedding(ELEMENTS, width)
        self.basis = GaussianBasis(hyperparameters.gaussians, self.cutoff)
        self.interactions = nn.ModuleList(
            Interaction(width, hyperparameters.gaussians)
            for _ in range(hyperparameters.interactions)
        )
        self.atomwise = Linear(width, max(width // 2, 1))
        self.head = Linear(max(width // 2, 1), hyperparameters.targets)

    def forward(self, batch: Any) -> Output:
        """Predict the targets of every graph."""
        neighbors = Neighbors.of(batch)
        radial = self.basis(neighbors.distance)  # (edges, gaussians)
        envelope = cosine_cutoff(neighbors.distance, self.cutoff)  # (edges,)
        x = self.embedding(batch.z)  # (nodes, width)
        for interaction in self.interactions:
            x = x + interaction(x, neighbors, radial, envelope)
        features = shifted_softplus(self.atomwise(x))  # (nodes, width / 2)
        prediction = pool(self.head(features), batch, self.readout)
        return Output(prediction, features, pool(features, batch, self.readout))

    @classmethod
    def hyperparameters_for(cls, purpose: Purpose) -> dict[str, Any]:
        """Sum extensive targets, average others; filters reach as far as the neighbour list."""
        return {"readout": "sum" if purpose.extensive else "mean", "cutoff": purpose.cutoff}

    @classmethod
    def training_for(cls, purpose: Purpose) -> dict[str, Any]:
        """Train as the paper does; with forces, as its authors' SchNetPack does for MD17.

        The rate is SchNetPack's. It falls by 4 % every 100,000 steps in the paper, to a third in
        750 epochs of QM9, and on plateaus in SchNetPack: a cosine is the nearest to both.
        """
        common = {
            "optimizer": "torch_adam",
            "schedule": "cosine",
            "warmup": 0.0,
            "gradient_clip": None,
            "loss": "l2",
            "average": 0.99,
        }
        if not purpose.forces:
            return {**common, "epochs": 750, "batch_size": 32, "learning_rate": 5e-4}
        weights = {"energy_weight": 0.01, "forces_weight": 0.99}
        return {**common, **weights, "epochs": 3000, "batch_size": 10, "learning_rate": 1e-3}


class Interaction(nn.Module):
    """One interaction block."""

    def __init__(self, width: int, gaussians: int) -> None:
        super().__init__()
        self.filter_in = Linear(gaussians, width)
        self.filter_out = Linear(width, width)
        self.into = Linear(width, width, bias=False)
        self.out = Linear(width, width)
        self.mix = Linear(width, width)

    def forward(self, x: Tensor, neighbors: Neighbors, radial: Tensor, envelope: Tensor) -> Tensor:
        """Return the update (nodes, width) of the atoms' features."""
        into, out = self.filter_in, self.filter_out
        x = filtered_sum(self.into(x), neighbors, radial, envelope, into, out)
        update: Tensor = self.mix(shifted_softplus(self.out(x)))
        return update
