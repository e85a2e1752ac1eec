"""The tables of finished and unfinished searches, those of one kind together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any, cast

import numpy as np

from molcryst_bench.base.errors import RunError
from molcryst_bench.base.files import digest_of
from molcryst_bench.tuning.distributions import Choice, Range
from molcryst_bench.tuning.journal import FAILED, STOPPED, TABLE, Trial, read_search
from molcryst_bench.tuning.search import PUBLISHED
from molcryst_bench.tuning.settings import Cost
from molcryst_bench.tuning.space import Parameter

_OF_METHOD = ("method", "surrogate", "acquisition", "multi_point")
_NAMES = {"cbo": "CBO", "random": "Random search"}


@dataclass(frozen=True)
class SearchTable:
    """One search: all that its ``search.parquet`` tells."""

    path: Path
    identity: dict[str, Any]
    trials: list[Trial]

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of the search."""
        return dict(self.identity["settings"])

    @property
    def seed(self) -> int:
        """Seed of the search."""
        return int(self.settings["seed"])

    @property
    def budget(self) -> int:
        """How many trials there are to be."""
        return int(self.identity["budget"])

    @cached_property
    def published(self) -> Trial | None:
        """The trial with the settings to start from."""
        return next((t for t in self.trials if t.origin == PUBLISHED), None)

    @cached_property
    def own(self) -> list[Trial]:
        """The trials that the search has proposed and that have ended, in the order they did."""
        ended = [t for t in self.trials if t.origin != PUBLISHED and t.told is not None]
        return sorted(ended, key=lambda trial: (trial.told, trial.trial))

    @cached_property
    def errors(self) -> np.ndarray:
        """Error of each trial of its own, (trials,); not a number for one that has failed."""
        return np.array([np.nan if t.error is None else t.error for t in self.own], float)

    @property
    def least(self) -> float:
        """The least error of its own trials; not a number if none has succeeded."""
        known = self.errors[np.isfinite(self.errors)]
        return float(known.min()) if len(known) else float("nan")

    @property
    def best_so_far(self) -> np.ndarray:
        """The least error after each trial, (trials,); not a number until one has succeeded."""
        least: np.ndarray = np.fmin.accumulate(self.errors)
        return least

    def count(self, status: str) -> int:
        """Return how many of its own trials have ended in some way."""
        return sum(trial.status == status for trial in self.own)


@dataclass(frozen=True)
class Method:
    """One way to search, with its repeats from different seeds."""

    name: str
    searches: tuple[SearchTable, ...]

    @cached_property
    def errors(self) -> np.ndarray:
        """The errors of all trials that have one, (trials,)."""
        errors = np.concatenate([search.errors for search in self.searches])
        known: np.ndarray = errors[np.isfinite(errors)]
        return known

    @property
    def trials(self) -> int:
        """How many trials have ended."""
        return sum(len(search.own) for search in self.searches)

    @property
    def failed(self) -> int:
        """How many of them have failed."""
        return sum(search.count(FAILED) for search in self.searches)

    @property
    def stopped(self) -> int:
        """How many of them were ended early for being worse than others."""
        return sum(search.count(STOPPED) for search in self.searches)

    @property
    def minima(self) -> np.ndarray:
        """The least error of each repeat that has one, (repeats,)."""
        minima = np.array([search.least for search in self.searches])
        known: np.ndarray = minima[np.isfinite(minima)]
        return known


