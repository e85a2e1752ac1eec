"""Message passing followed by a transformer over all atoms of a graph."""

from __future__ import annotations

from typing import Any

from pydantic import Field, ValidationInfo, field_validator
from torch import Tensor, nn

from molcryst_bench.models.components.attention import EncoderLayer
from molcryst_bench.models.components.neighbors import Neighbors
from molcryst_bench.models.components.padding import Padding
from molcryst_bench.models.interface import Purpose
from molcryst_bench.models.mpnn import MPNN, MPNNHyperparameters


class MPNNTransformerHyperparameters(MPNNHyperparameters):
    """Defaults are those of enn-s2s, with a width that the heads divide."""

    width: int = Field(default=64, gt=0, description="features of an atom; a multiple of heads")
    layers: int = Field(default=3, ge=0, description="transformer encoder layers")
    heads: int = Field(
        default=8, gt=0, validate_default=True, description="attention heads of each layer"
    )
    feedforward: int = Field(default=256, gt=0, description="hidden width of each layer")

    @field_validator("heads")
    @classmethod
    def _divides_width(cls, heads: int, info: ValidationInfo) -> int:
        if info.data.get("width", heads) % heads:
            raise ValueError(f"the width, {info.data['width']}, is not a multiple of it")
        return heads


class MPNNTransformer(MPNN):
    r"""MPNN-transformer: enn-s2s with self-attention over all atoms before the reading.

    After the messages of ``mpnn``, atoms see the whole graph in several encoder layers, each

    .. math:: h \leftarrow h + W_O\,[\mathrm{softmax}(Q_a K_a^\top / \sqrt{d})\,V_a]_{a = 1 \dots A}

    .. math:: h \leftarrow h + W_2\,\mathrm{SiLU}(W_1\,\mathrm{LN}(h) + b_1) + b_2

    with :math:`Q_a, K_a, V_a = W_a\,\mathrm{LN}(h)`, and a last layer norm. The softmax runs over
    the atoms of one graph. Where atoms are is known from the messages alone, so attention knows no
    cut-off and a repeated cell gives the same.

    References: J. Gilmer, S. S. Schoenholz, P. F. Riley, O. Vinyals, G. E. Dahl, Neural message
    passing for quantum chemistry, ICML 2017, arXiv 1704.01212; A. Vaswani et al., Attention is all
    you need, NeurIPS 2017, arXiv 1706.03762; layer norms first as in R. Xiong et al., On layer
    normalization in the transformer architecture, ICML 2020, arXiv 2002.04745.
    """

    Hyperparameters = MPNNTransformerHyperparameters

    def __init__(self, hyperparameters: MPNNTransformerHyperparameters) -> None:
        super().__init__(hyperparameters)
        width, heads = hyperparameters.width, hyperparameters.heads
        self.layers = nn.ModuleList(
            EncoderLayer(width, heads, hyperparameters.feedforward)
            for _ in range(hyperparameters.layers)
        )
        self.norm = nn.LayerNorm(width)

    @classmethod
    def training_for(cls, purpose: Purpose) -> dict[str, Any]:
        """Train as ``mpnn``, for the 1,500 epochs of the paper that this benchmark starts from."""
        return {**super().training_for(purpose), "epochs": 1500}

    def update(self, x: Tensor, neighbors: Neighbors, padding: Padding) -> Tensor:
        """Let the atoms of each graph attend to each other."""
        for layer in self.layers:
            x = layer(x, padding, forces=neighbors.distance.requires_grad)
        normed: Tensor = self.norm(x)
        return normed
