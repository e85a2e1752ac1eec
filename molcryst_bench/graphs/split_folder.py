"""Where the splits of a store lie, on this machine or on any file system of fsspec."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from molcryst_bench.base.errors import SettingsError, StoreError, unknown_name

_SUFFIX = ".parquet"


@dataclass(frozen=True)
class SplitFolder:
    """A folder of splits, ``<name>.parquet`` each."""

    path: str
    files: fsspec.AbstractFileSystem = field(default_factory=LocalFileSystem)

    @classmethod
    def beside(cls, store: str, storage_options: Mapping[str, Any]) -> SplitFolder:
        """Return the folder ``splits`` beside a store at a local path or an fsspec URL."""
        files, place = fsspec.url_to_fs(store, **storage_options)
        return cls(f"{files._parent(place)}/splits", files)

    def names(self) -> list[str]:
        """Return the names of all splits; of none where a server does not list its files."""
        try:
            found = self.files.glob(f"{self.path}/*{_SUFFIX}")
        except Exception:  # each remote file system has errors of its own
            return []
        return sorted(path.rpartition("/")[2].removesuffix(_SUFFIX) for path in found)

    def address(self, name: str) -> str:
        """Return the path of a split, or its URL on a remote file system."""
        path = f"{self.path}/{name}{_SUFFIX}"
        local = isinstance(self.files, LocalFileSystem)
        return path if local else str(self.files.unstrip_protocol(path))

    def read(self, name: str) -> bytes:
        """Return the bytes of a split.

        Raises:
            SettingsError: if there is no such split; names the nearest one.
            StoreError: if it cannot be read.
        """
        try:
            # With a start it is one request, where some would ask for the size of a whole first.
            content: bytes = self.files.cat_file(f"{self.path}/{name}{_SUFFIX}", start=0)
        except FileNotFoundError as error:
            problem = f"{self.address(name)} is not there"
            if known := self.names():
                problem = f"{unknown_name('split', name, known)} ({problem})"
            raise SettingsError(problem) from error
        except Exception as error:  # each remote file system has errors of its own
            reason = f"{type(error).__name__}: {error}"
            raise StoreError(f"{self.address(name)} cannot be read: {reason}") from error
        return content
