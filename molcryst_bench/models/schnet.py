"""SchNet (Schütt et al. 2018)."""

from __future__ import annotations

from typing import Any

from pydantic import Field
from torch import Tensor, nn

from molcryst_bench.base.settings import Settings
from molcryst_bench.models.components.activations import shifted_softplus
from molcryst_bench.models.components.composition import ELEMENTS
from molcryst_bench.models.components.neighbors import Neighbors
from molcryst_bench.models.components.pooling import Readout, pool
from molcryst_bench.models.components.radial import GaussianBasis, cosine_cutoff
from molcryst_bench.models.interface import GradientModel, Output


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
        self.atomwise = _linear(width, max(width // 2, 1))
        self.head = _linear(max(width // 2, 1), hyperparameters.targets)

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
    def hyperparameters_for(cls, extensive: bool, cutoff: float) -> dict[str, Any]:
        """Sum extensive targets, average others; filters reach as far as the neighbour list."""
        return {"readout": "sum" if extensive else "mean", "cutoff": cutoff}


class Interaction(nn.Module):
    """One interaction block."""

    def __init__(self, width: int, gaussians: int) -> None:
        super().__init__()
        self.filter_in = _linear(gaussians, width)
        self.filter_out = _linear(width, width)
        self.into = _linear(width, width, bias=False)
        self.out = _linear(width, width)
        self.mix = _linear(width, width)

    def forward(self, x: Tensor, neighbors: Neighbors, radial: Tensor, envelope: Tensor) -> Tensor:
        """Return the update (nodes, width) of the atoms' features."""
        weight = self.filter_out(shifted_softplus(self.filter_in(radial)))  # (edges, width)
        x = neighbors.convolve(self.into(x), weight * envelope[:, None])
        update: Tensor = self.mix(shifted_softplus(self.out(x)))
        return update


def _linear(inputs: int, outputs: int, bias: bool = True) -> nn.Linear:
    layer = nn.Linear(inputs, outputs, bias=bias)
    nn.init.xavier_uniform_(layer.weight)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer
