"""All trials of a search in one table, which is whole after each of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from molcryst_bench.base.errors import RunError
from molcryst_bench.base.files import whole_file, write_json

TABLE, SEARCH = "search.parquet", "search.json"
RUNNING, DONE, STOPPED, FAILED = "running", "done", "stopped", "failed"
_SCHEMA = pa.schema(
    {
        "trial": pa.int64(),
        "origin": pa.string(),
        "status": pa.string(),
        "reason": pa.string(),
        "error": pa.float64(),
        "error_unit": pa.string(),
        "epochs": pa.int64(),
        "best_epoch": pa.int64(),
        "seconds": pa.float64(),
        "start": pa.timestamp("us", tz="UTC"),
        "end": pa.timestamp("us", tz="UTC"),
        "worker": pa.string(),
        "settings": pa.string(),
        "proposal": pa.string(),
        "rungs": pa.list_(pa.float64()),
        "asked": pa.int64(),
        "told": pa.int64(),
        "parameters": pa.int64(),
        "inference_seconds": pa.float64(),
        "code": pa.string(),
    }
)
_AS_JSON = ("settings", "proposal")
_METADATA = b"molcryst_bench.search"
_CODE = "code"  # may change while a search is under way; each trial says which it ran with


@dataclass
class Trial:
    """A trial, from when it is proposed."""

    trial: int  # from 0, in the order in which they were proposed
    origin: str  # "published" for the first one, else the method
    settings: dict[str, Any]  # that were searched and count; others are as in the first trial
    proposal: dict[str, Any] | None  # codes of all parameters; none outside the space
    error_unit: str
    asked: int  # turn of the search at which it was proposed
    start: Any  # datetime in UTC
    status: str = RUNNING
    reason: str = ""
    error: float | None = None
    epochs: int | None = None
    best_epoch: int | None = None
    seconds: float | None = None
    end: Any = None
    worker: str = ""
    rungs: list[float] = field(default_factory=list)
    told: int | None = None  # turn of the search at which it was known what it came to
    parameters: int | None = None  # weights of the model
    inference_seconds: float | None = None  # for one structure, where that counts
    code: str = ""  # digest of all that it runs through

    @property
    def finished(self) -> bool:
        """Whether it will not be run again."""
        return self.status != RUNNING


class Journal:
    """The trials of one search, in a folder."""

    def __init__(
        self, folder: Path, identity: Mapping[str, Any], trials: Iterable[Trial] = ()
    ) -> None:
        self.folder = folder
        self.identity = dict(identity)
        self.trials = list(trials)
        self.budget = len(self.trials)  # that there are to be

    @classmethod
    def create(cls, folder: Path, identity: Mapping[str, Any]) -> Journal:
        """Begin a search.

        Args:
            folder: for it alone.
            identity: all that decides what it finds.

        Raises:
            RunError: if there is one already.
        """
        if (folder / SEARCH).exists():
            reason = "add --resume to go on with it, or choose another --output"
            raise RunError(f"there is a search in {folder} already: {reason}")
        write_json(folder / SEARCH, identity)
        return cls(folder, identity)

    @classmethod
    def reopen(cls, folder: Path, identity: Mapping[str, Any]) -> Journal:
        """Go on with a search, or begin it if there is none; the code may have changed.

        Raises:
            RunError: if it is another search, or its table cannot be read.
        """
        known = identity_in(folder)
        if known is None:
            return cls.create(folder, identity)
        if other := [name for name in _decisive(identity) if known.get(name) != identity[name]]:
            reason = f"another {' and '.join(other)}; choose another --output"
            raise RunError(f"the search in {folder} has {reason}")
        table = folder / TABLE
        return cls(folder, identity, read_search(table).trials if table.exists() else ())

    def with_other_code(self) -> list[Trial]:
        """Return the trials that have ended with other code than there is now."""
        return [t for t in self.trials if t.finished and t.code != self.identity.get(_CODE, "")]

    @property
    def turn(self) -> int:
        """The next turn of the search: a proposal or a result."""
        turns = [turn for t in self.trials for turn in (t.asked, t.told) if turn is not None]
        return max(turns, default=-1) + 1

    @property
    def running(self) -> list[Trial]:
        """Trials whose end is not known."""
        return [trial for trial in self.trials if not trial.finished]

    @property
    def best(self) -> Trial | None:
        """The trial with the least error, if one has not failed."""
        known = [(t.error, t) for t in self.trials if t.error is not None]
        return min(known, key=lambda pair: pair[0])[1] if known else None

    def write(self) -> None:
        """Write the table, whole or not at all, with what the search is in its metadata."""
        rows = [_row(trial) for trial in self.trials]
        told = {**self.identity, "budget": self.budget}
        schema = _SCHEMA.with_metadata({_METADATA: json.dumps(told, sort_keys=True)})
        with whole_file(self.folder / TABLE) as partial:
            pq.write_table(pa.Table.from_pylist(rows, schema), partial)


class SearchRecord(NamedTuple):
    """What the table of a search tells."""

    identity: dict[str, Any]
    trials: list[Trial]


def read_search(path: Path) -> SearchRecord:
    """Read the table of a search.

    Raises:
        RunError: if it is not one, or one of another version.
    """
    try:
        table = pq.read_table(pa.BufferReader(path.read_bytes()))  # a search may replace the file
        identity = json.loads((table.schema.metadata or {})[_METADATA])
        trials = [_trial(row) for row in table.select(_SCHEMA.names).to_pylist()]
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        message = f"{path} is not the table of a search that this version writes ({error})"
        raise RunError(f"{message}: remove its folder and search again") from error
    return SearchRecord(identity, trials)


def identity_in(folder: Path) -> dict[str, Any] | None:
    """Return what the search in a folder is, or nothing if there is none."""
    path = folder / SEARCH
    if not path.exists():
        return None
    known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return known


def _decisive(identity: Mapping[str, Any]) -> list[str]:
    return [name for name in identity if name != _CODE]


def _row(trial: Trial) -> dict[str, Any]:
    row = asdict(trial)
    return row | {name: json.dumps(row[name]) for name in _AS_JSON}


def _trial(row: dict[str, Any]) -> Trial:
    return Trial(**row | {name: json.loads(row[name]) for name in _AS_JSON})
