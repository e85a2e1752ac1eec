"""Which models are looked into after the benchmark, and how closely."""

from __future__ import annotations

from pydantic import Field, NonNegativeInt, PositiveInt

from molcryst_bench.base.settings import Settings


class InterpretSettings(Settings):
    """Attributions, maps and roughness of every graph network on some of the tasks.

    Time goes as the number of tasks times that of the networks. Of each, ``checked`` structures
    cost the most where a network is slow, and ``embedded`` ones where it is fast.
    """

    tasks: list[str] = Field(min_length=1, description="of bench.tasks")
    explained: int = Field(default=100, ge=2, description="test structures whose values add up")
    drawn: NonNegativeInt = Field(default=4, description="of these are drawn")
    checked: int = Field(default=20, ge=3, description="test structures for the faithfulness")
    steps: int = Field(default=512, ge=16, description="of integrated gradients, at most")
    embedded: int = Field(
        default=13_400, ge=20, description="structures of the maps and of the roughness"
    )
    width: PositiveInt = Field(
        default=16, description="principal components, to compare roughness at equal width"
    )
    resamples: int = Field(default=20, ge=10, description="of structures, for its bounds")
    seed: int = Field(default=0, description="of all draws and maps")
