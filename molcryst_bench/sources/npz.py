"""Arrays from npz files of strangers: nothing is run, and nothing large is taken on trust."""

from __future__ import annotations

import io
import lzma
import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterable
from typing import BinaryIO

import numpy as np

from molcryst_bench.base.errors import SourceError

_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_MOST_EXPANSION = 10  # numbers hardly compress: what claims to grow more is a bomb
# What damaged zip archives and array headers make zipfile, its codecs and NumPy raise.
_NOT_NPZ = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError),
    *(RuntimeError, ValueError, KeyError, SyntaxError, tokenize.TokenError),
)


def read_npz(file: BinaryIO, keys: Iterable[str], where: str) -> dict[str, np.ndarray]:
    """Read some arrays of an npz file.

    Args:
        file: open for reading, seekable.
        keys: names of the arrays.
        where: the name of the file, for errors.

    Raises:
        SourceError: if the file is damaged, lacks an array, holds Python objects in one, or claims
            to hold far more than its size allows.
    """
    members = {key: f"{key}.npy" for key in keys}
    try:
        size = file.seek(0, io.SEEK_END)
        with zipfile.ZipFile(file) as archive:
            _check_claims(archive, members, size)
            return {key: _array(archive.read(name), key) for key, name in members.items()}
    except _NOT_NPZ as error:
        raise SourceError(f"{where} is not a complete npz file: {error}") from error


def _check_claims(archive: zipfile.ZipFile, members: dict[str, str], size: int) -> None:
    """Look at the directory of the archive before anything is unpacked."""
    there = set(archive.namelist())
    if missing := [key for key, name in members.items() if name not in there]:
        raise ValueError(f"it lacks the array {', '.join(missing)}")
    claimed = sum(archive.getinfo(name).file_size for name in members.values())
    if claimed > _MOST_EXPANSION * size:
        raise ValueError(f"it claims to unpack {claimed:,} bytes from {size:,}")


def _array(content: bytes, key: str) -> np.ndarray:
    """Decode an array whose header agrees with its length."""
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    if version not in _HEADERS:
        raise ValueError(f"{key} has an unknown header")
    shape, _, dtype = _HEADERS[version](file)
    if dtype.hasobject:
        raise ValueError(f"{key} holds Python objects, which could run code")
    if math.prod(shape) * dtype.itemsize != len(content) - file.tell():
        raise ValueError(f"{key} is not as long as its header says")
    file.seek(0)
    array: np.ndarray = np.lib.format.read_array(file, allow_pickle=False)
    return array
