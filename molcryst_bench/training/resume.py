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

from molcryst_bench.base.errors import RunError, StoppedError
from molcryst_bench.base.files import whole_file
from molcryst_bench.base.stopping import heed_signals, told_to_stop

CHECKPOINT_SECONDS = 20.0  # of work that a kill may cost


class Checkpoints(L.Callback):
    """Writes a checkpoint now and then, and brings the random numbers back.

    Work that is told to stop does so at the end of an epoch, with a checkpoint.
    """

    def __init__(self, path: Path, seconds: float) -> None:
        self.path = path
        self.seconds = seconds
        self.written = time.perf_counter()

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Heed signals where Lightning would break off in the middle of an epoch."""
        heed_signals()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write a checkpoint if the last one is old enough; all ranks, because they meet there."""
        stop = told_to_stop()
        due = stop or time.perf_counter() - self.written >= self.seconds
        due, stop = trainer.strategy.broadcast((due, stop))  # by the clock of the first rank
        if due:
            self._write(trainer)
        if stop:
            epoch = f"epoch {trainer.current_epoch + 1} of {trainer.max_epochs}"
            raise StoppedError(f"told to stop; there is a checkpoint after {epoch}")

    def _write(self, trainer: L.Trainer) -> None:
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
