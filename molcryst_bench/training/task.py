"""A task: what of a dataset is to be predicted, and on which split it counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from molcryst_bench.base.errors import SettingsError, unknown_name
from molcryst_bench.base.project import splits_folder
from molcryst_bench.sources.card import Card, Target, list_datasets, load_card


@dataclass(frozen=True)
class Task:
    """Predict a target of a dataset, or an energy with its forces, of all records or one group."""

    dataset: str
    subject: str  # the target, or the group whose energies and forces are meant
    target: str  # of the graphs
    definition: Target
    split: str
    is_default_split: bool = True
    group: str = ""  # of the records; all of them by default
    forces: str = ""  # target of the atoms; empty if there is none
    forces_definition: Target | None = None

    @property
    def base_name(self) -> str:
        """The name without the split, such as ``qm9/homo`` or ``rmd17/ethanol``."""
        return f"{self.dataset}/{self.subject}"

    @property
    def name(self) -> str:
        """The full name, such as ``qm9/homo@scaffold``; the card's first split is not named."""
        return self.base_name if self.is_default_split else f"{self.base_name}@{self.split}"


def load_task(name: str) -> Task:
    """Find a task by its name, ``dataset/subject`` or ``dataset/subject@split``.

    Raises:
        SettingsError: if there is none of this name, with the nearest one that exists.
    """
    base, _, split = name.partition("@")
    dataset, _, subject = base.partition("/")
    if dataset not in list_datasets():
        raise SettingsError(unknown_name("task", base, list_tasks()))
    card = load_card(dataset)
    if subject not in _subjects(card):
        raise SettingsError(unknown_name("task", base, list_tasks()))
    splits = {*card.splits, *(path.stem for path in splits_folder(dataset).glob("*.parquet"))}
    if split and split not in splits:
        raise SettingsError(f"the task '{name}': {unknown_name('split', split, splits)}")
    return _task(card, subject, split)


def list_tasks() -> list[str]:
    """Return the names of all tasks of all datasets, on their default splits."""
    return [
        f"{dataset}/{subject}"
        for dataset in list_datasets()
        for subject in _subjects(load_card(dataset))
    ]


def _task(card: Card, subject: str, split: str) -> Task:
    default = next(iter(card.splits))
    chosen: dict[str, Any] = {"split": split or default, "is_default_split": split in ("", default)}
    field = card.force_field
    if field is None or subject not in _force_tasks(card):
        return Task(card.name, subject, subject, card.targets[subject], **chosen)
    return Task(
        card.name,
        subject,
        field.energy,
        card.targets[field.energy],
        group=subject if field.groups else "",
        forces=field.forces,
        forces_definition=card.targets[field.forces],
        **chosen,
    )


def _subjects(card: Card) -> list[str]:
    """Return the groups with energies and forces, and all targets that stand alone."""
    energy = card.force_field.energy if card.force_field else ""
    alone = [n for n, target in card.targets.items() if target.level == "graph" and n != energy]
    return [*_force_tasks(card), *alone]


def _force_tasks(card: Card) -> list[str]:
    field = card.force_field
    return [] if field is None else field.groups or [field.energy]
