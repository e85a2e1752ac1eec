"""Optimisers and schedules of the learning rate, by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import torch
from torch import nn
from torch.optim import Optimizer

from molcryst_bench.training.settings import TrainingSettings

_OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "sgd": partial(torch.optim.SGD, momentum=0.9),
    "torch_adam": torch.optim.Adam,
    "torch_adamw": torch.optim.AdamW,
}
_ONE_CYCLE_START, _ONE_CYCLE_END = 1 / 25, 1e-4 / 25  # parts of the largest rate


def create_optimizer(parameters: Iterable[nn.Parameter], settings: TrainingSettings) -> Optimizer:
    """Return the optimiser that the settings name.

    LAMB is that of You et al. 2020, arXiv 1904.00962.
    """
    rate, decay = settings.learning_rate, settings.weight_decay
    if settings.optimizer == "lamb":
        from pytorch_optimizer import Lamb  # takes a second to import

        return Lamb(parameters, lr=rate, weight_decay=decay)
    # One kernel for all weights; Lightning does not clip gradients for it in mixed precision.
    fused = not settings.precision.endswith("mixed")
    return _OPTIMIZERS[settings.optimizer](parameters, lr=rate, weight_decay=decay, fused=fused)


def learning_rate(
    settings: TrainingSettings, step: int, steps: int, errors: Sequence[float]
) -> float:
    """Return the learning rate of a step as a part of its largest value.

    Args:
        settings: name the schedule.
        step: counted from 0.
        steps: of the whole training.
        errors: of validation, after each epoch so far.
    """
    warmup = settings.warmup * steps
    if settings.schedule == "one_cycle":
        return _one_cycle(step, steps, warmup)
    if step < warmup:
        return (step + 1) / warmup if warmup > 1 else 1.0
    if settings.schedule == "plateau":
        return 0.5 ** _plateaus(errors, settings.plateau_patience)
    if settings.schedule == "constant":
        return 1.0
    return _between(1.0, 0.0, (step - warmup) / max(steps - warmup, 1))


def _one_cycle(step: int, steps: int, warmup: float) -> float:
    """Rise to 1 and fall nearly to 0, as Smith and Topin 2019, arXiv 1708.07120, with cosines."""
    if step < warmup:
        return _between(_ONE_CYCLE_START, 1.0, step / warmup)
    return _between(1.0, _ONE_CYCLE_END, (step - warmup) / max(steps - warmup - 1, 1))


def _between(first: float, last: float, passed: float) -> float:
    """Go from the first value to the last along half a cosine."""
    return last + (first - last) * 0.5 * (1 + math.cos(math.pi * min(passed, 1.0)))


def _plateaus(errors: Sequence[float], patience: int) -> int:
    """Count how often ``patience`` epochs have passed without a better one."""
    best, waited, plateaus = math.inf, 0, 0
    for error in errors:
        best, waited = (error, 0) if error < best else (best, waited + 1)
        if waited == patience:
            plateaus, waited = plateaus + 1, 0
    return plateaus
