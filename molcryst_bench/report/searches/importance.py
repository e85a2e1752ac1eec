"""How much each hyperparameter matters, as far as the trials of a search can tell."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from molcryst_bench.report.columns import Column
from molcryst_bench.report.formatting import number, with_spread
from molcryst_bench.report.searches.reading import Comparison
from molcryst_bench.tuning.distributions import Choice
from molcryst_bench.tuning.journal import Trial
from molcryst_bench.tuning.space import Parameter

FEWEST = 15  # trials with an error; fewer tell nothing
_FEW = 10  # trials for each hyperparameter
_FOLDS, _SHUFFLES, _TREES = 5, 5, 60
_LITTLE = 0.3


@dataclass(frozen=True)
class Importance:
    """Importance of hyperparameters: by what part of the variance errors of prediction grow.

    A forest predicts the logarithm of the error from the settings. A hyperparameter's values are
    shuffled among trials that the forest has not seen, and the mean square error of its predictions
    grows the more, the more it relied on them (Breiman 2001, doi 10.1023/A:1010933404324).
    """

    names: tuple[str, ...]  # from the most important on
    means: tuple[float, ...]  # over folds, in parts of the variance of the logarithm
    deviations: tuple[float, ...]  # over folds
    trials: int
    r2: float  # of the forest, on trials that it has not seen

    @property
    def caution(self) -> str:
        """Say how far this can be trusted."""
        of = f"From {self.trials:,} trials of {len(self.names)} hyperparameters"
        said = f"{of}; the forest's R² on trials that it has not seen is {number(self.r2, 2)}."
        if self.r2 < _LITTLE:
            return f"{said} That is too little to read anything from these numbers."
        if self.trials < _FEW * len(self.names):
            return f"{said} These are few trials: take the order of the first ones alone."
        return said

    @property
    def columns(self) -> tuple[Column, ...]:
        """As a table."""
        pairs = zip(self.means, self.deviations, strict=True)
        texts = [with_spread(mean, deviation, 3) for mean, deviation in pairs]
        header = "Importance (growth of squared log error, in parts of its variance)"
        return (
            Column("setting", "Hyperparameter", self.names, self.names),
            Column("importance", header, tuple(texts), self.means),
        )


def importance_of(comparison: Comparison) -> Importance | None:
    """Return the importance of each hyperparameter; nothing if there are too few trials.

    All trials with an error count, of all methods and repeats, those with the settings to start
    from and those that were ended early among them.
    """
    from sklearn.ensemble import ExtraTreesRegressor
    from sklearn.inspection import permutation_importance
    from sklearn.model_selection import KFold

    trials = [t for search in comparison.searches for t in search.trials if t.error]
    if len(trials) < FEWEST:
        return None
    inputs = np.column_stack([_codes(each, trials) for each in comparison.parameters])  # (t, p)
    errors = np.log10([t.error for t in trials if t.error])  # (t,)
    variance = float(errors.var()) or 1.0
    folds = KFold(_FOLDS, shuffle=True, random_state=0)
    grown, squares = [], []
    for known, unseen in folds.split(inputs):
        forest = ExtraTreesRegressor(_TREES, random_state=0).fit(inputs[known], errors[known])
        squares.append(float(np.mean((forest.predict(inputs[unseen]) - errors[unseen]) ** 2)))
        found = permutation_importance(
            forest,
            inputs[unseen],
            errors[unseen],
            scoring="neg_mean_squared_error",
            n_repeats=_SHUFFLES,
            random_state=0,
        )
        grown.append(found.importances_mean / variance)
    names = [parameter.name for parameter in comparison.parameters]
    return _sorted(names, np.array(grown), len(trials), 1 - float(np.mean(squares)) / variance)


def _sorted(names: list[str], grown: np.ndarray, trials: int, r2: float) -> Importance:
    """Sum up what was found in each fold, (folds, parameters)."""
    means, deviations = grown.mean(0), grown.std(0, ddof=1)
    order = np.argsort(-means, kind="stable")
    return Importance(
        tuple(names[each] for each in order),
        tuple(means[order].tolist()),
        tuple(deviations[order].tolist()),
        trials,
        r2,
    )


def _codes(parameter: Parameter, trials: list[Trial]) -> np.ndarray:
    """Return a number for the value in each trial; one below all others where it did not count."""
    codes = np.array([_code(parameter, trial) for trial in trials])
    known = codes[np.isfinite(codes)]
    below = known.min() - 1 if len(known) else 0.0
    return np.where(np.isfinite(codes), codes, below)


def _code(parameter: Parameter, trial: Trial) -> float:
    value = trial.settings.get(parameter.name)
    distribution = parameter.distribution
    if isinstance(distribution, Choice):
        return float(distribution.coded(value)) if distribution.contains(value) else math.nan
    if value is None:
        return math.nan
    if not distribution.log:
        return float(value)
    return math.log10(value) if value > 0 else math.nan
