"""Measured throughputs: how many graphs a second each model trains on, on which machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from molcryst_bench.base.errors import SettingsError, unknown_name
from molcryst_bench.base.settings import Settings

RATES = "conf/rates/measured.yaml"


class MachineRates(Settings):
    """What one worker of a kind of machine does."""

    threads: int = Field(gt=0, description="of the worker")
    datasets: dict[str, dict[str, float]] = Field(
        description="graphs a second in training with published settings, by dataset and model; "
        "of a formula, graphs of the training subset over the seconds of its fit"
    )

    def of(self, dataset: str, model: str) -> float | None:
        """Return the rate of a model on a dataset, where it has been measured."""
        return self.datasets.get(dataset, {}).get(model)


class Rates(Settings):
    """The content of ``conf/rates/measured.yaml``, which ``python -m benchmarks.rates`` writes."""

    machines: dict[str, MachineRates]

    def of_machine(self, name: str | None) -> MachineRates:
        """Return the rates of a machine; if none is named, of the first one, if there is any.

        Raises:
            SettingsError: for one that has not been measured, with the nearest that has.
        """
        if name is None:
            return next(iter(self.machines.values()), MachineRates(threads=1, datasets={}))
        if name not in self.machines:
            raise SettingsError(unknown_name("machine", name, self.machines))
        return self.machines[name]


def load_rates(root: Path) -> Rates:
    """Read the rates of a project."""
    return Rates.load(root / RATES)


def merged(
    rates: Rates, name: str, threads: int, found: Mapping[str, Mapping[str, float]]
) -> Rates:
    """Return rates with what has been measured on a machine in place of its older ones."""
    before = rates.machines.get(name)
    datasets = dict(before.datasets) if before is not None else {}
    for dataset, models in found.items():
        datasets[dataset] = {**datasets.get(dataset, {}), **models}
    own = MachineRates(threads=threads, datasets=datasets)
    return Rates(machines={**rates.machines, name: own})
