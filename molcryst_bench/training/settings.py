"""How a model is trained."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveInt

from molcryst_bench.base.settings import Settings


class TrainingSettings(Settings):
    """Settings of one training run; closed-form baselines need none of them."""

    epochs: int = Field(default=100, gt=0, description="passes over the training set")
    batch_size: int = Field(default=32, gt=0, description="graphs in a batch, on all devices")
    accumulate: int = Field(default=1, gt=0, description="batches whose gradients make one step")
    optimizer: Literal["sgd", "torch_adam", "torch_adamw", "lamb"] = "torch_adamw"
    learning_rate: float = Field(default=1e-3, gt=0, description="its largest value")
    weight_decay: float = Field(default=0.0, ge=0)
    schedule: Literal["constant", "cosine", "one_cycle", "plateau"] = Field(
        default="cosine",
        description="of the learning rate: cosine falls to zero at the end; one_cycle rises and "
        "falls; plateau halves it when the validation error stays",
    )
    warmup: float = Field(
        default=0.05, ge=0, lt=1, description="part of all steps in which the rate rises"
    )
    plateau_patience: int = Field(
        default=10, gt=0, description="epochs without a better one before plateau halves the rate"
    )
    gradient_clip: float | None = Field(default=10.0, gt=0, description="largest gradient norm")
    loss: Literal["l1", "l2"] = Field(default="l1", description="on normalised targets")
    energy_weight: float = Field(
        default=0.05, ge=0, description="of the energies in the loss, where forces are learnt"
    )
    forces_weight: float = Field(
        default=0.95, ge=0, description="of the forces in the loss, where they are learnt"
    )
    average: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="decay per step of an exponential moving average of the weights; 0 for none",
    )
    patience: int | None = Field(
        default=None, gt=0, description="epochs without a better one before training ends early"
    )
    precision: Literal["32-true", "64-true", "bf16-mixed", "16-mixed"] = "32-true"
    device: Literal["auto", "cpu", "gpu"] = "auto"
    devices: PositiveInt | Literal["auto"] = Field(
        default=1, description="of each node that share every batch; auto for all GPUs"
    )
    nodes: PositiveInt = Field(
        default=1, description="machines; more than one are started by srun or torchrun"
    )
