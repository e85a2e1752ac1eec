"""Settings from YAML, checked by pydantic, with errors that name the right key."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self, TypeGuard

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from molcryst_bench.base.errors import SettingsError, unknown_name


class Settings(BaseModel):
    """Base of all settings: immutable, and a key that is not known is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def parse(cls, values: Any, where: str) -> Self:
        """Check ``values``, which were read at ``where``.

        Raises:
            SettingsError: with one line for each wrong key, type or value.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            lines = [_explain(cls, problem) for problem in error.errors()]
            raise SettingsError("\n".join(f"{where}: {line}" for line in lines)) from None

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read and check a YAML file."""
        return cls.parse(read_yaml(path), str(path))


def read_yaml(path: Path) -> Any:
    """Read a YAML file without running code from it.

    Raises:
        SettingsError: if the file is missing or is not YAML, with its line.
    """
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"{path} does not exist") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not valid YAML: {error}") from None


def _explain(settings: type[BaseModel], problem: Mapping[str, Any]) -> str:
    *parents, key = problem["loc"] or ("",)
    dotted = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        prefix = ".".join(str(part) for part in parents)
        place = f" in '{prefix}'" if prefix else ""
        return unknown_name("key", str(key), _fields_at(settings, parents)) + place
    if problem["type"] == "missing":
        return f"the key '{dotted}' is missing"
    return f"'{dotted}' is {problem['input']!r}: {problem['msg']}"


def _fields_at(settings: type[BaseModel], path: list[str | int]) -> list[str]:
    """Follow ``path`` through nested settings, lists and mappings to the fields at its end."""
    current: Any = settings
    for part in path:
        current = _step_into(current, part)
    model = _model_in(current)
    return list(model.model_fields) if model else []


def _step_into(annotation: Any, part: str | int) -> Any:
    """Return the type of a field of settings, or of the items of a list, tuple or mapping."""
    if model := _model_in(annotation):
        field = model.model_fields.get(str(part))
        return field.annotation if field else None
    items = (_item_in(alternative) for alternative in _alternatives(annotation))
    return next((item for item in items if item is not None), None)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Return ``X`` for ``X`` itself and for ``X | None``."""
    return next(filter(_is_model, _alternatives(annotation)), None)


def _is_model(annotation: Any) -> TypeGuard[type[BaseModel]]:
    plain = isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias)
    return plain and issubclass(annotation, BaseModel)


def _item_in(annotation: Any) -> Any:
    arguments = [part for part in typing.get_args(annotation) if part is not Ellipsis]
    return arguments[-1] if arguments else None


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    is_union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    return typing.get_args(annotation) if is_union else (annotation,)