@dataclass(frozen=True)
class Comparison:
    """All searches of one space for a model on a task, which differ in method and seed alone."""

    methods: tuple[Method, ...]

    @property
    def searches(self) -> list[SearchTable]:
        """All of them."""
        return [search for method in self.methods for search in method.searches]

    @property
    def first(self) -> SearchTable:
        """A search to ask for what all share."""
        return self.methods[0].searches[0]

    @property
    def task(self) -> str:
        """The task."""
        return str(self.first.identity["task"])

    @property
    def model(self) -> str:
        """The model."""
        return str(self.first.identity["model"])

    @property
    def digest(self) -> str:
        """Tells it from other searches of the same model on the same task."""
        return _kind(self.first)

    @property
    def title(self) -> str:
        """Model and task in words, and what else was to be small."""
        cost = {"parameters": ", for few parameters, too", "inference": ", for speed, too"}
        return f"{self.model} on {self.task}{cost.get(self.cost, '')}"

    @property
    def unit(self) -> str:
        """Unit of all errors."""
        return self.first.trials[0].error_unit

    @property
    def cost(self) -> Cost:
        """The second objective, or ``none``."""
        return cast(Cost, self.first.settings["cost"])

    @cached_property
    def parameters(self) -> list[Parameter]:
        """What is searched."""
        return [_parameter(each) for each in self.first.identity["space"]]

    @property
    def published(self) -> np.ndarray:
        """Errors with the settings to start from, one for each seed at most, (seeds,)."""
        trials = {s.seed: s.published.error for s in self.searches if s.published is not None}
        return np.array([error for error in trials.values() if error is not None], float)

    @property
    def notes(self) -> list[str]:
        """What a reader must know before trusting the numbers."""
        open_ends = [s for s in self.searches if len(s.trials) < s.budget or _running(s)]
        code = {trial.code for search in self.searches for trial in search.trials}
        found = []
        if open_ends:
            found.append(f"{len(open_ends)} of {len(self.searches)} searches are not finished.")
        if len(code) > 1:
            found.append("The code changed between trials: their errors may not compare.")
        return found


def read_comparisons(folders: Iterable[Path]) -> list[Comparison]:
    """Read all ``search.parquet`` files in folders and below.

    Raises:
        RunError: if a file cannot be read.
    """
    paths = sorted({path for folder in folders for path in folder.rglob(TABLE)})
    tables = [SearchTable(path, *read_search(path)) for path in paths]
    tables = [table for table in tables if table.trials]
    tables.sort(key=lambda table: (table.identity["task"], table.identity["model"], _kind(table)))
    return [_compare(list(group)) for _, group in groupby(tables, key=_kind)]


def require_comparisons(folders: Sequence[Path]) -> list[Comparison]:
    """Read searches where there must be some.

    Raises:
        RunError: if there is none, or a file cannot be read.
    """
    found = read_comparisons(folders)
    if not found:
        places = ", ".join(map(str, folders))
        raise RunError(f"no {TABLE} in {places}: run `molcryst tune TASK MODEL` first")
    return found


def _compare(tables: list[SearchTable]) -> Comparison:
    tables.sort(key=lambda table: (_method(table), table.seed))
    methods = [list(group) for _, group in groupby(tables, key=_method)]
    plain = len({tuple(table.settings[name] for name in _OF_METHOD[1:]) for table in tables}) == 1
    return Comparison(tuple(Method(_name(group[0], plain), tuple(group)) for group in methods))


def _method(table: SearchTable) -> tuple[str, ...]:
    """Return all that makes a method; random search has nothing to choose."""
    values = tuple(str(table.settings[name]) for name in _OF_METHOD)
    return values if values[0] == "cbo" else values[:1]


def _name(table: SearchTable, plain: bool) -> str:
    name, *details = _method(table)
    known = _NAMES.get(name, name)
    return known if plain or not details else f"{known} ({', '.join(details)})"


def _kind(table: SearchTable) -> str:
    """Return a digest of all that searches of a comparison share."""
    dropped = ("budget", "code", "settings")
    shared = {name: value for name, value in table.identity.items() if name not in dropped}
    settings = {k: v for k, v in table.settings.items() if k not in (*_OF_METHOD, "seed")}
    return digest_of([shared, settings])


def _parameter(content: dict[str, Any]) -> Parameter:
    given = content["distribution"]
    if "values" in given:
        return Parameter(content["name"], Choice(tuple(given["values"])), content["when"])
    return Parameter(content["name"], Range(**given), content["when"])


def _running(table: SearchTable) -> bool:
    return any(not trial.finished for trial in table.trials)
