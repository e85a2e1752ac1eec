"""CGCNN (Xie and Grossman 2018) on adjacency lists."""

from __future__ import annotations

from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from molcryst_bench.base.settings import Settings
from molcryst_bench.models.components.adjacency import Adjacency, AdjacencyList
from molcryst_bench.models.components.batch_norm import BatchNorm
from molcryst_bench.models.components.element_features import element_features
from molcryst_bench.models.components.gates import Ends, gated_sum
from molcryst_bench.models.components.pooling import Readout, pool
from molcryst_bench.models.components.radial import GaussianBasis, cosine_cutoff
from molcryst_bench.models.interface import GradientModel, Output, Purpose


class CGCNNHyperparameters(Settings):
    """Defaults are those of the paper's code for properties of crystals."""

    width: int = Field(default=64, gt=0, description="features of an atom")
    convolutions: int = Field(default=3, ge=0, description="number of convolutions")
    hidden_width: int = Field(default=128, gt=0, description="features of a hidden layer")
    hidden_layers: int = Field(default=1, gt=0, description="layers between atoms and prediction")
    cutoff: float = Field(default=8.0, gt=0, description="distance of the last Gaussian in Å")
    step: float = Field(default=0.2, gt=0, description="spacing and width of the Gaussians in Å")
    batch_norm: bool = Field(
        default=True,
        description="normalise over a batch in each convolution, as published; not "
        "where forces are wanted, which must not depend on the rest of a batch",
    )
    smooth: bool = Field(
        default=False,
        description="let messages fade out at the cut-off, so that forces are continuous on a "
        "list by radius, where they are wanted; the paper's do not fade out",
    )
    readout: Readout = Field(
        default="mean",
        description="mean: of the atoms, before the hidden layers (as published); sum: of each "
        "atom's contribution, after them",
    )
    targets: int = Field(default=1, gt=0, description="predicted values per graph")


class CGCNN(GradientModel):
    r"""CGCNN: gated convolutions on crystal graphs.

    An atom starts from its element's tabulated properties, each one of a few categories, mapped
    linearly to :math:`v_i`. Each of :math:`T` convolutions (eq. 5) is

    .. math:: v_i \leftarrow g\Big(v_i + \sum_j \sigma(z_{ij} W_f + b_f) \circ
              g(z_{ij} W_s + b_s)\Big), \qquad z_{ij} = v_i \oplus v_j \oplus u_{ij}

    where :math:`u_{ij}` are Gaussians of the distance, :math:`g` is the softplus and the sum runs
    over all edges into :math:`i`; the two products and the sum are normalised over the batch, as in
    the authors' code. The mean over the atoms goes through hidden layers to the prediction. With
    ``readout="sum"`` these layers act on each atom instead, so that the parts of a structure that
    do not see each other add up.

    Reference: T. Xie, J. C. Grossman, Crystal graph convolutional neural networks for an accurate
    and interpretable prediction of material properties, Phys. Rev. Lett. 120, 145301 (2018),
    doi 10.1103/PhysRevLett.120.145301.
    """

    Hyperparameters = CGCNNHyperparameters
    elements: Tensor

    def __init__(self, hyperparameters: CGCNNHyperparameters) -> None:
        super().__init__(hyperparameters)
        self.cutoff, self.smooth = hyperparameters.cutoff, hyperparameters.smooth
        self.readout = hyperparameters.readout
        self.register_buffer("elements", element_features(), persistent=False)
        self.embedding = nn.Linear(self.elements.shape[1], hyperparameters.width)
        gaussians = round(self.cutoff / hyperparameters.step) + 1
        # The authors' Gaussians have no factor of a half in the exponent.
        self.basis = GaussianBasis(gaussians, self.cutoff, hyperparameters.step / 2**0.5)
        self.convolutions = nn.ModuleList(
            Convolution(hyperparameters.width, gaussians, hyperparameters.batch_norm)
            for _ in range(hyperparameters.convolutions)
        )
        self.hidden = _hidden_layers(hyperparameters)
        self.head = nn.Linear(hyperparameters.hidden_width, hyperparameters.targets)

    def forward(self, batch: Any) -> Output:
        """Predict the targets of every graph.

        The second-last layer is that of each atom with ``readout="sum"``. Otherwise graphs have it
        alone, and ``node_features`` are those of the last convolution.
        """
        x = self._atoms(batch)  # (nodes, width)
        if self.readout == "mean":
            pooled = pool(x, batch, "mean")  # (graphs, width)
            features = self.hidden(pooled)  # (graphs, hidden_width)
            return Output(self.head(features).to(pooled.dtype), x, features)
        features = self.hidden(x)  # (nodes, hidden_width)
        prediction = pool(self.head(features), batch, "sum")
        return Output(prediction, features, pool(features, batch, "sum"))

    def adjacency(self, batch: Any) -> Adjacency:
        """Return the edges of a batch in the form that the convolutions work on."""
        return AdjacencyList(batch)

    @classmethod
    def hyperparameters_for(cls, purpose: Purpose) -> dict[str, Any]:
        """Be smooth where forces are wanted; leave other targets to the published network."""
        return {
            "readout": "sum" if purpose.extensive else "mean",
            "smooth": purpose.forces,
            "batch_norm": not purpose.forces,  # else they depend on the rest of the batch
            "cutoff": purpose.cutoff,
        }

    @classmethod
    def training_for(cls, purpose: Purpose) -> dict[str, Any]:
        """Train as the paper's code does by default, for forces too, which it has none of.

        Its rate falls to a tenth after 100 epochs, which are more than there are: it is constant.
        """
        del purpose
        return {
            "epochs": 30,
            "batch_size": 256,
            "optimizer": "sgd",  # with a momentum of 0.9
            "learning_rate": 1e-2,
            "schedule": "constant",
            "warmup": 0.0,
            "gradient_clip": None,
            "loss": "l2",
        }

    def _atoms(self, batch: Any) -> Tensor:
        """Return the features of the atoms after the last convolution, (nodes, width)."""
        adjacency = self.adjacency(batch)
        radial = self.basis(adjacency.distance)  # (..., gaussians)
        envelope = self._envelope(adjacency)
        x: Tensor = self.embedding(self.elements).index_select(0, batch.z)  # (nodes, width)
        for convolution in self.convolutions:
            x = convolution(x, adjacency, radial, envelope)
        return x

    def _envelope(self, adjacency: Adjacency) -> Tensor | None:
        """Return the factor of each message, (..., 1)."""
        if not self.smooth:
            return None
        return adjacency.both(cosine_cutoff(adjacency.distance, self.cutoff)[..., None])


