"""Why a cell has the key it has, and what has changed since it was made."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from molcryst_bench.bench.cell import CellPlan
from molcryst_bench.bench.notes import write_note
from molcryst_bench.bench.result import CellResult, read_result

PARTS = "key.json"
_DIGITS = 12  # of a digest, for people
_WORDS = {
    "target": "the target's definition",
    "store": "the store",
    "split": "the split",
    "code": "the code",
    "hyperparameters": "the hyperparameters",
    "training": "the training",
}


def write_parts(plan: CellPlan, results: Path) -> None:
    """Write beside the result of a cell what its key is made of."""
    content = {"key": plan.key, "parts": plan.parts()}
    write_note(results / plan.cell.name / PARTS, content)


def changes_since(plan: CellPlan, results: Path) -> list[str]:
    """Say what of the key of a cell differs from that of the result in its folder.

    Returns:
        a line for each difference; none if the result is of this very plan, or there is none.
    """
    folder = results / plan.cell.name
    result = read_result(folder)
    if result is None or result.key == plan.key:
        return []
    before = _read_parts(folder, result.key)
    if before is None:
        return list(_differences_of_result(plan, result))
    now = json.loads(json.dumps(plan.parts()))
    return list(_differences(before, now)) or ["the key is made in another way"]


def _read_parts(folder: Path, key: str) -> dict[str, Any] | None:
    try:
        content = json.loads((folder / PARTS).read_text(encoding="utf-8"))
        return dict(content["parts"]) if content["key"] == key else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for part in sorted({*before, *now}):
        old, new = before.get(part), now.get(part)
        if old == new:
            continue
        name = _WORDS.get(part, part)
        if part == "code" and isinstance(old, dict) and isinstance(new, dict):
            yield from _changed_files(old, new)
        elif isinstance(old, dict) and isinstance(new, dict):
            yield from _changed_values(name, old, new)
        else:
            yield f"{name}: {_shown(old)} → {_shown(new)}"


def _changed_files(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    for module in sorted({*old, *new}):
        if module not in new:
            yield f"the code: {module} has no part in it any more"
        elif module not in old:
            yield f"the code: {module} has a part in it now"
        elif old[module] != new[module]:
            yield f"the code: {module} has changed"


def _changed_values(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for key in sorted({*old, *new}):
        if old.get(key) != new.get(key):
            yield f"{name}: {key} {_shown(old.get(key))} → {_shown(new.get(key))}"


def _differences_of_result(plan: CellPlan, result: CellResult) -> Iterator[str]:
    """Compare with what every result holds, of which the code is no more than one digest."""
    pairs: dict[str, tuple[Any, Any]] = {
        "the store": (result.store_digest, plan.store_digest),
        "the split": (result.split_digest, plan.split_digest),
        "the code": (result.code_digest, plan.code_digest),
    }
    for name, (old, new) in pairs.items():
        if old != new:
            yield f"{name}: {_shown(old)} → {_shown(new)}"
    hyperparameters = json.loads(result.hyperparameters)
    yield from _changed_values("the hyperparameters", hyperparameters, plan.hyperparameters)
    if plan.trains:
        now = plan.training.model_dump()
        yield from _changed_values("the training", json.loads(result.training), now)


def _shown(value: Any) -> str:
    """Write a value, of a digest its beginning."""
    if isinstance(value, list):
        return " ".join(map(_shown, value))
    text = value if isinstance(value, str) else json.dumps(value)
    is_digest = len(text) == 64 and not set(text) - set("0123456789abcdef")
    return text[:_DIGITS] if is_digest else text
