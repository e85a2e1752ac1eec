"""A task: one property of one dataset."""

from __future__ import annotations

from dataclasses import dataclass

from molcryst_bench.base.errors import SettingsError, unknown_name
from molcryst_bench.sources.card import Target, list_datasets, load_card


@dataclass(frozen=True)
class Task:
    """Predict ``target`` of ``dataset``."""

    dataset: str
    target: str
    definition: Target

    @property
    def name(self) -> str:
        """The name by which people call it, such as ``qm9/homo``."""
        return f"{self.dataset}/{self.target}"


def load_task(name: str) -> Task:
    """Find a task by its name.

    Raises:
        SettingsError: if there is none of this name, with the nearest one that exists.
    """
    dataset, _, target = name.partition("/")
    if dataset not in list_datasets():
        raise SettingsError(unknown_name("task", name, list_tasks()))
    targets = load_card(dataset).targets
    if target not in targets or targets[target].level != "graph":
        raise SettingsError(unknown_name("task", name, list_tasks()))
    return Task(dataset, target, targets[target])


def list_tasks() -> list[str]:
    """Return the names of all tasks of all datasets."""
    return [
        f"{dataset}/{name}"
        for dataset in list_datasets()
        for name, target in load_card(dataset).targets.items()
        if target.level == "graph"
    ]
