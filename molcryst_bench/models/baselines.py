"""Baselines: what a model must beat to have learnt anything from the geometry."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from molcryst_bench.base.settings import Settings
from molcryst_bench.models.components.composition import ELEMENTS, element_counts
from molcryst_bench.models.interface import ClosedFormModel, Output


class MeanHyperparameters(Settings):
    """The mean has only its shape."""

    targets: int = Field(default=1, gt=0, description="predicted values per graph")


class Mean(ClosedFormModel):
    """Mean: the average of the training targets, whatever the structure.

    Its root mean square error is the spread of the test set: what R² measures against.
    """

    Hyperparameters = MeanHyperparameters
    value: Tensor

    def __init__(self, hyperparameters: MeanHyperparameters) -> None:
        super().__init__(hyperparameters)
        value = torch.zeros(hyperparameters.targets, dtype=torch.float64)
        self.register_buffer("value", value)

    def fit(self, batches: Iterable[Any], targets: Tensor) -> None:
        """Take the mean over the training graphs."""
        del batches
        self.value.copy_(targets.mean(0))

    def forward(self, batch: Any) -> Output:
        """Predict the same for every graph."""
        counts = element_counts(batch)  # (graphs, elements)
        prediction = self.value.expand(len(counts), -1)
        return Output(prediction, batch.z[:, None].to(counts.dtype), counts)


class RidgeHyperparameters(Settings):
    """Ridge regression on the composition."""

    alpha: float = Field(default=1e-2, gt=0, description="L2 penalty on centred features")
    targets: int = Field(default=1, gt=0, description="predicted values per graph")


class CompositionRidge(ClosedFormModel):
    r"""Ridge: linear regression on the number and the fraction of atoms of each element.

    With centred features :math:`X` and targets :math:`y`, the weights are
    :math:`w = (X^\top X + \alpha I)^{-1} X^\top y`. It knows nothing of the geometry: isomers look
    alike to it.

    Reference: A. E. Hoerl, R. W. Kennard, Ridge regression: biased estimation for nonorthogonal
    problems, Technometrics 12, 55 (1970), doi 10.1080/00401706.1970.10488634.
    """

    Hyperparameters = RidgeHyperparameters
    weight: Tensor
    offset: Tensor

    def __init__(self, hyperparameters: RidgeHyperparameters) -> None:
        super().__init__(hyperparameters)
        self.alpha = hyperparameters.alpha
        width, targets = 2 * ELEMENTS, hyperparameters.targets
        self.register_buffer("weight", torch.zeros(width, targets, dtype=torch.float64))
        self.register_buffer("offset", torch.zeros(targets, dtype=torch.float64))

    def fit(self, batches: Iterable[Any], targets: Tensor) -> None:
        """Solve the normal equations in float64."""
        features = torch.cat([_composition(batch) for batch in batches])  # (graphs, 2 elements)
        targets = targets.to(features)
        x, y = features - features.mean(0), targets - targets.mean(0)
        penalty = self.alpha * torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
        self.weight.copy_(torch.linalg.solve(x.T @ x + penalty, x.T @ y))
        self.offset.copy_(targets.mean(0) - features.mean(0) @ self.weight)

    def forward(self, batch: Any) -> Output:
        """Predict from the composition of each graph."""
        features = _composition(batch)
        prediction = features @ self.weight + self.offset
        return Output(prediction, batch.z[:, None].to(features.dtype), features)


def _composition(batch: Any) -> Tensor:
    """Return (graphs, 2 elements): the number of atoms of each element, and its fraction."""
    counts = element_counts(batch)
    return torch.cat([counts, counts / counts.sum(1, keepdim=True).clamp(min=1)], dim=1)
