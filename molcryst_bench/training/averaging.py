"""Moving averages of the weights, which often do better than the last weights."""

from __future__ import annotations

from functools import partial

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor


class MovingAverage(WeightAveraging):
    """An exponential moving average that remembers no more than a part of the steps so far.

    With a fixed decay of 0.999 the weights of the first step would still have a share of a twelfth
    after 2,500 steps. The decay after n steps is the smaller of the given one and
    (1 + n) / (10 + n), as in TensorFlow's ``ExponentialMovingAverage``.

    Args:
        decay: per step, in the end.
    """

    def __init__(self, decay: float) -> None:
        super().__init__(use_buffers=True, multi_avg_fn=partial(_mix, decay))

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Copy the weights in the precision of the run, which Lightning turns to only later."""
        trainer.precision_plugin.convert_module(pl_module)
        super().setup(trainer, pl_module, stage)


@torch.no_grad()
def _mix(decay: float, averaged: list[Tensor], current: list[Tensor], count: Tensor | int) -> None:
    """Move averages, all of one type, towards the weights of a step."""
    steps = float(count)
    share = 1 - min(decay, (1 + steps) / (10 + steps))
    if averaged[0].is_floating_point():
        torch._foreach_lerp_(averaged, current, share)
    else:  # counts of batches
        torch._foreach_copy_(averaged, current)
