"""What every model takes and gives, so that training, search and report treat them alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar, NamedTuple

from torch import Tensor, nn

from molcryst_bench.base.settings import Settings


class Output(NamedTuple):
    """What a model says about a batch of graphs."""

    prediction: Tensor  # (graphs, targets), normalised
    node_features: Tensor  # (nodes, width) of the second-last layer
    graph_features: Tensor  # (graphs, width) the same, pooled


class Purpose(NamedTuple):
    """What a model is to be used for, which decides the hyperparameters that nobody has set."""

    extensive: bool  # the target grows with the number of atoms
    forces: bool  # its gradient is wanted, too, so that it has to be smooth
    periodic: bool  # of crystals
    cutoff: float  # Å, of the neighbour lists


class Model(nn.Module, ABC):
    """A map from a batch of graphs to predictions.

    The batch has ``z`` (nodes,), ``pos`` (nodes, 3) in Å, ``edge_index`` (2, edges) from sender to
    receiver, and ``batch`` (nodes,); if periodic, ``cell`` (graphs, 3, 3) in Å and ``edge_shift``
    (edges, 3) in whole cells. The first line of a model's docstring is its title.
    """

    Hyperparameters: ClassVar[type[Settings]]
    reads_features: ClassVar[bool] = False  # known numbers of a structure, (graphs, features)

    def __init__(self, hyperparameters: Any) -> None:
        super().__init__()
        self.hyperparameters: Settings = hyperparameters

    @abstractmethod
    def forward(self, batch: Any) -> Output:
        """Predict the targets of every graph."""

    @classmethod
    def hyperparameters_for(cls, purpose: Purpose) -> dict[str, Any]:
        """Return the hyperparameters that the purpose decides: a preset for those not set."""
        del purpose
        return {}

    @classmethod
    def training_for(cls, purpose: Purpose) -> dict[str, Any]:
        """Return how the model's paper trains it, by the names of the training settings.

        What it leaves out keeps its default.
        """
        del purpose
        return {}


class GradientModel(Model):
    """A model that is trained by gradient descent."""


class ClosedFormModel(Model):
    """A baseline whose weights follow from the training set in one step."""

    @abstractmethod
    def fit(self, batches: Iterable[Any], targets: Tensor) -> None:
        """Set the weights.

        Args:
            batches: of all training graphs, in order.
            targets: (graphs, targets) normalised values in the same order.
        """
