"""Downloads that go on where they were cut, as far as the server allows it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import requests
from tqdm import tqdm

from molcryst_bench.base.errors import SourceError
from molcryst_bench.base.files import write_json

_SILENCE = 60  # seconds without a byte before a connection counts as cut
_PIECE = 1 << 16  # bytes; of a piece that is cut nothing is kept
_PARTIAL, _UNSATISFIABLE = 206, 416  # HTTP status


def download(address: str, target: Path) -> None:
    """Fetch a file, going on with what an earlier attempt has left beside ``target``.

    That is ``<name>.part``; ``<name>.part.json`` says from which address it is, and which version
    of the file it is a part of. ``target`` is there only when it is complete. A connection that is
    cut is made anew as long as each brings something.

    Raises:
        SourceError: if the file cannot be had. What has arrived is kept for the next attempt, if
            the server tells versions apart.
    """
    part = _Part(target.with_name(f"{target.name}.part"))
    while True:
        before = part.size
        try:
            _receive(address, part)
        except requests.RequestException as error:
            if isinstance(error, requests.HTTPError) or part.size <= before:
                part.discard_unless_of_use()
                raise SourceError(_in_words(error)) from error
        else:
            part.complete(target)
            return


@dataclass(frozen=True)
class _Part:
    """The beginning of a file, with a note of which file."""

    path: Path

    @property
    def note(self) -> Path:
        return self.path.with_name(f"{self.path.name}.json")

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def version_of(self, address: str) -> str | None:
        """Return the version of the file at an address of which this is a part, if it is."""
        try:
            note = json.loads(self.note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        same = self.size > 0 and note["address"] == address
        return str(note["version"]) if same else None

    def begin(self, address: str, version: str | None) -> None:
        """Forget what was there; without a version nothing can be gone on with later."""
        self.discard()
        if version:
            write_json(self.note, {"address": address, "version": version})

    def complete(self, target: Path) -> None:
        self.path.replace(target)
        self.note.unlink(missing_ok=True)

    def discard_unless_of_use(self) -> None:
        if not self.note.exists():
            self.discard()

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)


def _receive(address: str, part: _Part) -> None:
    """Ask for what is missing, and write what comes of it; for all, if the file has changed."""
    headers = {"Accept-Encoding": "identity"}
    start, version = part.size, part.version_of(address)
    if version:
        headers |= {"Range": f"bytes={start}-", "If-Range": version}
    with requests.get(address, headers=headers, stream=True, timeout=_SILENCE) as response:
        if version and _is_of_no_use(response, start, version):
            part.discard()
        else:
            response.raise_for_status()
            if response.status_code != _PARTIAL:
                part.begin(address, _version(response.headers))
            _append(response, part)
            return
    _receive(address, part)


def _is_of_no_use(response: requests.Response, start: int, version: str) -> bool:
    """Whether a server has answered with a part that does not go on with ours."""
    if response.status_code != _PARTIAL:
        return bool(response.status_code == _UNSATISFIABLE)
    fits = response.headers.get("Content-Range", "").startswith(f"bytes {start}-")
    return not fits or _version(response.headers) not in (version, None)


def _version(headers: Mapping[str, str]) -> str | None:
    """Return what tells one version of a file from another, byte by byte."""
    tag = headers.get("ETag", "")
    if "Content-Encoding" in headers:  # then its bytes are not those of the file
        return None
    return tag if tag and not tag.startswith("W/") else headers.get("Last-Modified")


def _append(response: requests.Response, part: _Part) -> None:
    expected = int(response.headers.get("Content-Length", 0))
    with (
        part.path.open("ab") as file,
        tqdm(
            initial=part.size,
            total=part.size + expected or None,
            unit="B",
            unit_scale=True,
            leave=False,
            disable=not sys.stderr.isatty(),
        ) as bar,
    ):
        for piece in response.iter_content(_PIECE):
            bar.update(file.write(piece))


def _in_words(error: Exception) -> str:
    text = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return text if len(text) <= 200 else text[:200] + " ..."
