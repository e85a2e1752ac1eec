"""YAML of strangers: small, flat, without aliases and tags."""

from __future__ import annotations

import re
from typing import Any

import yaml

_DEPTH = 4  # of lists and mappings in each other; a card needs two
_MAX_DIGITS = 30


class PlainYamlError(ValueError):
    """What is not allowed, and where."""


class _PlainLoader(yaml.SafeLoader):
    """Reads texts, numbers, lists and mappings, which cannot grow beyond their text."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise PlainYamlError(f"anchors and aliases are not allowed ({_place(event)})")
        if getattr(event, "tag", None) is not None:
            raise PlainYamlError(f"tags are not allowed ({_place(event)})")
        if self.depth > _DEPTH:
            raise PlainYamlError(f"lists and mappings are nested too deep ({_place(event)})")
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [each.value for each, _ in node.value]
        if "<<" in keys or not all(isinstance(key, str) for key in keys):
            raise PlainYamlError(f"keys are plain words ({_place(node)})")
        if repeated := {key for key in keys if keys.count(key) > 1}:
            raise PlainYamlError(f"the key {min(repeated)!r} is there twice ({_place(node)})")
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return mapping


def _plain_number(loader: _PlainLoader, node: yaml.ScalarNode) -> Any:
    """Return whole numbers as such, but for those that only look like one (dates, 1:30)."""
    text = node.value.replace("_", "")
    if re.fullmatch(rf"[-+]?\d{{1,{_MAX_DIGITS}}}", text):
        return int(text)
    return node.value


def _as_text(loader: _PlainLoader, node: yaml.ScalarNode) -> str:
    return str(node.value)


_PlainLoader.add_constructor("tag:yaml.org,2002:int", _plain_number)
_PlainLoader.add_constructor("tag:yaml.org,2002:timestamp", _as_text)


def read_plain_yaml(content: bytes) -> Any:
    """Read one document.

    Raises:
        PlainYamlError: if it is not YAML in UTF-8, or uses what is not allowed.
    """
    try:
        loader = _PlainLoader(content.decode("utf-8"))
        return loader.get_single_data()
    except PlainYamlError:
        raise
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise PlainYamlError(f"not valid YAML: {error}") from None


def _place(marked: Any) -> str:
    return f"line {marked.start_mark.line + 1}"
