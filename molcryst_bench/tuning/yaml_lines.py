"""YAML whose parts know their lines, for errors that name them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from molcryst_bench.base.errors import SettingsError


@dataclass(frozen=True)
class Part:
    """A part of a YAML file."""

    path: Path
    node: yaml.Node | None  # none for an empty file
    line: int  # counted from 1

    def error(self, reason: str) -> SettingsError:
        """Return an error that says where and why."""
        return SettingsError(f"{self.path}, line {self.line}: {reason}")

    def value(self) -> Any:
        """Return the plain value: a mapping, a list, or what YAML takes a scalar for."""
        loader = yaml.SafeLoader("")
        return None if self.node is None else loader.construct_object(self.node, deep=True)

    def number(self, what: str) -> float:
        """Return a number; also ``1e-5``, which YAML takes for a text for lack of a dot."""
        if isinstance(self.node, yaml.ScalarNode) and self.node.style is None:
            try:
                return float(self.node.value.replace("_", ""))
            except ValueError:
                pass
        raise self.error(f"{what} is {self._shown}, which is no number")

    def items(self, what: str) -> list[Part]:
        """Return the parts of a list."""
        if not isinstance(self.node, yaml.SequenceNode):
            raise self.error(f"{what} is {self._shown}, which is no list")
        return [Part(self.path, node, node.start_mark.line + 1) for node in self.node.value]

    def entries(self, what: str) -> dict[str, Part]:
        """Return the parts of a mapping by their keys; the line of each is that of its key.

        Raises:
            SettingsError: if it is no mapping, or has a key twice.
        """
        if not isinstance(self.node, yaml.MappingNode):
            raise self.error(f"{what} is {self._shown}, which is no mapping of names")
        entries: dict[str, Part] = {}
        for key, node in self.node.value:
            part = Part(self.path, node, key.start_mark.line + 1)
            name = str(key.value)
            if name in entries:
                raise part.error(f"'{name}' is there twice, first in line {entries[name].line}")
            entries[name] = part
        return entries

    @property
    def _shown(self) -> str:
        return "empty" if self.node is None or self.value() is None else repr(self.value())


def read_parts(path: Path) -> Part:
    """Read a YAML file without running code from it.

    Raises:
        SettingsError: if the file is missing or is not YAML, with its line.
    """
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), yaml.SafeLoader)
    except FileNotFoundError:
        raise SettingsError(f"{path} does not exist") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not valid YAML: {error}") from None
    return Part(path, node, 1 if node is None else node.start_mark.line + 1)
