"""Which molecules trained models are run on, and how."""

from __future__ import annotations

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from molcryst_bench.base.settings import Settings


class DynamicsSettings(Settings):
    """Molecular dynamics with every model that has learnt forces, beside the benchmark."""

    molecules: dict[str, list[str]] = Field(
        default={
            "ethanol": ["ethanol", "n-propanol", "isopropanol"],
            "uracil": ["uracil", "pyrimidine", "naphthalene"],
        },
        description="for each molecule that models are trained on, those that they are run on",
    )
    seeds: list[int] = Field(default=[0], min_length=1, description="of the models to run")
    steps: PositiveInt = Field(default=100_000, description="of each replica, at constant energy")
    time_step: PositiveFloat = Field(default=0.1, description="in fs")
    equilibration: NonNegativeInt = Field(
        default=10_000, description="steps before these, with a thermostat"
    )
    temperature: PositiveFloat = Field(default=500.0, description="of the thermostat in K")
    replicas: int = Field(default=8, ge=2, description="that start with other velocities")
    every: PositiveInt = Field(default=100, description="steps from one frame to the next")

    @property
    def length(self) -> float:
        """Length of a run in fs, without the equilibration."""
        return self.steps * self.time_step
