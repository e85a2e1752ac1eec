"""Older results: a file, or what the last release in git has."""

from __future__ import annotations

import io
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from molcryst_bench.base.errors import RunError

_NEEDED = ("task", "split", "model", "seed", "mae", "error_unit", "predictions_sha256")
_PATIENCE = 20  # seconds for git


@dataclass(frozen=True)
class Previous:
    """An older table of results."""

    name: str  # of the release or the file
    rows: list[dict[str, Any]]  # with the columns that are needed to compare


def read_previous(path: Path) -> Previous:
    """Read older results from a file.

    Raises:
        RunError: if it is no table of results.
    """
    try:
        return Previous(path.name, _rows(path.read_bytes()))
    except OSError as error:
        raise RunError(f"{path} cannot be read ({error.strerror}): give older results") from error
    except ValueError as error:
        message = f"{path} is no table of results ({error})"
        raise RunError(f"{message}: give a results.parquet of this project") from error


def last_release(leaderboard: Path) -> Previous | None:
    """Return the results of the last tag in git that are not those of today.

    Nothing without git, without a tag, or if the results are not among the files of the tag.
    """
    path = leaderboard / "results.parquet"
    for commit in ("HEAD", "HEAD^"):
        tag = _git(leaderboard, "describe", "--tags", "--abbrev=0", commit).decode().strip()
        content = _git(leaderboard, "show", f"{tag}:./{path.name}") if tag else b""
        if content and content != path.read_bytes():
            return _readable(tag, content)
    return None


def _readable(tag: str, content: bytes) -> Previous | None:
    try:
        return Previous(tag, _rows(content))
    except ValueError:
        return None  # of another version; nobody has asked for just these


def _git(folder: Path, *arguments: str) -> bytes:
    """Return what git prints, or nothing where it fails."""
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return b""
    return done.stdout if done.returncode == 0 else b""


def _rows(content: bytes) -> list[dict[str, Any]]:
    """Read a table; its columns may be fewer or more than those of today."""
    try:
        table = pq.read_table(io.BytesIO(content))
    except pa.ArrowException as error:
        raise ValueError(error) from error
    if missing := [name for name in _NEEDED if name not in table.column_names]:
        raise ValueError(f"it lacks the columns {', '.join(missing)}")
    rows: list[dict[str, Any]] = table.select(list(_NEEDED)).to_pylist()
    return rows
