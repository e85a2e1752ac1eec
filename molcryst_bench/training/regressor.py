"""A model with the scaler that turns its outputs into a physical quantity."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from molcryst_bench.models.interface import Model
from molcryst_bench.training.scaler import Scaler


class Regressor(nn.Module):
    """Predicts the first target of a model in its unit."""

    def __init__(self, model: Model, scaler: Scaler | None = None) -> None:
        super().__init__()
        self.model = model
        self.scaler = scaler or Scaler()

    def forward(self, batch: Any) -> Tensor:
        """Return predictions (graphs,) in the target's unit, in float64."""
        return self.scaler.restore(self.model(batch).prediction[:, 0], batch)


@torch.inference_mode()
def predict_all(regressor: Regressor, batches: Iterable[Any], device: torch.device) -> Tensor:
    """Return the predictions of all graphs of all batches, (graphs,), on the CPU."""
    regressor.eval().to(device)
    predictions = [regressor(batch.to(device)).cpu() for batch in batches]
    return torch.cat([torch.empty(0, dtype=torch.float64), *predictions])
