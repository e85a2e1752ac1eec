"""One training run as Lightning sees it: the loss, the validation error and the optimiser."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import lightning as L
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils import clip_grad_norm_, get_total_norm
from torch.optim import Optimizer

from molcryst_bench.models.forces import energy_and_forces
from molcryst_bench.training.optimizers import create_optimizer, learning_rate
from molcryst_bench.training.regressor import Regressor, frozen
from molcryst_bench.training.settings import TrainingSettings
from molcryst_bench.training.task import Task

_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"l1": F.l1_loss, "l2": F.mse_loss}


class TrainingModule(L.LightningModule):
    """The loss, the validation error and the optimiser of one training run."""

    def __init__(
        self,
        regressor: Regressor,
        task: Task,
        settings: TrainingSettings,
        steps: int,
        past_errors: Sequence[float],
    ) -> None:
        super().__init__()
        self.regressor = regressor
        self.task = task
        self.settings = settings
        self.steps = steps
        self.past_errors = past_errors  # of validation, which grows with each epoch
        self.loss = _LOSSES[settings.loss]
        self.train_losses: list[Tensor] = []
        self.gradient_norms: dict[int, Tensor] = {}  # by the number of batches before the step
        self.valid_errors: list[Tensor] = []
        self.valid_force_errors: list[Tensor] = []

    def training_step(self, batch: Any) -> Tensor:
        """Return the loss of a batch."""
        targets = self.regressor.scaler.normalise(batch.targets[self.task.target], batch)
        loss = self._force_loss(batch, targets) if self.task.forces else self._loss(batch, targets)
        self.train_losses.append(loss.detach())
        return loss

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the norm of the gradients if it is to be, and keep what it was."""
        del optimizer, gradient_clip_algorithm
        weights = [each for each in self.regressor.parameters() if each.grad is not None]
        if gradient_clip_val is None:
            norm = get_total_norm([each.grad for each in weights if each.grad is not None])
        else:
            norm = clip_grad_norm_(weights, gradient_clip_val)
        self.gradient_norms[len(self.train_losses)] = norm.detach()

    def _loss(self, batch: Any, targets: Tensor) -> Tensor:
        outputs = self.regressor.model(batch).prediction[:, 0]  # (graphs,)
        weight: float = batch.share.of_graphs
        return weight * self.loss(outputs, targets.to(outputs.dtype))

    def _force_loss(self, batch: Any, targets: Tensor) -> Tensor:
        """Weigh energies and forces, both divided by the same scale."""
        energy, forces = energy_and_forces(self.regressor.model, batch, create_graph=True)
        wanted = batch.targets[self.task.forces] / self.regressor.scaler.scale  # (nodes, 3)
        of_energy = self.loss(energy, targets.to(energy.dtype))
        of_forces = self.loss(forces, wanted.to(forces.dtype))
        share, settings = batch.share, self.settings
        energy_weight: float = settings.energy_weight * share.of_graphs
        forces_weight: float = settings.forces_weight * share.of_atoms
        return energy_weight * of_energy + forces_weight * of_forces

    def validation_step(self, batch: Any) -> None:
        """Keep the errors of a batch, in the error units of the task."""
        if not batch.share.of_graphs:
            return
        target = batch.targets[self.task.target]  # (graphs,)
        if self.task.forces_definition is None:
            energy = self.regressor(batch)
        else:
            with frozen(self.regressor):
                energy, forces = self.regressor.energy_and_forces(batch)
            error = (forces - batch.targets[self.task.forces]).abs()  # (nodes, 3)
            factor = self.task.forces_definition.error_factor
            self.valid_force_errors.append(error.flatten() * factor)
        self.valid_errors.append((energy - target).abs() * self.task.definition.error_factor)

    def forget(self) -> None:
        """Begin a new epoch."""
        for values in (self.train_losses, self.valid_errors, self.valid_force_errors):
            values.clear()
        self.gradient_norms.clear()

    def configure_optimizers(self) -> Any:
        """Return the optimiser and its schedule, which moves with every step."""
        optimizer = create_optimizer(self.regressor.model.parameters(), self.settings)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self._rate)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def _rate(self, step: int) -> float:
        return learning_rate(self.settings, step, self.steps, self.past_errors)


def checked(module: L.LightningModule) -> TrainingModule:
    """Return a module as the one that callbacks here know."""
    if not isinstance(module, TrainingModule):
        raise TypeError(f"{type(module).__name__} is not a TrainingModule")
    return module
