"""A JSON file that is one long list, read item by item: the whole would not fit into memory."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import IO, Any

from molcryst_bench.base.errors import SourceError
from molcryst_bench.sources.zips import opened_zip

_CHUNK = 1 << 18  # characters
_LARGEST_ITEM = 20_000_000  # characters
_SPACE = " \t\r\n"
_DECODER = json.JSONDecoder()


def read_json_list(path: Path) -> Iterator[Any]:
    """Iterate over the items of a list in a JSON file, or in the one ``.json`` member of a zip.

    Raises:
        SourceError: if it is not UTF-8, not a list, cut short, or nested too deeply.
    """
    try:
        with _opened(path) as file, TextIOWrapper(file, "utf-8") as text:
            yield from _items(text)
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{path} is not a complete list in JSON: {error}") from error


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            yield file
        return
    with opened_zip(path) as archive:
        members = [name for name in archive.namelist() if name.endswith(".json")]
        if len(members) != 1:
            raise SourceError(f"{path} has {len(members)} JSON files instead of one")
        with archive.open(members[0]) as file:
            yield file


def _items(text: TextIOWrapper) -> Iterator[Any]:
    waiting = _filled(text, "")
    if not waiting.startswith("["):
        raise ValueError("it does not begin with [")
    waiting = _filled(text, waiting[1:])
    while not waiting.startswith("]"):
        item, waiting = _next_item(text, waiting)
        yield item
        waiting = _filled(text, waiting)
        if waiting.startswith(","):
            waiting = _filled(text, waiting[1:])
        elif not waiting.startswith("]"):
            raise ValueError("an item is followed by neither , nor ]")


def _next_item(text: TextIOWrapper, waiting: str) -> tuple[Any, str]:
    """Parse the item that ``waiting`` begins with, reading on until it is whole."""
    problem = "it ends early"
    while len(waiting) <= _LARGEST_ITEM:
        try:
            item, end = _DECODER.raw_decode(waiting)
        except json.JSONDecodeError as error:
            problem = str(error)
        else:
            if end < len(waiting):  # else a number may go on
                return item, waiting[end:]
        chunk = text.read(_CHUNK)
        if not chunk:
            raise ValueError(problem)
        waiting += chunk
    raise ValueError(f"an item is damaged or longer than {_LARGEST_ITEM:,} characters: {problem}")


def _filled(text: TextIOWrapper, waiting: str) -> str:
    """Read on until there is something other than space."""
    waiting = waiting.lstrip(_SPACE)
    while not waiting:
        chunk = text.read(_CHUNK)
        if not chunk:
            raise ValueError("it ends early")
        waiting = chunk.lstrip(_SPACE)
    return waiting
