"""How a run of molecular dynamics is made."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from molcryst_bench.base.settings import Settings


class RunSettings(Settings):
    """Defaults are 10 ps in steps of 0.1 fs at constant energy."""

    steps: int = Field(default=100_000, ge=0)
    time_step: float = Field(default=0.1, gt=0, allow_inf_nan=False, description="fs")
    temperature: float = Field(
        default=500.0, ge=0, allow_inf_nan=False, description="K, of the start and the thermostat"
    )
    replicas: int = Field(default=1, ge=1)
    seed: int = Field(default=0, ge=0)
    thermostat: Literal["none", "langevin"] = "none"
    friction: float = Field(default=0.01, gt=0, allow_inf_nan=False, description="1/fs")
    equilibration: int = Field(
        default=0, ge=0, description="steps with the thermostat before the first frame"
    )
    every: int = Field(default=10, ge=1, description="steps between two frames")
    chunk: int = Field(
        default=1_000, ge=1, description="steps between two times that all is on disk"
    )
