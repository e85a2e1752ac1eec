"""TorchMD-NET's equivariant transformer (Thölke and De Fabritiis 2022)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from molcryst_bench.base.settings import Settings
from molcryst_bench.models.components.composition import ELEMENTS
from molcryst_bench.models.components.linear import Linear
from molcryst_bench.models.components.neighbors import Neighbors
from molcryst_bench.models.components.pooling import Readout, pool
from molcryst_bench.models.components.radial import ExponentialNormalBasis, cosine_cutoff
from molcryst_bench.models.components.vector_attention import VectorAttention, vector_update
from molcryst_bench.models.components.vector_layer import Seen, State, VectorLayer, Weights
from molcryst_bench.models.interface import GradientModel, Output, Purpose


class TorchMDNetHyperparameters(Settings):
    """Defaults are the published ones for QM9; for MD17 they are 128, 6, 8 and 32."""

    width: int = Field(
        default=256, gt=0, description="features of an atom, and vectors beside them"
    )
    layers: int = Field(default=8, ge=0, description="number of attention layers")
    heads: int = Field(default=8, gt=0, description="attention heads; they divide the width")
    basis: int = Field(default=64, gt=1, description="radial functions of the distance")
    cutoff: float = Field(default=5.0, gt=0, description="radius of the attention in Å")
    smooth: bool = Field(
        default=True,
        description="whether vectors fade at the cutoff too, so that forces exist there; "
        "the published numbers are without",
    )
    readout: Readout = Field(default="sum", description="how atoms add up to a graph")
    targets: int = Field(default=1, gt=0, description="predicted values per graph")

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"{self.heads} heads do not divide a width of {self.width}")
        return self


class TorchMDNet(GradientModel):
    r"""TorchMD-NET: an equivariant transformer with vectors beside the features of each atom.

    With the radial basis :math:`e(d)` and the cosine cut-off :math:`C(d)`, an atom starts as

    .. math:: x_i = W\,[E_{z_i},\ \sum_j C(d_{ij})\,(W^F e(d_{ij})) \circ E'_{z_j}],
              \qquad \vec v_i = 0

    In each layer, with queries, keys and values :math:`q, k, s^0, s^1, s^2` that are linear in the
    normalised features and filters :math:`D = \mathrm{SiLU}(W e(d_{ij}))`, the atom gathers from
    its neighbours and from itself, at distance zero,

    .. math::

        y_i = \sum_j C\,\mathrm{SiLU}\Big(\sum_\mathrm{head} q_i \circ k_j \circ D^k\Big)\,
              (s^0_j \circ D^0)

    .. math::

        \vec w_i = \sum_j s^1_j \circ D^1 \circ \vec v_j
                   + (s^2_j \circ D^2)\,\vec d_{ij} / d_{ij}

    and updates its state with :math:`o = W^o y_i`:

    .. math::

        x_i \leftarrow x_i + o^2 + o^1 \circ \langle U_1 \vec v_i, U_2 \vec v_i\rangle

    .. math::

        \vec v_i \leftarrow \vec v_i + \vec w_i + o^0 \circ U_3 \vec v_i

    Two gated equivariant blocks turn normalised features and vectors into an atom's contribution;
    contributions are summed or averaged. If ``smooth``, :math:`C` also scales what
    :math:`\vec w_i` sums: else the energy jumps where a neighbour crosses the cut-off.

    Reference: P. Thölke, G. De Fabritiis, TorchMD-NET: equivariant transformers for neural network
    based molecular potentials, ICLR 2022, arXiv 2202.02541.
    """

    Hyperparameters = TorchMDNetHyperparameters

    def __init__(self, hyperparameters: TorchMDNetHyperparameters) -> None:
        super().__init__(hyperparameters)
        width, basis = hyperparameters.width, hyperparameters.basis
        self.cutoff = hyperparameters.cutoff
        self.smooth = hyperparameters.smooth
        self.heads = hyperparameters.heads
        self.readout = hyperparameters.readout
        self.basis = ExponentialNormalBasis(basis, self.cutoff)
        self.embedding = NeighborEmbedding(width, basis)
        self.layers = nn.ModuleList(
            AttentionLayer(width, basis) for _ in range(hyperparameters.layers)
        )
        self.norm = nn.LayerNorm(width)
        self.gate = GatedBlock(width, max(width // 2, 1), width)
        self.head = GatedBlock(max(width // 2, 1), hyperparameters.targets, max(width // 2, 1))

    def forward(self, batch: Any) -> Output:
        """Predict the targets of every graph."""
        neighbors = Neighbors.of(batch)
        distance = F.pad(neighbors.distance, (0, 1))  # (edges + 1,) and zero, to itself
        radial = self.basis(distance)  # (edges + 1, basis)
        envelope = cosine_cutoff(distance, self.cutoff)  # (edges + 1,)
        x = self.embedding(batch.z, neighbors, radial[:-1], envelope[:-1])
        vectors = x.new_zeros(len(x), 3, x.shape[1])
        sight = Sight.of(neighbors, radial, envelope, self.smooth, len(x), self.heads)
        for number, layer in enumerate(self.layers):
            x, vectors = layer(x, vectors, sight, first=number == 0)
        features, vectors = self.gate(self.norm(x), vectors)
        features = F.silu(features)  # (nodes, width / 2)
        contribution, _ = self.head(features, vectors)
        prediction = pool(contribution, batch, self.readout)
        return Output(prediction, features, pool(features, batch, self.readout))

    @classmethod
    def hyperparameters_for(cls, purpose: Purpose) -> dict[str, Any]:
        """Take the published sizes: those for MD17 where forces are wanted, else for QM9."""
        sizes = {"width": 128, "layers": 6, "basis": 32} if purpose.forces else {}
        readout = "sum" if purpose.extensive else "mean"
        return {**sizes, "smooth": purpose.forces, "readout": readout, "cutoff": purpose.cutoff}

    @classmethod
    def training_for(cls, purpose: Purpose) -> dict[str, Any]:
        """Train as the paper and its code do: as MD17 where forces are wanted, else as QM9.

        The warm-up is 1,000 of 357,000 steps and 10,000 of 2.6 million. Plateaus of 30 and of 15
        epochs take a fifth of the rate there: the nearest is half of it after three of these.
        """
        common = {
            "epochs": 3000,
            "optimizer": "torch_adamw",
            "schedule": "plateau",
            "gradient_clip": None,
            "loss": "l2",
        }
        if not purpose.forces:
            of_qm9 = {"batch_size": 128, "learning_rate": 4e-4, "warmup": 0.004}
            return {**common, **of_qm9, "plateau_patience": 45, "patience": 150}
        weights = {"energy_weight": 0.2, "forces_weight": 0.8}
        of_md17 = {"batch_size": 8, "learning_rate": 1e-3, "warmup": 0.003}
        return {**common, **weights, **of_md17, "plateau_patience": 90, "patience": 300}


@dataclass(frozen=True)
class Sight:
    """Whom each atom attends to: its neighbours, and itself at distance zero."""

    attend: VectorAttention  # over directed edges, and one from each atom to itself
    seen: (
        Seen  # the basis of each pair and of 0 Å; envelopes of attention and of vectors; directions
    )

    @classmethod
    def of(
        cls,
        neighbors: Neighbors,
        radial: Tensor,
        envelope: Tensor,
        smooth: bool,
        nodes: int,
        heads: int,
    ) -> Sight:
        """Add each atom to its own neighbours.

        Args:
            neighbors: without the atoms themselves.
            radial: (edges + 1, basis) of all distances, and of 0 Å last.
            envelope: (edges + 1,) the same.
            smooth: whether vectors fade.
            nodes: number of atoms.
            heads: of the attention.
        """
        directed = neighbors.directed()
        atoms = torch.arange(nodes, device=radial.device)
        rows = torch.arange(len(radial) - 1, device=radial.device)
        row = torch.cat([neighbors.both(rows), torch.full_like(atoms, len(rows))])
        receiver = torch.cat([directed.receiver, atoms])
        sender = torch.cat([directed.sender, atoms])
        direction = directed.vector / directed.distance[:, None]
        direction = torch.cat([direction, direction.new_zeros(nodes, 3)])
        envelope = envelope[row]
        fade = envelope if smooth else (envelope > 0).to(envelope.dtype)
        attend = VectorAttention(torch.stack([receiver, sender, row]), heads)
        return cls(attend, Seen(radial, envelope, fade, direction * fade[:, None]))


class NeighborEmbedding(nn.Module):
    """The first features of an atom: its element and those around it."""

    def __init__(self, width: int, basis: int) -> None:
        super().__init__()
        self.own = nn.Embedding(ELEMENTS, width)
        self.others = nn.Embedding(ELEMENTS, width)
        self.filter = Linear(basis, width)
        self.combine = Linear(2 * width, width)

    def forward(self, z: Tensor, neighbors: Neighbors, radial: Tensor, envelope: Tensor) -> Tensor:
        """Return features (nodes, width)."""
        weight = self.filter(radial) * envelope[:, None]
        around = neighbors.convolve(self.others(z), weight)
        features: Tensor = self.combine(torch.cat([self.own(z), around], 1))
        return features


class AttentionLayer(nn.Module):
    """One attention layer."""

    def __init__(self, width: int, basis: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.project = _side_by_side(width, width, width, width, width, width)  # q, k, s, t, r
        self.filter = _side_by_side(basis, width, width, width, width)  # k, 0, 1, 2
        self.vectors = _side_by_side(width, width, width, width, bias=False)  # U1, U2, U3
        self.out = _side_by_side(width, width, width, width)  # o0, o1, o2

    def forward(
        self, x: Tensor, vectors: Tensor, sight: Sight, first: bool
    ) -> tuple[Tensor, Tensor]:
        """Return the next features (nodes, width) and vectors (nodes, 3, width).

        Vectors that come into the ``first`` layer are zero.
        """
        plain = partial(self.in_operations, sight.attend)
        layer = VectorLayer(sight.attend, self.norm.eps, plain, first)
        return layer(State(x, vectors), sight.seen, self._weights())

    def in_operations(self, attend: VectorAttention, state: State, seen: Seen) -> State:
        """Return the same from operations of torch."""
        x, vectors = state
        radial, envelope, fade, direction = seen
        filters = F.silu(self.filter(radial)).view(-1, 4, x.shape[1])  # (distances, 4, width)
        atoms = self.project(self.norm(x)).view(-1, 5, x.shape[1])  # (nodes, 5, width)
        gathered, spread = attend(atoms, vectors, filters, envelope, fade, direction)
        mapped = _of_vectors(self.vectors, vectors)  # (nodes, 3, 3 width)
        for_x, for_vectors = vector_update(
            self.out(gathered).view(vectors.shape), mapped.view(*vectors.shape[:2], 3, -1)
        )
        return State(x + for_x, vectors + spread + for_vectors)

    def _weights(self) -> Weights:
        return Weights(
            norm=self.norm.weight,
            norm_bias=self.norm.bias,
            project=self.project.weight,
            project_bias=self.project.bias,
            filter=self.filter.weight,
            filter_bias=self.filter.bias,
            vectors=self.vectors.weight,
            out=self.out.weight,
            out_bias=self.out.bias,
        )


class GatedBlock(nn.Module):
    """A gated equivariant block: features and vectors that depend on each other."""

    def __init__(self, width: int, out: int, hidden: int) -> None:
        super().__init__()
        self.out = out
        self.length = Linear(width, width, bias=False)
        self.vectors = Linear(width, out, bias=False)
        self.into = Linear(2 * width, hidden)
        self.update = Linear(hidden, 2 * out)

    def forward(self, x: Tensor, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Return features (nodes, out) and vectors (nodes, 3, out)."""
        x = torch.cat([x, _length(_of_vectors(self.length, vectors))], 1)
        features, gate = self.update(F.silu(self.into(x))).chunk(2, 1)
        return features, gate[:, None] * _of_vectors(self.vectors, vectors)


def _length(vectors: Tensor) -> Tensor:
    """Return the lengths (nodes, width) of vectors; those of zero have no derivatives."""
    square = vectors.square().sum(1)
    zero = square == 0
    return square.masked_fill(zero, 1).sqrt().masked_fill(zero, 0)


def _side_by_side(inputs: int, *outputs: int, bias: bool = True) -> Linear:
    """Return several linear layers as one, each with weights of its own scale."""
    layer = Linear(inputs, sum(outputs), bias=bias)
    for part in torch.split(layer.weight, list(outputs)):
        nn.init.xavier_uniform_(part)
    return layer


def _of_vectors(layer: Linear, vectors: Tensor) -> Tensor:
    """Map each component of vectors (nodes, 3, inputs) to (nodes, 3, outputs)."""
    mapped: Tensor = layer(vectors.view(-1, vectors.shape[2]))
    return mapped.view(*vectors.shape[:2], -1)
