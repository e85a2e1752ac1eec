"""What a look into a model leaves behind: ``look.json``, beside drawings and tables."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import ValidationError

from molcryst_bench.base.files import write_json
from molcryst_bench.base.settings import Settings

LOOK, EMBEDDINGS, PAGE, MAP = "look.json", "embeddings.parquet", "map.html", "map.svg"
Estimate = tuple[float, float, float]  # with 95 % bounds


class DrawnStructure(Settings):
    """A test structure whose atoms' values are drawn."""

    id: str
    file: str  # SVG, whose dark twin lies beside it
    formula: str
    prediction: float
    truth: float | None


class ShareRow(Settings):
    """What the atoms of one element or functional group have to do with the property."""

    kind: str
    structures: int
    atoms: int
    per_atom: Estimate
    size: Estimate  # over the mean of all atoms


class FaithRow(Settings):
    """One method in each test, see ``molcryst_bench.interpret.faithfulness``."""

    method: str
    deletion: Estimate | None
    insertion: Estimate | None
    with_random_weights: Estimate | None
    equivalent_atoms: float
    rotation: float
    with_integrated: Estimate | None
    between_seeds: Estimate | None


class MapRow(Settings):
    """How much a map keeps, see ``molcryst_bench.interpret.maps``."""

    method: str
    dimensions: int
    trustworthiness: float
    preservation: float
    neighbor_correlation: float | None


class RoughnessRow(Settings):
    """How rough the property is in a representation."""

    metric: str
    points: int
    width: int
    rogi: Estimate
    rogi_xd: Estimate
    shuffled: float
    shuffled_xd: float
    narrow_width: int | None = None  # principal components; nothing where there are fewer features
    narrow_rogi: float | None = None
    narrow_rogi_xd: float | None = None


class Look(Settings):
    """All that has been found out about one model, or one raw representation, on one task."""

    task: str
    representation: str
    seed: int
    trained: bool
    key: str
    quantity: str
    unit: str
    problem: str = ""  # why the representation says nothing about this task
    mae: float | None = None  # on the test set, in ``unit``
    relative_error: float | None = None  # of that, over the mean deviation of the test set
    explained: int = 0
    checked: int = 0
    embedded: int = 0
    draw: int = 0  # seed of all draws
    resamples: int = 0  # for the bounds of the roughness
    steps: int = 0  # of integrated gradients, at most
    seeds: int = 1  # that are compared
    drawn: tuple[DrawnStructure, ...] = ()
    elements: tuple[ShareRow, ...] = ()
    groups: tuple[ShareRow, ...] = ()
    faithfulness: tuple[FaithRow, ...] = ()
    maps: tuple[MapRow, ...] = ()
    roughness: RoughnessRow | None = None
    seconds: float = 0.0

    @property
    def place(self) -> str:
        """Its folder under ``leaderboard/interpret``."""
        last = str(self.seed) if self.trained else self.representation
        above = self.representation if self.trained else "raw"
        return f"{self.task}/{above}/{last}"


def read_look(folder: Path) -> Look | None:
    """Return what a look has left in a folder, or nothing where there is none to trust."""
    try:
        content = json.loads((folder / LOOK).read_text(encoding="utf-8"))
        return Look.model_validate(content)
    except (OSError, ValueError, ValidationError):
        return None


def write_look(folder: Path, look: Look) -> None:
    """Write it into its folder."""
    write_json(folder / LOOK, look.model_dump())
