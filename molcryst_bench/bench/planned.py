"""The cells of the active profile without planning them anew, which takes seconds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import metadata, util
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import molcryst_bench
from molcryst_bench.base.files import digest_of, write_json

if TYPE_CHECKING:
    from molcryst_bench.bench.cell import CellPlan

_FILE = ".plan.json"
_GROUP = "molcryst_bench.models"


class Planned(NamedTuple):
    """What one needs to know of a cell to tell its state."""

    cell: str
    key: str
    trains: bool
    epochs: int
    search: str = ""  # that its settings come from, and how many trials that has
    trials: int = 0

    @classmethod
    def of(cls, plan: CellPlan) -> Planned:
        """Take from a plan what is needed."""
        known = cls(plan.cell.name, plan.key, plan.trains, plan.training.epochs)
        if plan.search is None:
            return known
        return known._replace(search=plan.search.name, trials=plan.search.settings.trials)


class Profile(NamedTuple):
    """The cells of the active profile."""

    name: str
    cells: list[Planned]
    workers: int


def planned_cells(root: Path, leaderboard: Path) -> Profile:
    """Return the cells of the active profile; planned anew if anything they depend on changed.

    Args:
        root: of the project.
        leaderboard: where the last plan is kept.
    """
    fingerprint = _fingerprint(root)
    kept = _read(leaderboard / _FILE, fingerprint)
    return kept or _plan(leaderboard / _FILE, fingerprint)


def _plan(path: Path, fingerprint: str) -> Profile:
    from molcryst_bench.bench.cell import plan_cells
    from molcryst_bench.bench.params import load_params

    params = load_params()
    cells = [Planned.of(plan) for plan in plan_cells(params)]
    profile = Profile(params.profile, cells, params.executor.worker_count())
    write_json(path, {"fingerprint": fingerprint, **profile._asdict()})
    return profile


def _read(path: Path, fingerprint: str) -> Profile | None:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if content.pop("fingerprint") != fingerprint:
            return None
        content["cells"] = [Planned(*cell) for cell in content["cells"]]
        return Profile(**content)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _fingerprint(root: Path) -> str:
    """Identify settings, data and code by the times and sizes of their files."""
    return digest_of([_stamp(path) for path in _files(root)])


def _files(root: Path) -> Iterator[Path]:
    yield root / "params.yaml"
    for pattern in ("*/card.yaml", "*/store.zarr/zarr.json", "*/splits/*.parquet"):
        yield from sorted((root / "datasets").glob(pattern))
    yield from sorted(Path(molcryst_bench.__file__).parent.rglob("*.py"))
    for model in metadata.entry_points(group=_GROUP):
        spec = util.find_spec(model.module)
        if spec is not None and spec.origin is not None:
            yield Path(spec.origin)


def _stamp(path: Path) -> list[Any]:
    try:
        found = path.stat()
    except OSError:
        return [str(path)]
    return [str(path), found.st_mtime_ns, found.st_size]
