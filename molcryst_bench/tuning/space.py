"""A search space: the hyperparameters of a training and of a model, and what they may be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from molcryst_bench.tuning.distributions import Distribution, Range


@dataclass(frozen=True)
class Parameter:
    """A setting that is searched."""

    name: str
    distribution: Distribution
    when: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    """Values of other parameters with which this one counts; with others it keeps its start."""


@dataclass(frozen=True)
class Space:
    """What is searched for one model; a parameter stands after those that it depends on."""

    of_training: tuple[Parameter, ...]
    of_model: tuple[Parameter, ...]

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """All parameters."""
        return self.of_training + self.of_model

    def settings(self, proposal: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of the parameters that count.

        Args:
            proposal: codes of all parameters, as the optimiser sees them.
        """
        settings: dict[str, Any] = {}
        for parameter in self._parents_first():
            if _counts(parameter, settings):
                code = proposal[parameter.name]
                settings[parameter.name] = parameter.distribution.decoded(code)
        return {p.name: settings[p.name] for p in self.parameters if p.name in settings}

    def proposal(self, settings: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the codes of settings, or none if they are outside the space."""
        codes = {}
        counting: dict[str, Any] = {}
        for parameter in self._parents_first():
            name, distribution = parameter.name, parameter.distribution
            value = settings[name]
            if not _counts(parameter, counting):
                value = distribution.examples()[0]
            elif not distribution.contains(value):
                return None
            else:
                counting[name] = value
            codes[name] = distribution.coded(value)
        return codes

    def within(self, epochs: int) -> Space:
        """Return the space with no more than a number of epochs.

        If all that it has are more, the epochs are not searched any more.
        """
        kept = []
        for parameter in self.of_training:
            distribution = parameter.distribution
            if parameter.name == "epochs" and isinstance(distribution, Range):
                if epochs <= distribution.low:
                    continue
                parameter = replace(parameter, distribution=distribution.narrowed(epochs))
            kept.append(parameter)
        return replace(self, of_training=tuple(kept))

    def _parents_first(self) -> list[Parameter]:
        """Return the parameters, each after those that it depends on."""
        ordered: dict[str, Parameter] = {}
        waiting = list(self.parameters)
        while waiting:
            ready = [p for p in waiting if all(parent in ordered for parent in p.when)]
            ordered |= {p.name: p for p in ready}
            waiting = [p for p in waiting if p.name not in ordered]
        return list(ordered.values())


def _counts(parameter: Parameter, settings: Mapping[str, Any]) -> bool:
    """Return whether the parameters before have the values that this one waits for."""
    return all(
        parent in settings and settings[parent] in values
        for parent, values in parameter.when.items()
    )
