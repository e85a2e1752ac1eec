"""Zip archives from elsewhere: members are read in memory by name, never unpacked to a path."""

from __future__ import annotations

import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from molcryst_bench.base.errors import SourceError
from molcryst_bench.sources.record import BadRecordError

LARGEST_MEMBER = 20_000_000  # bytes; a CIF with ten thousand atoms has half a million
# A damaged zip may seem encrypted or compressed in an exotic way: that is a RuntimeError.
_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError),
    UnicodeDecodeError,
)


@contextmanager
def opened_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip archive to read from it.

    Raises:
        SourceError: if it is not one, or a member that is read from it is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except _DAMAGE as error:
        raise SourceError(f"{path} is not a complete zip archive: {error}") from error


def stem_of(member: zipfile.ZipInfo) -> str:
    """Return the last part of a member's name without its suffix."""
    return member.filename.rpartition("/")[2].rpartition(".")[0]


def read_member(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, limit: int = LARGEST_MEMBER
) -> bytes:
    """Decompress a member that says it is no larger than ``limit``; zipfile holds it to its word.

    Raises:
        BadRecordError: if it says that it is larger.
    """
    if member.file_size > limit:
        size = f"{member.file_size:,} bytes"
        raise BadRecordError(f"{member.filename} would unpack to {size}, over {limit:,}")
    return archive.read(member)
