"""Search spaces from YAML: ``training`` for every model, ``models`` for the parts of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError, create_model
from pydantic.fields import FieldInfo

from molcryst_bench.base.errors import SettingsError, unknown_name
from molcryst_bench.base.project import project_root
from molcryst_bench.models.interface import ClosedFormModel, Model
from molcryst_bench.models.registry import get_model_class
from molcryst_bench.training.settings import TrainingSettings
from molcryst_bench.tuning.distributions import Choice, Distribution, Range
from molcryst_bench.tuning.space import Parameter, Space
from molcryst_bench.tuning.yaml_lines import Part, read_parts

_NORMAL = ("normal", "log-normal")
_WHOLE = ("integer", "log-integer")
_KINDS = ("uniform", "log-uniform", *_NORMAL, *_WHOLE, "categorical")
_Found = dict[str, tuple[Part, Parameter]]


def space_path(name: str) -> Path:
    """Return the file of a space: a path as it is, or ``conf/spaces/<name>.yaml``.

    Raises:
        SettingsError: for a name that none has, with the nearest one that there is.
    """
    if Path(name).suffix:
        return Path(name)
    known = {path.stem: path for path in (project_root() / "conf" / "spaces").glob("*.yaml")}
    if name not in known:
        raise SettingsError(f"{unknown_name('search space', name, known)}; or give a .yaml file")
    return known[name]


def load_space(path: Path, model: str) -> Space:
    """Read what is searched for a model, and check all of the file.

    Raises:
        SettingsError: for what is wrong, with its line; if nothing is searched for this model.
    """
    entries = _known(read_parts(path), "the space", ("training", "models"))
    common = _parameters(entries["training"], TrainingSettings) if "training" in entries else {}
    own: dict[str, _Found] = {}
    for name, part in entries["models"].entries("'models'").items() if "models" in entries else ():
        architecture = _model_class(name, part)
        own[name] = _parameters(part, architecture.Hyperparameters)
        _check_conditions(own[name], {**_read_by(architecture, common), **own[name]})
    _check_conditions(common, common)
    of_model, of_training = own.get(model, {}), _read_by(get_model_class(model), common)
    of_training = {name: found for name, found in of_training.items() if name not in of_model}
    if not (of_training or of_model):
        raise SettingsError(f"{path} has nothing to search for '{model}': add it under 'models'")
    return Space(_only(of_training), _only(of_model))


def _model_class(name: str, part: Part) -> type[Model]:
    try:
        return get_model_class(name)
    except SettingsError as error:
        raise part.error(str(error)) from None


def _read_by(model: type[Model], of_training: _Found) -> _Found:
    """Return the settings of a training that a model reads; a closed-form one reads none."""
    return {} if issubclass(model, ClosedFormModel) else of_training


def _only(found: _Found) -> tuple[Parameter, ...]:
    return tuple(parameter for _, parameter in found.values())


def _parameters(part: Part, settings: type[Any]) -> _Found:
    fields: Mapping[str, FieldInfo] = settings.model_fields
    found = {}
    for name, entry in part.entries("a group of parameters").items():
        if name not in fields:
            raise entry.error(unknown_name("setting", name, fields))
        distribution, when = _distribution(name, entry)
        _check_type(name, entry, distribution, fields[name])
        found[name] = (entry, Parameter(name, distribution, when))
    return found


def _distribution(name: str, part: Part) -> tuple[Distribution, dict[str, list[Any]]]:
    """Read a distribution, and when it counts."""
    given = part.entries(f"'{name}'")
    kind = str(_get(given, "distribution", name, part).value())
    if kind not in _KINDS:
        raise given["distribution"].error(unknown_name("distribution", kind, _KINDS))
    keys = ["values"] if kind == "categorical" else ["low", "high"]
    keys += ["mean", "deviation"] if kind in _NORMAL else []
    given = _known(part, f"'{name}'", ("distribution", "when", *keys))
    when = _conditions(given["when"]) if "when" in given else {}
    needed = {key: _get(given, key, name, part) for key in keys}
    if kind == "categorical":
        return _choice(name, needed["values"]), when
    numbers = {key: each.number(f"'{key}' of '{name}'") for key, each in needed.items()}
    distribution = Range(
        low=numbers["low"],
        high=numbers["high"],
        log=kind.startswith("log-"),
        whole=kind in _WHOLE,
        mean=numbers.get("mean"),
        deviation=numbers.get("deviation"),
    )
    _check_range(name, distribution, needed)
    return distribution, when


def _choice(name: str, part: Part) -> Choice:
    values = [each.value() for each in part.items(f"'values' of '{name}'")]
    if len(values) < 2 or len({repr(value) for value in values}) < len(values):
        raise part.error(f"'values' of '{name}' are {values}: give two or more, each once")
    return Choice(tuple(values))


def _check_range(name: str, found: Range, parts: Mapping[str, Part]) -> None:
    low, high = found.low, found.high
    if not low < high:
        reason = f"'low' of '{name}' is {low:g}, which is not below its 'high', {high:g}"
        raise parts["low"].error(reason)
    if found.log and low <= 0:
        reason = f"'low' of '{name}' is {low:g}: a logarithm needs more than 0"
        raise parts["low"].error(reason)
    if found.whole and (low % 1 or high % 1):
        part = parts["low" if low % 1 else "high"]
        raise part.error(f"the bounds of '{name}' are {low:g} and {high:g}: they must be integers")
    if found.mean is not None and not low <= found.mean <= high:
        raise parts["mean"].error(
            f"'mean' of '{name}' is {found.mean:g}, which is not in its range"
        )
    if found.deviation is not None and found.deviation <= 0:
        raise parts["deviation"].error(f"'deviation' of '{name}' is not above 0")


def _check_type(name: str, part: Part, distribution: Distribution, field: FieldInfo) -> None:
    """Refuse values that the setting does not take."""
    annotation: Any = field.annotation
    setting = create_model("setting", value=(annotation, field))
    for value in distribution.examples():
        try:
            setting.model_validate({"value": value})
        except ValidationError as error:
            reason = error.errors()[0]["msg"]
            raise part.error(f"'{name}' cannot be {value!r}: {reason}") from None


def _conditions(part: Part) -> dict[str, list[Any]]:
    entries = part.entries("'when'").items()
    return {name: [v.value() for v in each.items(f"'{name}'")] for name, each in entries}


def _check_conditions(found: _Found, known: _Found) -> None:
    """Refuse conditions on what is not searched, on values it never has, and in a circle."""
    for name, (part, parameter) in found.items():
        for parent, values in parameter.when.items():
            if parent not in known:
                raise part.error(f"'when' of '{name}': {unknown_name('parameter', parent, known)}")
            other = known[parent][1].distribution
            if not isinstance(other, Choice):
                raise part.error(f"'when' of '{name}': '{parent}' is not categorical")
            if wrong := [value for value in values if not other.contains(value)]:
                raise part.error(f"'when' of '{name}': '{parent}' is never {wrong[0]!r}")
        if name in _ancestors(parameter, known):
            raise part.error(f"'{name}' depends on itself")


def _ancestors(parameter: Parameter, known: _Found) -> set[str]:
    found: set[str] = set()
    waiting = list(parameter.when)
    while waiting:
        parent = waiting.pop()
        if parent not in found and parent in known:
            found.add(parent)
            waiting += known[parent][1].when
    return found


def _known(part: Part, what: str, known: Iterable[str]) -> dict[str, Part]:
    entries = part.entries(what)
    for name, entry in entries.items():
        if name not in known:
            raise entry.error(unknown_name("key", name, known))
    return entries


def _get(given: Mapping[str, Part], key: str, name: str, part: Part) -> Part:
    if key not in given:
        raise part.error(f"'{name}' has no '{key}'")
    return given[key]
