"""What DeepHyper proposes to try next, and what it is told."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from molcryst_bench.base.errors import SettingsError
from molcryst_bench.tuning.distributions import Distribution, Range
from molcryst_bench.tuning.settings import Strategy
from molcryst_bench.tuning.space import Parameter, Space

Objectives = tuple[float, ...]  # an error, and perhaps a cost
_FORESTS = ("ET", "RF")
_POINTS, _POINTS_WITH_CONDITIONS = 10_000, 2_000  # the latter are drawn one by one
_TINY = 1e-300


class Proposer:
    """Proposes codes of settings; equal questions and answers give equal proposals.

    Bayesian optimisation is the centralised one of DeepHyper (Egelé et al. 2023, arXiv 2207.00479).
    It maximises its acquisition function over random points, as many as can be drawn in a few
    tenths of a second; the genetic algorithm that is DeepHyper's default takes seconds.
    """

    def __init__(self, space: Space, strategy: Strategy, seed: int, folder: Path) -> None:
        """Propose nothing yet.

        Args:
            space: to search.
            strategy: of the search.
            seed: of all that is drawn.
            folder: that exists; DeepHyper wants one, and writes nothing to it here.

        Raises:
            SettingsError: if the surrogate cannot cope with the space.
        """
        from deephyper.hpo import CBO, RandomSearch

        conditional = any(parameter.when for parameter in space.parameters)
        if conditional and strategy.surrogate == "GP":
            message = "the surrogate GP cannot search a space with conditions ('when')"
            raise SettingsError(f"{message}: choose ET or RF")
        common = {"random_state": seed, "log_dir": str(folder), "checkpoint_history_to_csv": False}
        problem = _problem(space)
        if strategy.method == "random":
            self._search = RandomSearch(problem, **common)
            return
        disentangled = "d" * (
            strategy.surrogate in _FORESTS
        )  # leaves out noise, which they have not
        self._search = CBO(
            problem,
            surrogate_model=strategy.surrogate,
            acq_func=strategy.acquisition + disentangled,
            acq_optimizer="sampling",
            acq_optimizer_kwargs={
                "n_points": _POINTS_WITH_CONDITIONS if conditional else _POINTS,
                "max_total_failures": -1,  # however many, the search goes on
            },
            multi_point_strategy=strategy.multi_point,
            moo_scalarization_strategy="AugChebyshev",  # finds fronts that bend inwards, too
            **common,
        )

    def ask(self, count: int) -> list[dict[str, Any]]:
        """Return the codes of several settings to try."""
        with _quiet():
            proposals: list[dict[str, Any]] = self._search.ask(count)
        return proposals

    def tell(self, results: Sequence[tuple[Mapping[str, Any], Objectives | None]]) -> None:
        """Learn what is to be small of each proposal, or that there is nothing: it failed."""
        if results:
            told = [(dict(proposal), _maximised(found)) for proposal, found in results]
            with _quiet():
                self._search.tell(told)


def _maximised(found: Objectives | None) -> Any:
    """Return what DeepHyper makes large: logarithms, whose differences are ratios.

    DeepHyper scales objectives to between their extremes; one trial that diverges would make all
    others the same.
    """
    if found is None:
        return "F"
    digits = tuple(-math.log10(max(value, _TINY)) for value in found)
    return digits if len(digits) > 1 else digits[0]


def _problem(space: Space) -> Any:
    import ConfigSpace
    from deephyper.hpo import HpProblem

    problem = HpProblem()
    added = {p.name: problem.add_hyperparameter(_dimension(p)) for p in space.parameters}
    for parameter in space.parameters:
        conditions = [
            ConfigSpace.InCondition(
                added[parameter.name], added[parent], _codes(space, parent, values)
            )
            for parent, values in parameter.when.items()
        ]
        if conditions:
            joined = ConfigSpace.AndConjunction(*conditions) if conditions[1:] else conditions[0]
            problem.add_condition(joined)
    return problem


def _codes(space: Space, name: str, values: Sequence[Any]) -> list[Any]:
    distribution: Distribution = next(p.distribution for p in space.parameters if p.name == name)
    return [distribution.coded(value) for value in values]


def _dimension(parameter: Parameter) -> Any:
    """Return ConfigSpace's form of a parameter."""
    import ConfigSpace.hyperparameters as kinds

    name, found = parameter.name, parameter.distribution
    if not isinstance(found, Range):
        places = list(range(len(found.values)))
        if found.ordered:
            return kinds.OrdinalHyperparameter(name, places)
        return kinds.CategoricalHyperparameter(name, places)
    low, high = found.bounds()
    log = found.log and found.mean is None
    if found.whole:
        return kinds.UniformIntegerHyperparameter(name, int(low), int(high), log=log)
    return kinds.UniformFloatHyperparameter(name, low, high, log=log)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence advice on the way in which DeepHyper uses its libraries."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
