"""All trials of a search in one table, which is whole after each of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

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
    }
)


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

    @property
    def finished(self) -> bool:
        """Whether it will not be run again."""
        return self.status != RUNNING


class Journal:
    """The trials of one search, in a folder."""

    def __init__(self, folder: Path, trials: Iterable[Trial] = ()) -> None:
        self.folder = folder
        self.trials = list(trials)

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
        return cls(folder)

    @classmethod
    def reopen(cls, folder: Path, identity: Mapping[str, Any]) -> Journal:
        """Go on with a search, or begin it if there is none.

        Raises:
            RunError: if it is another search.
        """
        if not (folder / SEARCH).exists():
            return cls.create(folder, identity)
        known = json.loads((folder / SEARCH).read_text(encoding="utf-8"))
        if other := [name for name in identity if known.get(name) != identity[name]]:
            reason = f"another {' and '.join(other)}; choose another --output"
            raise RunError(f"the search in {folder} has {reason}")
        return cls(folder, _read(folder / TABLE))

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
        """Write the table, whole or not at all."""
        rows = [_row(trial) for trial in self.trials]
        with whole_file(self.folder / TABLE) as partial:
            pq.write_table(pa.Table.from_pylist(rows, _SCHEMA), partial)


def _row(trial: Trial) -> dict[str, Any]:
    row = asdict(trial)
    return row | {name: json.dumps(row[name]) for name in ("settings", "proposal")}


def _read(path: Path) -> list[Trial]:
    rows = pq.read_table(path, schema=_SCHEMA).to_pylist() if path.exists() else []
    return [
        Trial(**row | {name: json.loads(row[name]) for name in ("settings", "proposal")})
        for row in rows
    ]
