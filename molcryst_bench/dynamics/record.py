"""What a run of the transfer benchmark leaves behind: ``score.json``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, ValidationError

from molcryst_bench.base.files import write_json
from molcryst_bench.base.settings import Settings

SCORE = "score.json"
_COUNTED = ("length", "angle")


class Curve(Settings):
    """A density in bins."""

    density: list[float] = Field(description="per Å or per degree")
    low: list[float] = Field(description="95 % interval, and so on")
    high: list[float]


class ClassScore(Settings):
    """One class of bond lengths, bond angles or torsions; values in ``unit``."""

    name: str
    kind: Literal["length", "angle", "torsion"]
    unit: str
    members: int
    edges: list[float]
    mean: float | None = None  # of the run; nothing without a frame
    deviation: float | None = None
    curve: Curve | None = None
    reference_mean: float | None = None  # nothing where there is no reference
    reference_deviation: float | None = None
    reference_curve: Curve | None = None
    distance: float | None = None
    distance_low: float | None = None
    distance_high: float | None = None
    noise: float | None = None  # of the reference: halves of it from one another
    own_noise: float | None = None  # of the run
    scale: float | None = None  # mean difference of two frames of the reference

    @property
    def counts(self) -> bool:
        """Whether the score counts it."""
        return self.kind in _COUNTED and self.distance is not None

    @property
    def least(self) -> float:
        """The distance that could be told from none."""
        return float(np.nanmax([self.noise or np.nan, self.own_noise or np.nan]))


class ForceErrors(Settings):
    """Errors of forces on frames of the molecule that the model has not seen, with their unit."""

    unit: str
    mae: float  # over components
    size: float  # mean size of the components
    frames: int


class TransferScore(Settings):
    """All that a run of one model on one molecule has come to."""

    task: str
    model: str
    seed: int
    molecule: str
    key: str
    problem: str = ""  # why there was no run
    replicas: int = 0
    length: float = 0.0  # fs, that each replica was to last
    time_step: float = 0.0  # fs
    failed: int = 0
    first_failure: float | None = None  # fs
    reasons: tuple[str, ...] = ()
    survival: float = 0.0  # mean part of the time that replicas have lasted
    drift: tuple[float, float, float] | None = None  # meV/atom/ps, with 95 % interval
    temperature: tuple[float, float, float] | None = None  # K
    forces: ForceErrors | None = None
    reference: str = ""  # what it is
    reference_frames: int = 0
    classes: tuple[ClassScore, ...] = ()
    score: float | None = None  # nothing without a reference
    best: float | None = None  # the score of a distance that is all noise
    seconds: float = 0.0  # that the run took

    @property
    def at_home(self) -> bool:
        """Whether the model was trained on this molecule."""
        return self.task.partition("/")[2].partition("@")[0] == self.molecule

    @property
    def name(self) -> str:
        """Its place under ``leaderboard/dynamics``."""
        return f"{self.task}/{self.model}/{self.seed}/{self.molecule}"


def read_score(folder: Path) -> TransferScore | None:
    """Return the score in the folder of a run, or nothing where there is none to trust."""
    try:
        content = json.loads((folder / SCORE).read_text(encoding="utf-8"))
        return TransferScore.model_validate(content)
    except (OSError, ValueError, ValidationError):
        return None


def write_score(folder: Path, score: TransferScore) -> None:
    """Write a score into the folder of its run."""
    write_json(folder / SCORE, score.model_dump())
