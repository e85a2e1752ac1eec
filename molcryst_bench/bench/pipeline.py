"""Running the stages of ``dvc.yaml``, also after a run that was killed."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import psutil
import yaml

_WRITING_SECONDS = 1.0  # that a healthy DVC may take to write one of its files
_POLL_SECONDS = 0.5


def reproduce(root: Path, arguments: Sequence[str], on_wait: Callable[[int], None]) -> NoReturn:
    """Become ``dvc repro`` in a project, once no other one is at work there.

    Args:
        root: of the project.
        arguments: for ``dvc repro``.
        on_wait: told the process that is waited for.
    """
    mend(root)
    for process in _at_work(root):
        on_wait(process)
        _wait_for(root, process)
    os.chdir(root)
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", *arguments]
    os.execv(sys.executable, command)


def mend(root: Path) -> list[Path]:
    """Remove files of DVC that a kill has left half written; it refuses to start over them.

    Nothing is lost by it: without them DVC runs its stages, which find what is already done.

    Returns:
        what was removed.
    """
    readers: dict[Path, Callable[[str], object]] = {
        root / ".dvc" / "tmp" / "rwlock": json.loads,
        root / "dvc.lock": yaml.safe_load,
    }
    damaged = [path for path, read in readers.items() if _is_damaged(path, read)]
    if damaged:
        time.sleep(_WRITING_SECONDS)  # it may be about to be whole
    damaged = [path for path in damaged if _is_damaged(path, readers[path])]
    for path in damaged:
        path.unlink()
    return damaged


def _wait_for(root: Path, process: int) -> None:
    while process in _at_work(root):
        time.sleep(_POLL_SECONDS)


def _at_work(root: Path) -> set[int]:
    """Return the processes of DVC that hold files of the project.

    DVC itself waits for the whole repository, but gives up over single files, which it holds while
    a stage runs.
    """
    try:
        lock = json.loads((root / ".dvc" / "tmp" / "rwlock").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return set()
    return {process for process in _holders(lock) if _is_dvc(process)}


def _holders(lock: Any) -> Iterator[int]:
    """Find the process numbers wherever they stand in the file."""
    if isinstance(lock, dict) and "pid" in lock:
        yield int(lock["pid"])
    elif isinstance(lock, dict | list):
        for part in lock.values() if isinstance(lock, dict) else lock:
            yield from _holders(part)


def _is_dvc(process: int) -> bool:
    """Tell a DVC that runs from another program that has its number by now."""
    try:
        words = psutil.Process(process).cmdline()
    except psutil.Error:
        return False
    return any("dvc" in Path(word).parts for word in words)


def _is_damaged(path: Path, read: Callable[[str], object]) -> bool:
    """Both files hold a mapping, whenever they are there."""
    try:
        return not isinstance(read(path.read_text(encoding="utf-8")), dict)
    except FileNotFoundError:
        return False
    except (ValueError, yaml.YAMLError):
        return True
