"""What a search is to be like, and a search made from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from molcryst_bench.base.code import code_digest
from molcryst_bench.models.registry import get_model_class
from molcryst_bench.tuning.halving import Halving
from molcryst_bench.tuning.proposer import Proposer
from molcryst_bench.tuning.search import Search
from molcryst_bench.tuning.settings import TuningSettings
from molcryst_bench.tuning.space import Space
from molcryst_bench.tuning.trial import Outcome, Subject, run_trial

RUNGS = "rungs.json"


def plan_search(
    subject: Subject,
    space: Space,
    settings: TuningSettings,
    folder: Path,
    run: Callable[..., Outcome] = run_trial,
) -> Search:
    """Return a search of which nothing is done yet.

    Args:
        subject: trained with its own settings first.
        space: of what others change.
        settings: of the search.
        folder: for its files.
        run: runs a trial of the subject.

    Raises:
        SettingsError: if the surrogate cannot cope with the space.
    """
    return Search(
        space=space,
        start=subject.start(),
        run=partial(run, subject),
        proposer=Proposer(space, settings, settings.seed, folder),
        halving=Halving(folder / RUNGS, settings.keep),
        origin=settings.method,
        error_unit=subject.error_unit,
        budget=settings.trials,
        cost=settings.cost,
        code=code_of(subject.model),
    )


def identity_of(subject: Subject, space: Space, settings: TuningSettings) -> dict[str, Any]:
    """Return all that decides what a search finds, as JSON; a larger budget goes on with it."""
    return {
        "task": subject.task.name,
        "model": subject.model,
        "start": subject.start(),
        "space": plain_space(space),
        "settings": settings.model_dump(exclude={"trials", "space"}),
        "code": code_of(subject.model),
    }


def code_of(model: str) -> str:
    """Return the digest of all code that a trial of a model runs through."""
    return code_digest(get_model_class(model).__module__, run_trial.__module__)


def plain_space(space: Space) -> list[Any]:
    """Return a space as JSON gives it back."""
    return [_plain(asdict(parameter)) for parameter in space.parameters]


def _plain(content: Any) -> Any:
    """Return content as JSON gives it back: with lists for tuples."""
    if isinstance(content, dict):
        return {key: _plain(value) for key, value in content.items()}
    return [_plain(each) for each in content] if isinstance(content, list | tuple) else content
