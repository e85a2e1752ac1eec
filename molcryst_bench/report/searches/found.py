"""All that is told of the searches for one model on one task: tables, words and figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from matplotlib.figure import Figure

from molcryst_bench.report.columns import Column
from molcryst_bench.report.searches import figures
from molcryst_bench.report.searches.front import Front, front_of
from molcryst_bench.report.searches.importance import Importance, importance_of
from molcryst_bench.report.searches.reading import Comparison
from molcryst_bench.report.searches.summary import published_in_words, summary_columns, verdict
from molcryst_bench.report.searches.trials import TOP, best_trials, start_trials, trial_columns


@dataclass(frozen=True)
class Listed:
    """A table with what stands above it."""

    title: str
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class Drawn:
    """A figure with what stands below it, which also serves those who cannot see it."""

    name: str
    figure: Figure
    caption: str


@dataclass(frozen=True)
class Findings:
    """What has been found, as all outputs show it."""

    comparison: Comparison

    @property
    def title(self) -> str:
        """Model and task."""
        return self.comparison.title

    @property
    def words(self) -> list[str]:
        """Sentences about methods and their start, and what to be careful about."""
        found = [verdict(self.comparison), published_in_words(self.comparison)]
        return [*filter(None, found), *self.comparison.notes]

    @property
    def summary(self) -> Listed:
        """Least errors and deviations of all methods."""
        return Listed("Least errors and deviations", summary_columns(self.comparison))

    @property
    def top(self) -> list[Listed]:
        """The best trials of each method, and what they started from."""
        rows = [
            (f"The best {TOP} trials of {method.name}", best_trials(method))
            for method in self.comparison.methods
        ]
        rows.append(("The settings at the start", start_trials(self.comparison)))
        return [Listed(t, trial_columns(self.comparison, r)) for t, r in rows if r]

    @cached_property
    def front(self) -> Front | None:
        """Error against cost, where that was searched."""
        return front_of(self.comparison)

    @property
    def fronts(self) -> list[Listed]:
        """The trials that no other beats in error and cost."""
        if self.front is None:
            return []
        columns = trial_columns(self.comparison, self.front.chosen)
        return [Listed("The Pareto front, from the cheapest on", columns)]

    @cached_property
    def importance(self) -> Importance | None:
        """How much each hyperparameter matters, if there are enough trials."""
        return importance_of(self.comparison)

    @property
    def importance_table(self) -> Listed | None:
        """The same as a table."""
        if self.importance is None:
            return None
        return Listed("Importance of hyperparameters", self.importance.columns)

    def draw(self) -> list[Drawn]:
        """Draw all figures, in the order in which they are shown."""
        of, unit = self.comparison, self.comparison.unit
        repeats = max(len(method.searches) for method in of.methods)
        drawn = [
            Drawn(
                "distributions",
                figures.distributions(of),
                f"Validation error in {unit} of each trial (dot), middle half of them (box) and "
                "median (line). Trials that were ended early have the error that they had then.",
            ),
            Drawn(
                "best",
                figures.best_so_far(of),
                f"Least validation error in {unit} after each trial: median over {repeats} "
                f"repeat{'s' * (repeats > 1)} (line), from the least to the largest (band). "
                "The dashed line is the settings at the start.",
            ),
        ]
        if self.importance is not None:
            drawn.append(Drawn("importance", figures.importance(self.importance), _IMPORTANCE))
        if self.front is not None:
            caption = f"Validation error in {unit} against {self.front.label} of trials that went "
            caption += "on to their last epoch; no other trial beats those of the front in both."
            drawn.append(Drawn("front", figures.front(self.front, unit), caption))
        return drawn


_IMPORTANCE = (
    "By how much the error of a forest that predicts log errors grows if a hyperparameter's values "
    "are shuffled among trials that it has not seen, in parts of the variance; bars: standard "
    "deviation over folds."
)


def findings_of(comparisons: Sequence[Comparison]) -> list[Findings]:
    """Return what there is to tell of some searches."""
    return [Findings(comparison) for comparison in comparisons]
