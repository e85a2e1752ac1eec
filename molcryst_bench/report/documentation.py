"""What a model's class says about itself, ready to be shown."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from molcryst_bench.base.errors import SettingsError
from molcryst_bench.models.interface import ClosedFormModel
from molcryst_bench.models.registry import get_model_class
from molcryst_bench.report.entries import Entry

# The little of reStructuredText that docstrings use: ``code``, :math:`formula`, doi 10.1000/1.
_MARKUP = re.compile(
    r"``(?P<code>.+?)``|:math:`(?P<math>.+?)`|\bdoi (?P<doi>10\.\S+?)(?=[.,;]?(?:\s|$))"
)
_DIRECTIVE = ".. math::"


@dataclass(frozen=True)
class Span:
    """A piece of a paragraph."""

    kind: Literal["text", "code", "math", "doi"]
    text: str


@dataclass(frozen=True)
class Block:
    """A paragraph, a displayed formula (LaTeX), or lines to show as they are."""

    kind: Literal["paragraph", "formula", "literal"]
    spans: tuple[Span, ...]

    @property
    def text(self) -> str:
        """The spans as one text."""
        return "".join(span.text for span in self.spans)


@dataclass(frozen=True)
class Field:
    """A hyperparameter."""

    name: str
    default: str
    description: str


@dataclass(frozen=True)
class ModelDocument:
    """Title, description and hyperparameters of a model."""

    name: str
    title: str
    blocks: tuple[Block, ...]
    fields: tuple[Field, ...]
    installed: bool


def describe_model(name: str) -> ModelDocument:
    """Describe a model from its class; one that is not installed here has its name alone."""
    try:
        model = get_model_class(name)
    except SettingsError:
        return ModelDocument(name, name, (), (), installed=False)
    title, _, rest = (inspect.getdoc(model) or name).partition("\n")
    fields = tuple(_fields(model.Hyperparameters))
    return ModelDocument(name, title.rstrip("."), tuple(parse_blocks(rest)), fields, installed=True)


def kind_of(entry: Entry) -> str:
    """Say what kind of model a row of a table is about."""
    if entry.submission is not None:
        return "submission"
    try:
        model = get_model_class(entry.model)
    except SettingsError:
        return "not installed"
    return "baseline" if issubclass(model, ClosedFormModel) else "network"


def parse_blocks(text: str) -> Iterator[Block]:
    """Cut the text of a docstring into blocks at its blank lines."""
    awaits_formula = False
    for block in re.split(r"\n[ \t]*\n", text.strip("\n")):
        if block.startswith(_DIRECTIVE) or awaits_formula:
            formula = " ".join(block.removeprefix(_DIRECTIVE).split())
            awaits_formula = not formula
            if formula:
                yield Block("formula", (Span("math", formula),))
        elif block.startswith((" ", "\t")):
            yield Block("literal", (Span("text", textwrap.dedent(block)),))
        elif block.strip():
            yield Block("paragraph", tuple(_spans(" ".join(block.split()))))


def flatten(settings: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Return nested settings as text, with dotted names."""
    flat: dict[str, str] = {}
    for name, value in sorted(settings.items()):
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = _as_text(value)
    return flat


def used_settings(
    groups: Sequence[Sequence[dict[str, Any]]],
) -> dict[str, tuple[str, ...]]:
    """Return which values each setting had.

    Args:
        groups: for each task, the settings of each seed.

    Returns:
        for each dotted name, one text for each group; several values are joined by commas.
    """
    flat = [[flatten(settings) for settings in group] for group in groups]
    names = sorted({name for group in flat for settings in group for name in settings})
    return {name: tuple(_values_of(name, group) for group in flat) for name in names}


def _values_of(name: str, group: Sequence[dict[str, str]]) -> str:
    values = dict.fromkeys(settings[name] for settings in group if name in settings)
    return ", ".join(values) or "not set"


def _spans(text: str) -> Iterator[Span]:
    end = 0
    for match in _MARKUP.finditer(text):
        if match.start() > end:
            yield Span("text", text[end : match.start()])
        for kind in ("code", "math", "doi"):
            if match[kind]:
                yield Span(kind, match[kind])
        end = match.end()
    if end < len(text):
        yield Span("text", text[end:])


def _fields(hyperparameters: Any) -> Iterator[Field]:
    for name, field in hyperparameters.model_fields.items():
        default = "required" if field.is_required() else _as_text(field.get_default())
        yield Field(name, default, field.description or "")


def _as_text(value: Any) -> str:
    return "none" if value is None else str(value)
