"""The message passing neural network enn-s2s (Gilmer et al. 2017)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from molcryst_bench.base.settings import Settings
from molcryst_bench.models.components.blocks import NeighborBlocks
from molcryst_bench.models.components.composition import ELEMENTS
from molcryst_bench.models.components.linear import linear
from molcryst_bench.models.components.neighbors import Neighbors
from molcryst_bench.models.components.padding import Padding
from molcryst_bench.models.components.pooling import Readout
from molcryst_bench.models.components.radial import GaussianBasis, polynomial_cutoff
from molcryst_bench.models.components.set2set import Set2Set
from molcryst_bench.models.interface import GradientModel, Output, Purpose


class MPNNHyperparameters(Settings):
    """Defaults are those that the authors' code was released with; the paper gives ranges."""

    width: int = Field(default=50, gt=0, description="features of an atom")
    steps: int = Field(default=6, ge=0, description="rounds of messages; the paper: 3 to 8")
    gaussians: int = Field(default=50, gt=1, description="radial functions between 0 and cutoff")
    edge_width: int = Field(default=50, gt=0, description="width of the edge network")
    edge_layers: int = Field(default=4, gt=0, description="hidden layers of the edge network")
    readings: int = Field(default=12, gt=0, description="steps of Set2Set; the paper: 1 to 12")
    output_width: int = Field(default=200, gt=0, description="width of the last hidden layer")
    cutoff: float = Field(default=5.0, gt=0, description="radius of the messages in Å")
    readout: Readout = Field(
        default="mean", description="mean as in the paper; sum multiplies by the number of atoms"
    )
    targets: int = Field(default=1, gt=0, description="predicted values per graph")


class MPNN(GradientModel):
    r"""MPNN: messages through a matrix for each edge, read by Set2Set (enn-s2s).

    An atom starts as an embedding of its element, :math:`h_i^0 = x_i = E_{z_i}`. Each of :math:`T`
    steps does

    .. math::

        m_i = \sum_j C(d_{ij})\,A(d_{ij})\,h_j, \qquad h_i \leftarrow \mathrm{GRU}(h_i, m_i),

    with the same weights. The edge network :math:`A` maps Gaussians of the distance to a matrix.
    Set2Set reads a projection of all :math:`(h_i^T, x_i)` into one vector, and a network with one
    hidden layer makes the prediction of it. What is read is an average over atoms: an extensive
    target is predicted as the number of atoms times the result.

    Since the last layer of :math:`A` is linear, :math:`A = \sum_k \varphi_k W_k`, messages are
    computed as :math:`m_i = \sum_k W_k \sum_j \varphi_k(d_{ij})\,h_j`: the matrices of the edges,
    which would fill the memory, are never made.

    Where it differs from the paper: edges are neighbours within a radius, described by Gaussians
    of their distance, without bonds; atoms are described by their element alone; messages carry
    the smooth cut-off :math:`C` and activations are SiLU in place of ReLU, so that forces are
    continuous. Incoming and outgoing edges are alike at the same distance, and share :math:`A`.

    Reference: J. Gilmer, S. S. Schoenholz, P. F. Riley, O. Vinyals, G. E. Dahl, Neural message
    passing for quantum chemistry, ICML 2017, arXiv 1704.01212.
    """

    Hyperparameters = MPNNHyperparameters

    def __init__(self, hyperparameters: MPNNHyperparameters) -> None:
        super().__init__(hyperparameters)
        width, output_width = hyperparameters.width, hyperparameters.output_width
        self.readout = hyperparameters.readout
        self.embedding = nn.Embedding(ELEMENTS, width)
        self.messages = MessagePassing(hyperparameters)
        self.projection = nn.Linear(2 * width, width)
        self.reader = Set2Set(width, hyperparameters.readings)
        self.hidden = nn.Linear(2 * width, output_width)
        self.head = nn.Linear(output_width, hyperparameters.targets)

    def forward(self, batch: Any) -> Output:
        """Predict the targets of every graph."""
        neighbors, padding = Neighbors.of(batch), Padding.of(batch)
        elements = self.embedding(batch.z)  # (nodes, width)
        x = self.update(self.messages(elements, neighbors), neighbors, padding)
        read = self.reader(self.projection(torch.cat([x, elements], dim=1)), padding)
        features = F.silu(self.hidden(read))  # (graphs, output width)
        prediction = self.head(features)
        return Output(self._scaled(prediction, padding), x, self._scaled(features, padding))

    def update(self, x: Tensor, neighbors: Neighbors, padding: Padding) -> Tensor:
        """Change the atoms' features (nodes, width) between messages and reading: here not."""
        del neighbors, padding
        return x

    def _scaled(self, values: Tensor, padding: Padding) -> Tensor:
        """Multiply what is said of the average atom by the number of atoms, if that is asked."""
        values = values.to(torch.promote_types(values.dtype, torch.float32))
        return values * padding.present.sum(1, keepdim=True) if self.readout == "sum" else values

    @classmethod
    def hyperparameters_for(cls, purpose: Purpose) -> dict[str, Any]:
        """Sum extensive targets, average others; messages reach as far as the neighbour list."""
        return {"readout": "sum" if purpose.extensive else "mean", "cutoff": purpose.cutoff}

    @classmethod
    def training_for(cls, purpose: Purpose) -> dict[str, Any]:
        """Train as the paper does on QM9, for forces too, which it has none of.

        It takes 3 million steps of 20 molecules, which are 540 epochs, and searches for the rate
        between 1e-5 and 5e-4. This falls linearly there: a cosine is the nearest.
        """
        del purpose
        return {
            "epochs": 540,
            "batch_size": 20,
            "optimizer": "torch_adam",
            "learning_rate": 5e-4,
            "schedule": "cosine",
            "warmup": 0.0,
            "gradient_clip": None,
            "loss": "l2",
        }


class MessagePassing(nn.Module):
    """All steps of messages, which share their weights."""

    def __init__(self, hyperparameters: MPNNHyperparameters) -> None:
        super().__init__()
        width, edge_width = hyperparameters.width, hyperparameters.edge_width
        self.steps = hyperparameters.steps
        self.cutoff = hyperparameters.cutoff
        self.basis = GaussianBasis(hyperparameters.gaussians, self.cutoff)
        sizes = [hyperparameters.gaussians] + hyperparameters.edge_layers * [edge_width]
        layers = [nn.Sequential(nn.Linear(*size), nn.SiLU()) for size in pairwise(sizes)]
        self.edge_network = nn.Sequential(*layers)
        # The last layer of the edge network, with its bias as one more matrix.
        self.matrices = nn.Linear((edge_width + 1) * width, width, bias=False)
        self.cell = nn.GRUCell(width, width)

    def forward(self, x: Tensor, neighbors: Neighbors) -> Tensor:
        """Return the atoms' features (nodes, width) after all steps."""
        blocks = NeighborBlocks.of(neighbors, len(x))
        weight = blocks.spread(neighbors.both(self._edge_weights(neighbors.distance)))
        weight = weight.transpose(1, 2)  # (blocks, edge width + 1, size)
        for _ in range(self.steps):
            outer = (weight @ blocks.senders(x)).flatten(1)  # (blocks, (edge width + 1) * width)
            x = self.cell(blocks.collect(linear(outer, self.matrices.weight), len(x)), x)
        return x

    def _edge_weights(self, distance: Tensor) -> Tensor:
        """Return the weights of the matrices of each edge, (edges, edge width + 1)."""
        hidden = F.pad(self.edge_network(self.basis(distance)), (0, 1), value=1.0)
        return hidden * polynomial_cutoff(distance, self.cutoff)[:, None]
