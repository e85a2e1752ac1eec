"""Stopping a run that has gone astray: losses that are no numbers, gradients that explode."""

from __future__ import annotations

import math
from typing import Any

import lightning as L
import torch
from torch import Tensor

from molcryst_bench.base.errors import RunError
from molcryst_bench.training.module import TrainingModule, checked
from molcryst_bench.training.settings import TrainingSettings

CHECK_EVERY = 50  # batches: to read a number waits for the device
_EXPLODED = 1e8  # targets are of order one, and so are gradients that lead anywhere


class Health(L.Callback):
    """Looks at losses and gradients now and then, and before each validation.

    So no checkpoint holds weights that are not finite: those are written after validation.
    """

    def __init__(self) -> None:
        self.seen = 0  # batches of this epoch that were looked at

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Begin to count."""
        self.seen = 0

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Look if enough batches have passed."""
        if (batch_idx + 1) % CHECK_EVERY == 0:
            self._look(trainer, checked(pl_module))

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Look at the rest of the epoch."""
        self._look(trainer, checked(pl_module))

    def _look(self, trainer: L.Trainer, module: TrainingModule) -> None:
        """Stop at the first batch of any rank that is wrong, on all ranks alike."""
        losses = dict(enumerate(module.train_losses[self.seen :], self.seen + 1))
        norms = {batch: norm for batch, norm in module.gradient_norms.items() if batch > self.seen}
        self.seen = len(module.train_losses)
        limit = _largest_norm(module.settings)
        found = torch.stack([_first(losses, math.inf, module), _first(norms, limit, module)])
        loss, norm = trainer.strategy.reduce(found, reduce_op="min").tolist()
        if min(loss, norm) < math.inf:
            where = f"epoch {trainer.current_epoch + 1}, batch {min(loss, norm):.0f}"
            raise RunError(_reason(where, norm < loss, module.settings))


def _first(values: dict[int, Tensor], limit: float, module: TrainingModule) -> Tensor:
    """Return the first number whose value is not below a limit, infinity if there is none."""
    none = torch.tensor(math.inf, device=module.device)
    if not values or math.isnan(limit):
        return none
    numbers = torch.tensor(list(values), device=module.device)
    return torch.where(torch.stack(list(values.values())) < limit, none, numbers).min()


def _largest_norm(settings: TrainingSettings) -> float:
    """Return the norm of gradients that lead nowhere; not a number if there is none.

    Clipping copes with large ones, half precision with infinite ones: it leaves out such a step.
    """
    if settings.precision == "16-mixed":
        return math.nan
    return _EXPLODED if settings.gradient_clip is None else math.inf


def _reason(where: str, exploded: bool, settings: TrainingSettings) -> str:
    clip = "set gradient_clip" if settings.gradient_clip is None else "lower gradient_clip"
    problem = "the gradients exploded" if exploded else "the loss is not finite"
    return f"{problem} in {where}: lower the learning rate or {clip}"
