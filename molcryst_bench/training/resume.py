"""Checkpoints of a run that goes on: what it takes to end with the same weights after a kill.

A checkpoint is a file of tensors and plain values. It is written whole or not at all, between
epochs, and read by torch's loader of weights, which runs no code from it.
"""

from __future__ import annotations

import pickle
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import lightning as L
import torch

from molcryst_bench.base.errors import RunError
from molcryst_bench.base.files import whole_file

CHECKPOINT_SECONDS = 20.0  # of work that a kill may cost


class Checkpoints(L.Callback):
    """Writes a checkpoint now and then, and brings the random numbers back."""

    def __init__(self, path: Path, seconds: float) -> None:
        self.path = path
        self.seconds = seconds
        self.written = time.perf_counter()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write a checkpoint if the last one is old enough; all ranks, because they meet there."""
        due = time.perf_counter() - self.written >= self.seconds
        if not trainer.strategy.broadcast(due):  # by the clock of the first rank
            return
        with whole_file(self.path) if trainer.is_global_zero else nullcontext(self.path) as partial:
            trainer.save_checkpoint(partial)
        self.written = time.perf_counter()

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the generators of random numbers."""
        devices = range(torch.cuda.device_count())
        return {
            "cpu": torch.get_rng_state(),
            "cuda": [torch.cuda.get_rng_state(d) for d in devices],
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Set the generators as they were."""
        torch.set_rng_state(state_dict["cpu"].cpu())
        states = [state.cpu() for state in state_dict["cuda"]]
        torch.cuda.set_rng_state_all(states[: torch.cuda.device_count()])


def check_readable(path: Path) -> None:
    """Make sure that a checkpoint is one.

    Raises:
        RunError: if it is not, or would run code.
    """
    try:
        torch.load(path, weights_only=True, map_location="cpu", mmap=True)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        reason = str(error).partition("\n")[0]
        message = f"{path} is not a checkpoint to go on from ({reason})"
        raise RunError(f"{message}: remove it to begin anew") from error
