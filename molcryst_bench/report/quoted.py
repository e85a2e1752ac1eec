"""Results that others have published, quoted beside ours as they state them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from molcryst_bench.base.errors import SettingsError
from molcryst_bench.base.project import dataset_folder
from molcryst_bench.base.settings import Settings
from molcryst_bench.sources.card import Citation

PUBLISHED = "published.yaml"
Quantity = Literal["mae", "forces_mae"]
_NAMES: dict[Quantity, str] = {"forces_mae": "Force MAE", "mae": "MAE"}


class Publication(Settings):
    """Errors that one publication reports for one model, and how they came about."""

    model: str
    conditions: str = Field(description="of training and test, and what differs from here")
    citation: Citation
    quantity: Quantity = "mae"
    unit: str
    errors: dict[str, float] = Field(description="of each target or molecule")
    reproduced: str = Field(
        default="",
        description="name of our model of the same kind, where this is of the paper that the "
        "benchmark starts from: the page about the paper tells the difference",
    )


class Publications(Settings):
    """The file ``published.yaml`` beside the card of a dataset."""

    results: tuple[Publication, ...]


class Quoted(Settings):
    """What a publication says about one task."""

    model: str
    quantity: str
    error: float
    unit: str
    conditions: str
    citation: Citation
    reproduced: str = ""


def quoted_results(task: str, units: Mapping[Quantity, str | None]) -> tuple[Quoted, ...]:
    """Return what others have published about a task, the least errors first.

    Args:
        task: its name.
        units: of our errors.

    Raises:
        SettingsError: if ``published.yaml`` cannot be read, or has other units than ours.
    """
    dataset, _, name = task.partition("/")
    path = dataset_folder(dataset) / PUBLISHED
    if not path.exists():
        return ()
    found = []
    for one in Publications.load(path).results:
        if name not in one.errors:
            continue
        if one.unit != units[one.quantity]:
            message = f"{path}: {one.model}: {one.quantity} of {task} is in {one.unit}, here"
            raise SettingsError(f"{message} it is in {units[one.quantity]}: convert it")
        found.append(_quoted(one, name))
    return tuple(sorted(found, key=lambda each: (each.quantity, each.error)))


def _quoted(one: Publication, name: str) -> Quoted:
    return Quoted(
        model=one.model,
        quantity=_NAMES[one.quantity],
        error=one.errors[name],
        unit=one.unit,
        conditions=one.conditions,
        citation=one.citation,
        reproduced=one.reproduced,
    )