class Convolution(nn.Module):
    """One convolution."""

    def __init__(self, width: int, gaussians: int, batch_norm: bool) -> None:
        super().__init__()
        self.width = width
        self.full = nn.Linear(2 * width + gaussians, 2 * width)
        self.norm_gated = BatchNorm(2 * width) if batch_norm else None
        self.norm_sum = BatchNorm(width) if batch_norm else None

    def forward(
        self, x: Tensor, adjacency: Adjacency, radial: Tensor, envelope: Tensor | None
    ) -> Tensor:
        """Return the new features (nodes, width) of the atoms."""
        update = self._gated_sum(x, adjacency, radial, envelope)  # (nodes, width)
        if self.norm_sum is not None:
            update = self.norm_sum(update)
        return F.softplus(x + update)

    def _gated_sum(
        self, x: Tensor, adjacency: Adjacency, radial: Tensor, envelope: Tensor | None
    ) -> Tensor:
        """Sum the messages to each atom, (nodes, width)."""
        ends = self._ends(x, radial)
        if self.norm_gated and envelope is None and isinstance(adjacency, AdjacencyList):
            at_once = gated_sum(ends, adjacency.neighbors, self.norm_gated)
            if at_once is not None:
                return at_once
        distance = F.linear(radial, ends.weight)
        gated = adjacency.combine(ends.receiver, ends.sender, distance)  # (..., 2 width)
        if self.norm_gated is not None:
            gated = self.norm_gated(gated, adjacency.edges, adjacency.mask)
        gate, core = gated.chunk(2, dim=-1)
        messages = torch.sigmoid(gate) * F.softplus(core)  # (..., width)
        if envelope is not None:
            messages = messages * envelope
        return adjacency.collect(messages)

    def _ends(self, x: Tensor, radial: Tensor) -> Ends:
        """Multiply with the weights of gate and core, once for an atom.

        The product with a concatenation is the sum of the products with its parts.
        """
        parts = [self.width, self.width, radial.shape[-1]]
        receiver, sender, edge = torch.split(self.full.weight, parts, dim=1)
        return Ends(F.linear(x, receiver, self.full.bias), F.linear(x, sender), edge, radial)


def _hidden_layers(hyperparameters: CGCNNHyperparameters) -> nn.Sequential:
    """Return the layers between the atoms, or their mean, and the prediction."""
    layers: list[nn.Module] = [nn.Softplus()]
    width = hyperparameters.width
    for _ in range(hyperparameters.hidden_layers):
        layers += [nn.Linear(width, hyperparameters.hidden_width), nn.Softplus()]
        width = hyperparameters.hidden_width
    return nn.Sequential(*layers)
