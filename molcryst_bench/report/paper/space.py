"""The paper's Table 1: the space in which hyperparameters are searched."""

from __future__ import annotations

from typing import Any

import yaml

from molcryst_bench.base.errors import SettingsError
from molcryst_bench.tuning.space_file import space_path

Space = dict[str, tuple[str, str]]  # of each setting, its distribution and what it may be


def published_space() -> Space:
    """Return the space of ``conf/spaces/paper.yaml``; empty where that is not here."""
    try:
        text = space_path("paper").read_text(encoding="utf-8")
    except SettingsError:
        return {}
    return {name: _in_words(found) for name, found in yaml.safe_load(text)["training"].items()}


def _in_words(found: dict[str, Any]) -> tuple[str, str]:
    if "values" in found:
        return found["distribution"], ", ".join(map(str, found["values"]))
    return found["distribution"], f"{found['low']:,g} to {found['high']:,g}"
