"""What a search is to be like, and a search made from it."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import Field

from molcryst_bench.tuning.halving import Halving
from molcryst_bench.tuning.proposer import Proposer, Strategy
from molcryst_bench.tuning.search import Search
from molcryst_bench.tuning.space import Space
from molcryst_bench.tuning.trial import Subject, run_trial

RUNGS = "rungs.json"


class TuningSettings(Strategy):
    """Settings of one search."""

    trials: int = Field(default=50, gt=0, description="with those before a break")
    seed: int = Field(default=0, ge=0, description="of proposals, weights and order")
    epochs: int | None = Field(default=None, gt=0, description="no trial trains for more")
    halving: int = Field(
        default=3, gt=0, description="after N, N², ... epochs the best 1/N go on; 1: all"
    )


def plan_search(subject: Subject, space: Space, settings: TuningSettings, folder: Path) -> Search:
    """Return a search of which nothing is done yet.

    Args:
        subject: trained with its own settings first.
        space: of what others change.
        settings: of the search.
        folder: for its files.

    Raises:
        SettingsError: if the surrogate cannot cope with the space.
    """
    return Search(
        space=space,
        start=subject.start(),
        run=partial(run_trial, subject),
        proposer=Proposer(space, settings, settings.seed, folder),
        halving=Halving(folder / RUNGS, settings.halving),
        origin=settings.method,
        error_unit=subject.error_unit,
        budget=settings.trials,
    )


def identity_of(subject: Subject, space: Space, settings: TuningSettings) -> dict[str, Any]:
    """Return all that decides what a search finds, as JSON; a larger budget goes on with it."""
    return {
        "task": subject.task.name,
        "model": subject.model,
        "start": subject.start(),
        "space": [_plain(asdict(parameter)) for parameter in space.parameters],
        "settings": settings.model_dump(exclude={"trials"}),
    }


def _plain(content: Any) -> Any:
    """Return content as JSON gives it back: with lists for tuples."""
    if isinstance(content, dict):
        return {key: _plain(value) for key, value in content.items()}
    return [_plain(each) for each in content] if isinstance(content, list | tuple) else content
