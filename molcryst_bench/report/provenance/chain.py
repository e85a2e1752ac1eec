"""The chain from raw bytes to the numbers of a cell, link by link."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from molcryst_bench.base.code import code_digest, code_parts
from molcryst_bench.base.errors import MolcrystError, SettingsError, StoreError, unknown_name
from molcryst_bench.base.files import checksum_of, digest_of
from molcryst_bench.base.project import dataset_folder, store_path
from molcryst_bench.bench.explain import PARTS
from molcryst_bench.bench.result import RESULT, RESULTS
from molcryst_bench.graphs.store import GraphStore, open_store
from molcryst_bench.graphs.verify import SPLITS, find_damage
from molcryst_bench.report.provenance.links import Link, compared
from molcryst_bench.report.provenance.numbers import (
    number_problems,
    numbers_of,
    result_problems,
    weights_problem,
)
from molcryst_bench.report.results import (
    Cell,
    Predictions,
    cell_folder,
    read_force_terms,
    read_predictions,
    read_results,
)
from molcryst_bench.report.submissions.truth import truth_in
from molcryst_bench.sources.card import Target
from molcryst_bench.training.checkpoint import load_model
from molcryst_bench.training.data import TaskData
from molcryst_bench.training.evaluate import evaluate
from molcryst_bench.training.task import Task, load_task

_AGREEMENT = 1e-3  # of the RMSE: single precision differs between processors and threads
_NOT_DECISIVE = ("devices", "nodes")  # of the training settings; see bench/cell.py


def find_cell(leaderboard: Path, name: str) -> Cell:
    """Find a row of ``results.parquet`` by the name of its cell, or by its folder.

    Raises:
        SettingsError: if there is none of this name, with the nearest one.
    """
    cells = {full_name(cell): cell for cell in read_results(leaderboard)}
    wanted = name.rstrip("/").rpartition(f"{RESULTS}/")[2]
    if wanted not in cells:
        raise SettingsError(unknown_name("cell", wanted, cells))
    return cells[wanted]


def full_name(cell: Cell) -> str:
    """Return the name of a cell with its split where that is not the first, as in commands."""
    return f"{task_of(cell).name}/{cell.model}/{cell.seed}"


def task_of(cell: Cell) -> Task:
    """Return the task of a cell."""
    return load_task(f"{cell.task}@{cell.split}")


def verify_cell(leaderboard: Path, cell: Cell, progress: Callable[[int, int], None]) -> list[Link]:
    """Recompute a cell from its files.

    Args:
        leaderboard: where they lie.
        cell: a row of ``results.parquet``.
        progress: told how many arrays of the store are checked, of how many.

    Returns:
        all links, from raw files to numbers.
    """
    task = task_of(cell)
    store = _open(cell)
    links = [*_raw_links(cell, store), *_store_links(cell, store, progress)]
    links += [_configuration(leaderboard, cell, task), _code(leaderboard, cell)]
    links.append(_weights(leaderboard, cell))
    return links + list(_prediction_links(leaderboard, cell, task, store))


def _open(cell: Cell) -> GraphStore | str:
    """Return the store of a cell, or why there is none."""
    advice = f"molcryst data build {cell.dataset} --accept-quarantined"
    try:
        return open_store(store_path(cell.dataset))
    except StoreError as error:
        return f"{error}; {advice}" if advice not in str(error) else str(error)


def _raw_links(cell: Cell, store: GraphStore | str) -> Iterator[Link]:
    if isinstance(store, str):
        yield Link("raw files", "unchecked", "their checksums are in the store, which is not here")
        return
    folder = dataset_folder(cell.dataset) / "raw"
    known: dict[str, str] = store.attributes["provenance"]["raw_sha256"]
    by_state: dict[str, list[str]] = {"broken": [], "unchecked": []}
    for name, stored in known.items():
        path = folder / name
        if not path.exists():
            by_state["unchecked"].append(name)
        elif (found := checksum_of(path)) != stored:
            by_state["broken"].append(f"{path}: stored is {stored}, found {found}")
    if by_state["broken"]:
        yield Link("raw files", "broken", "; ".join(by_state["broken"]))
    elif missing := by_state["unchecked"]:
        advice = f"fetch them with `molcryst data fetch {cell.dataset}`"
        yield Link("raw files", "unchecked", f"{len(missing)} not in {folder}: {advice}")
    else:
        yield Link("raw files", "holds", f"sha256 of {len(known)} as the store says")


def _store_links(
    cell: Cell, store: GraphStore | str, progress: Callable[[int, int], None]
) -> Iterator[Link]:
    if isinstance(store, str):
        yield Link("store", "unchecked", store)
        yield Link("split", "unchecked", "a split is digested in the order of the store")
        return
    damage = find_damage(store, progress)
    of_values = [str(each) for each in damage if not each.array.startswith(SPLITS)]
    if store.digest != cell.store_digest:
        advice = "build the one that the cell was made with (params.yaml), or run it again"
        words = f"the store here has digest {store.digest}, the cell {cell.store_digest}: {advice}"
        yield Link("store", "broken", words)
    elif of_values:
        yield Link("store", "broken", f"{store.path}: {'; '.join(of_values)}")
    else:
        yield compared("store", cell.store_digest, store.digest)
    try:
        yield compared("split", cell.split_digest, store.split(cell.split).digest)
    except MolcrystError as error:
        yield Link("split", "broken", str(error))


def _configuration(leaderboard: Path, cell: Cell, task: Task) -> Link:
    """Compare the key with what it is a digest of, and that with the row of the results."""
    name, parts = "configuration", _read_parts(leaderboard, cell)
    if parts is None:
        words = f"no {PARTS} beside the result, or it is not readable: run `molcryst bench run`"
        return Link(name, "unchecked", words)
    found = digest_of({**parts, "code": cell.code_digest})
    if found != cell.key:
        return Link(name, "broken", f"the key is {cell.key}, its parts give {found}")
    expected = _expected_parts(cell, task, searched="search" in parts)
    if wrong := [key for key, value in expected.items() if parts.get(key) != value]:
        said = f"results.parquet and {PARTS} differ in {', '.join(wrong)}"
        return Link(name, "broken", said)
    return Link(name, "holds", f"key {cell.key[:12]}")


def _expected_parts(cell: Cell, task: Task, searched: bool) -> dict[str, Any]:
    parts: dict[str, Any] = {
        "cell": {"task": task.name, "model": cell.model, "seed": cell.seed},
        "store": cell.store_digest,
        "split": [cell.split, cell.split_digest],
    }
    if searched:  # then the key tells the search, and the result what it has found
        return parts
    training = cell.training_values
    of_key = {name: value for name, value in training.items() if name not in _NOT_DECISIVE}
    return parts | {"hyperparameters": cell.hyperparameter_values, "training": of_key or None}


def _read_parts(leaderboard: Path, cell: Cell) -> dict[str, Any] | None:
    try:
        path = cell_folder(leaderboard, cell) / PARTS
        return dict(json.loads(path.read_text(encoding="utf-8"))["parts"])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _code(leaderboard: Path, cell: Cell) -> Link:
    parts = _read_parts(leaderboard, cell)
    if parts is None:
        return Link("code", "unchecked", f"{PARTS}, which names its files, is not here")
    try:
        before, now = parts["code"], code_parts(*parts["code"])
    except (ModuleNotFoundError, KeyError, TypeError):
        before, now = {}, {"": ""}
    if before == now:
        return compared("code", cell.code_digest, code_digest(*before))
    changed = sorted(key for key in {*before, *now} if before.get(key) != now.get(key))
    words = f"{len(changed)} modules are not those it was trained with ({', '.join(changed[:3])}"
    words += ", ...)" if len(changed) > 3 else ")"
    advice = "check out the version that made it, or run the cell again"
    return Link("code", "unchecked", f"{words}: {advice}")


def _weights(leaderboard: Path, cell: Cell) -> Link:
    problem = weights_problem(leaderboard, cell)
    if problem is None:
        return Link("weights", "holds", f"sha256 {cell.weights_sha256[:12]}")
    return Link("weights", "broken", problem)


def _prediction_links(
    leaderboard: Path, cell: Cell, task: Task, store: GraphStore | str
) -> Iterator[Link]:
    """Check predictions, that the weights make them, and that they make the numbers."""
    try:
        predictions = read_predictions(leaderboard, cell)
    except MolcrystError as error:
        yield Link("predictions", "broken", str(error))
        yield Link("numbers", "broken", "do not follow from these predictions")
        return
    yield Link("predictions", "holds", f"sha256 {cell.predictions_sha256[:12]}")
    yield _targets(cell, task, store, predictions)
    yield _predicted_again(leaderboard, cell, task, store, predictions)
    yield _numbers(leaderboard, cell, task, predictions)


def _targets(cell: Cell, task: Task, store: GraphStore | str, predictions: Predictions) -> Link:
    name = "test records"
    if isinstance(store, str) or store.digest != cell.store_digest:
        return Link(name, "unchecked", "the store of the cell is not here")
    try:
        truth = truth_in(store, task)
    except MolcrystError as error:
        return Link(name, "broken", str(error))
    if not np.array_equal(truth.ids, predictions.ids):
        return Link(name, "broken", "the predictions are not those of the split's test records")
    if not np.array_equal(truth.target, predictions.target):
        return Link(name, "broken", "the true values beside the predictions are not the store's")
    return Link(name, "holds", f"{len(truth.ids):,} ids and true values as in the store")


def _predicted_again(
    leaderboard: Path, cell: Cell, task: Task, store: GraphStore | str, predictions: Predictions
) -> Link:
    """Let the weights predict the test records once more."""
    name = "predicted again"
    if isinstance(store, str) or store.digest != cell.store_digest:
        return Link(name, "unchecked", "the store of the cell is not here")
    try:
        regressor, _ = load_model(cell_folder(leaderboard, cell))
        found = evaluate(regressor, TaskData.load(task, store), "test")
    except (MolcrystError, RuntimeError) as error:
        return Link(name, "broken", f"the weights do not predict: {error}")
    order = np.argsort(found.ids.astype(str), kind="stable")
    again = found.prediction[order]
    if again.shape != predictions.prediction.shape:
        return Link(name, "broken", "the weights were asked for other records")
    difference = float(np.abs(again - predictions.prediction).max())
    limit = _AGREEMENT * cell.rmse / task.definition.error_factor
    words = f"largest difference {difference:.2g} {cell.unit}"
    return Link(name, "holds" if difference <= limit else "broken", words)


def _numbers(leaderboard: Path, cell: Cell, task: Task, predictions: Predictions) -> Link:
    forces: tuple[np.ndarray, Target] | None = None
    try:
        if cell.forces_mae is not None and task.forces_definition is not None:
            forces = read_force_terms(leaderboard, cell), task.forces_definition
        found = numbers_of(leaderboard, cell, predictions, task.definition, forces)
    except MolcrystError as error:
        return Link("numbers", "broken", str(error))
    problems = [*number_problems(leaderboard, cell, found), *result_problems(leaderboard, cell)]
    if problems:
        return Link("numbers", "broken", "; ".join(problems))
    if not (cell_folder(leaderboard, cell) / RESULT).exists():
        words = f"{RESULT} is missing, from which results.parquet is made: run `molcryst bench run`"
        return Link("numbers", "unchecked", words)
    if cell.coverage_90 is not None and "coverage_90" not in found:
        words = "the errors on the validation set are missing, so intervals cannot be measured"
        return Link("numbers", "unchecked", f"{words}: run `molcryst bench run`")
    return Link("numbers", "holds", f"{len(found)} computed again, MAE {cell.errors_in_words}")
