"""Splits of a dataset: record ids and their subsets, with proof of what they were made for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from molcryst_bench.base.errors import SettingsError, StoreError, unknown_name
from molcryst_bench.base.files import whole_file
from molcryst_bench.graphs.layout import id_digest
from molcryst_bench.graphs.split_folder import SplitFolder

if TYPE_CHECKING:
    from molcryst_bench.graphs.store import GraphStore

SUBSETS = ("train", "valid", "test")
UNUSED = -1  # the subset of records that a split leaves out
_NAMES = (*SUBSETS, "unused")  # UNUSED counts from the end


@dataclass(frozen=True)
class Split:
    """Which record belongs to which subset.

    ``ids`` and ``subset`` have one entry for each record; ``subset`` indexes ``SUBSETS``, or is
    ``UNUSED``.
    """

    name: str
    ids: np.ndarray  # (records,) str
    subset: np.ndarray  # (records,) int8
    population_digest: str  # of the ids that the split was made for

    @property
    def digest(self) -> str:
        """Digest of the assignment, whatever the order of the ids."""
        return id_digest(f"{i} {_NAMES[s]}" for i, s in zip(self.ids, self.subset, strict=True))

    def rows(self, subset: str) -> Tensor:
        """Return the positions of the records of one subset."""
        if subset not in SUBSETS:
            raise SettingsError(unknown_name("subset", subset, SUBSETS))
        return torch.from_numpy(np.flatnonzero(self.subset == SUBSETS.index(subset)))

    def of_group(self, group: str) -> Split:
        """Return this split without the records of other groups; positions stay as they are.

        Args:
            group: what stands before the slash in the ids, such as the molecule of a frame.

        Raises:
            SettingsError: if the split uses no record of it; names the nearest group that it uses.
        """
        groups = np.array([group_of(record) for record in self.ids.tolist()])
        used = set(groups[self.subset != UNUSED].tolist()) - {""}
        if group not in used:
            problem = unknown_name("group", group, used) if used else "its records have no groups"
            raise SettingsError(f"the split '{self.name}': {problem}")
        return replace(self, subset=np.where(groups == group, self.subset, UNUSED))

    def checked(self, store: GraphStore) -> Split:
        """Return this split in the order of a store, restricted to its records.

        Raises:
            StoreError: if the split was made for another set of ids.
        """
        if self.population_digest != store.population_digest():
            message = f"the split '{self.name}' was made for other records than {store.path} holds"
            raise StoreError(f"{message}: restore the split file or build the store again")
        order = np.argsort(self.ids)
        position = order[np.searchsorted(self.ids, store.ids, sorter=order)]
        return Split(self.name, store.ids, self.subset[position], self.population_digest)


def group_of(record: str) -> str:
    """Return the group of a record, such as the molecule of a frame; empty without groups."""
    return record.rpartition("/")[0]


def load_split(path: Path) -> Split:
    """Read a split from a file of this machine; errors are those of ``read_split``."""
    return read_split(SplitFolder(str(path.parent)), path.stem)


def read_split(folder: SplitFolder, name: str) -> Split:
    """Read a split.

    Raises:
        SettingsError: if there is no such split.
        StoreError: if the file is not one, or was changed since it was written.
    """
    content, path = folder.read(name), folder.address(name)
    try:
        table = pq.read_table(pa.BufferReader(content))
        ids, names = table["id"].to_numpy(), table["subset"].to_numpy()
        subset = np.array([_NAMES.index(name) for name in names], np.int8)
        subset[subset == len(SUBSETS)] = UNUSED
        metadata = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise StoreError(f"{path} is not a split: {error}") from error
    split = Split(name, ids.astype(str), subset, id_digest(ids.tolist()))
    if not _metadata(split).items() <= metadata.items():
        raise StoreError(f"{path} was changed since it was made: restore it from git")
    return split


def save_split(split: Split, path: Path) -> None:
    """Write a split, sorted by id, in a few bytes for each record."""
    order = np.argsort(split.ids)
    names = pa.array([_NAMES[subset] for subset in split.subset[order]]).dictionary_encode()
    table = pa.table({"id": split.ids[order].tolist(), "subset": names})
    table = table.replace_schema_metadata(_metadata(split))
    with whole_file(path) as partial:
        pq.write_table(
            table,
            partial,
            compression="zstd",
            compression_level=19,
            use_dictionary=["subset"],
            column_encoding={"id": "DELTA_BYTE_ARRAY"},
        )


def _metadata(split: Split) -> dict[str, str]:
    """Return what a file says about itself, so that a change of it is noticed."""
    return {"id_digest": split.population_digest, "digest": split.digest}
