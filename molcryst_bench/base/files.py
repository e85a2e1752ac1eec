"""Files that are either whole or not there, and what to say when the disk refuses."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from molcryst_bench.base.errors import MolcrystError

_DISK_PROBLEMS = {
    errno.ENOSPC: "the disk is full: free some space",
    errno.EDQUOT: "your disk quota is used up: free some space",
    errno.EROFS: "the file system is read-only: choose another place",
    errno.EACCES: "no permission to write there: choose another place or change its permissions",
}


@contextmanager
def explained_disk_errors(target: Path) -> Iterator[None]:
    """Turn a full or read-only disk into one clear sentence about ``target``.

    Raises:
        MolcrystError: in place of the operating system's error.
    """
    try:
        yield
    except OSError as error:
        advice = _DISK_PROBLEMS.get(error.errno or 0)
        if advice is None:
            raise
        message = f"cannot write {target}: {advice}, then run the same command again. "
        raise MolcrystError(message + "What was there before is untouched.") from error


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a sibling to write to; it becomes ``path`` in one step when the block succeeds."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    with explained_disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield partial
            _flush_to_disk(partial)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield an empty sibling folder that takes the place of ``path`` when the block succeeds."""
    partial = partial_of(path)
    with explained_disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            yield partial
            replace_folder(partial, path)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def partial_of(path: Path) -> Path:
    """Return where ``whole_folder`` keeps what is to become ``path``."""
    return path.with_name(f".{path.name}.partial")


def replace_folder(new: Path, path: Path) -> None:
    """Put ``new`` in the place of the folder ``path``; the old one goes only afterwards."""
    recover_folder(path)  # what an earlier, killed replacement set aside may be the only copy
    old = path.with_name(f".{path.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if path.exists():
        path.replace(old)
    new.replace(path)
    shutil.rmtree(old, ignore_errors=True)


def recover_folder(path: Path) -> None:
    """Undo a replacement that was killed between its two renames."""
    old = path.with_name(f".{path.name}.old")
    if old.exists() and not path.exists():
        old.replace(path)


def write_json(path: Path, content: Any) -> None:
    """Write ``content`` as JSON with sorted keys, whole or not at all."""
    with whole_file(path) as partial:
        partial.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def checksum_of(path: Path, algorithm: str = "sha256") -> str:
    """Return the checksum of a file's bytes in hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def visible_files(folder: Path) -> list[Path]:
    """Return all files in a folder and its subfolders, sorted, but for hidden ones."""
    files = (path for path in folder.rglob("*") if path.is_file())
    hidden = re.compile(r"(^|/)\.")
    return sorted(f for f in files if not hidden.search(f.relative_to(folder).as_posix()))


def checksum_of_folder(path: Path) -> str:
    """Return a SHA-256 over names and bytes of all visible files in a folder."""
    digest = hashlib.sha256()
    for file in visible_files(path):
        digest.update(f"{checksum_of(file)} {file.relative_to(path).as_posix()}\n".encode())
    return digest.hexdigest()


def digest_of(content: Any) -> str:
    """Return the SHA-256 of a JSON value, independent of the order of its keys."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _flush_to_disk(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
