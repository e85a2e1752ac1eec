"""Settings of a search: how the next trials are found, how many there are, and what ends them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from molcryst_bench.base.settings import Settings

Method = Literal["cbo", "random"]
Surrogate = Literal["ET", "RF", "GP"]
Acquisition = Literal["UCB", "EI", "PI"]
MultiPoint = Literal["cl_min", "cl_mean", "cl_max", "qUCB"]
Cost = Literal["none", "parameters", "inference"]


class Strategy(Settings):
    """How the next settings to try are found."""

    method: Method = Field(default="cbo", description="Bayesian optimisation, or drawing at random")
    surrogate: Surrogate = Field(default="ET", description="model of the error over the space")
    acquisition: Acquisition = Field(default="UCB", description="what the next settings maximise")
    multi_point: MultiPoint = Field(
        default="cl_max", description="how several are proposed at once, for idle workers"
    )


class TuningSettings(Strategy):
    """Settings of one search."""

    trials: int = Field(default=50, gt=0, description="with those before a break")
    seed: int = Field(default=0, ge=0, description="of proposals, weights and order")
    epochs: int | None = Field(default=None, gt=0, description="no trial trains for more")
    training_items: int | None = Field(
        default=None, gt=0, description="a fixed part of the training subset that trials train on"
    )
    halving: int = Field(
        default=3, gt=0, description="after N, N², ... epochs the best 1/N go on; 1: all"
    )
    cost: Cost = Field(
        default="none",
        description="second objective, beside the error: number of weights, or time to predict; "
        "then all trials go on to their last epoch",
    )

    @property
    def keep(self) -> int:
        """One of how many trials goes on at a rung; the cheap are not ended for being worse."""
        return self.halving if self.cost == "none" else 1


class SearchSettings(TuningSettings):
    """Settings of a search in a space that has a name."""

    space: str = Field(default="paper", description="a .yaml file, or the name of one")
