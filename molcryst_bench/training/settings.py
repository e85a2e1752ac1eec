"""How a model is trained."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from molcryst_bench.base.settings import Settings


class TrainingSettings(Settings):
    """Settings of one training run; closed-form baselines need none of them."""

    epochs: int = Field(default=100, gt=0, description="passes over the training set")
    batch_size: int = Field(default=32, gt=0, description="graphs in a step")
    optimizer: Literal["sgd", "torch_adam", "torch_adamw"] = "torch_adamw"
    learning_rate: float = Field(default=1e-3, gt=0, description="its largest value")
    weight_decay: float = Field(default=0.0, ge=0)
    schedule: Literal["constant", "cosine"] = Field(
        default="cosine", description="of the learning rate; cosine falls to zero at the end"
    )
    warmup: float = Field(
        default=0.05, ge=0, lt=1, description="part of all steps in which the rate rises from zero"
    )
    gradient_clip: float | None = Field(default=10.0, gt=0, description="largest gradient norm")
    loss: Literal["l1", "l2"] = Field(default="l1", description="on normalised targets")
    precision: Literal["32-true", "64-true", "bf16-mixed", "16-mixed"] = "32-true"
    device: Literal["auto", "cpu", "gpu"] = "auto"
