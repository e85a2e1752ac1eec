"""All registered models and what they say of themselves, for people and for programs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch

from molcryst_bench.base.errors import SettingsError
from molcryst_bench.models.interface import ClosedFormModel, Model, Purpose
from molcryst_bench.models.registry import (
    Registration,
    create_model,
    get_model_class,
    load_registered,
    registrations,
)
from molcryst_bench.report.documentation import ModelDocument, describe_model
from molcryst_bench.report.plain import as_text, body, references

_IDENTIFIER = re.compile(r"\b(?:doi 10\.\S+|arXiv [\d.]+\d)")
_UNWRAPPED = 10**6  # characters


@dataclass(frozen=True)
class ModelEntry:
    """A model in the list; one that cannot be used has a problem and little else."""

    name: str
    package: str  # that adds it; empty for the models of this project
    problem: str = ""
    title: str = ""
    kind: str = ""  # baseline or trained
    parameters: int | None = None  # with the default hyperparameters; none before a fit
    references: tuple[str, ...] = ()

    @property
    def identifiers(self) -> list[str]:
        """The doi or the arXiv number of each reference that has one."""
        return [found[0] for text in self.references if (found := _IDENTIFIER.search(text))]


def list_entries() -> list[ModelEntry]:
    """Describe all models by name, with those of other packages that cannot be used."""
    entries = map(_describe, registrations())
    return sorted(entries, key=lambda entry: (entry.name, entry.package))


def find_entry(name: str) -> ModelEntry:
    """Describe one model.

    Raises:
        SettingsError: if there is none of this name, or it cannot be used.
    """
    get_model_class(name)
    return _describe(next(each for each in registrations() if each.name == name))


def hyperparameters_of(name: str) -> dict[str, Any]:
    """Return the properties of the JSON Schema of a model's hyperparameters, by their names."""
    schema = get_model_class(name).Hyperparameters.model_json_schema()
    properties: dict[str, Any] = schema["properties"]
    return properties


def presets_of(name: str) -> dict[str, dict[str, Any]]:
    """Return what a model's paper sets for each kind of task: hyperparameters, then the training.

    The cut-off is left out, which is that of the neighbour lists.

    Raises:
        SettingsError: if there is no such model.
    """
    model = get_model_class(name)
    purposes = {
        "energy of molecules": Purpose(extensive=True, forces=False, periodic=False, cutoff=5.0),
        "property of molecules": Purpose(extensive=False, forces=False, periodic=False, cutoff=5.0),
        "energy and forces": Purpose(extensive=True, forces=True, periodic=False, cutoff=5.0),
        "property of crystals": Purpose(extensive=False, forces=False, periodic=True, cutoff=5.0),
    }
    presets = {}
    for kind, purpose in purposes.items():
        preset = {**model.hyperparameters_for(purpose), **model.training_for(purpose)}
        presets[kind] = {key: value for key, value in preset.items() if key != "cutoff"}
    return presets


def allowed_values(schema: dict[str, Any]) -> str:
    """Say which values the schema of a hyperparameter allows: ``> 0``, ``sum or mean``, ``any``."""
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(allowed_values(each) for each in schema["anyOf"]))
    if schema.get("type") == "null":
        return "none"
    if schema.get("type") == "boolean":
        return "true or false"
    if "enum" in schema:
        return " or ".join(map(str, schema["enum"]))
    return ", ".join(_bounds(schema)) or "any"


def type_name(schema: dict[str, Any]) -> str:
    """Say of which types a hyperparameter may be, in the words of JSON Schema."""
    types = [each.get("type", "object") for each in schema.get("anyOf", [schema])]
    return " or ".join(dict.fromkeys(types))


def as_json(entry: ModelEntry) -> dict[str, Any]:
    """Return an entry with description and hyperparameters, for ``json.dumps``."""
    if entry.problem:
        return asdict(entry)
    blocks = body(describe_model(entry.name).blocks)
    description = "\n\n".join(as_text(block, _UNWRAPPED) for block in blocks)
    details = {"description": description, "hyperparameters": hyperparameters_of(entry.name)}
    return asdict(entry) | details


def _describe(claim: Registration) -> ModelEntry:
    try:
        model = load_registered(claim)
        parameters = _count(claim)
    except SettingsError as error:
        return ModelEntry(claim.name, claim.package, problem=str(error))
    document: ModelDocument = describe_model(claim.name)
    return ModelEntry(
        claim.name,
        claim.package,
        title=document.title,
        kind="baseline" if issubclass(model, ClosedFormModel) else "trained",
        parameters=parameters,
        references=tuple(references(document.blocks)),
    )


def _count(claim: Registration) -> int | None:
    """Count the weights that a gradient moves; the others of a baseline follow from a fit."""
    # Initial weights take seconds in all; but not everybody's code can do without them.
    device = torch.device("cpu" if claim.package else "meta")
    try:
        with device:
            model: Model = create_model(claim.name)
    except Exception as error:  # whatever the code of another package may raise
        if not claim.package:
            raise
        raise SettingsError(
            f"{claim.words} cannot be made with its defaults: {type(error).__name__}: {error}"
        ) from error
    return sum(weights.numel() for weights in model.parameters()) or None


def _bounds(schema: dict[str, Any]) -> Iterator[str]:
    for key, sign in (
        ("exclusiveMinimum", ">"),
        ("minimum", "≥"),
        ("exclusiveMaximum", "<"),
        ("maximum", "≤"),
    ):
        if key in schema:
            yield f"{sign} {schema[key]:g}"
