"""Accepted submissions as rows of the tables, measured on the test records of the results."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from molcryst_bench.report.aggregate import Tested
from molcryst_bench.report.results import Cell, Predictions, cell_folder
from molcryst_bench.report.submissions.files import submission_folders
from molcryst_bench.report.submissions.judge import Judged, Submission, judge, read_submission
from molcryst_bench.report.submissions.refusal import RefusedError
from molcryst_bench.report.submissions.truth import TrueForces, Truth
from molcryst_bench.sources.card import Target


def read_submissions(leaderboard: Path) -> list[Submission]:
    """Read all submissions that are whole; ``left_out`` tells of the others."""
    found = []
    for folder in submission_folders(leaderboard):
        try:
            found.append(read_submission(folder.absolute()))
        except RefusedError:
            continue
    return found


def left_out(leaderboard: Path, shown: Collection[str]) -> list[str]:
    """Say of each submission that is in no table why it is not.

    Args:
        leaderboard: beside whose results submissions lie.
        shown: the names of those that are in a table.
    """
    return [
        _reason(folder) for folder in submission_folders(leaderboard) if folder.name not in shown
    ]


def measure_submissions(
    submissions: Sequence[Submission], own: Sequence[Tested], truth: Truth
) -> Iterator[Tested]:
    """Measure those that are about just the test records of a table.

    Args:
        submissions: of any task.
        own: the cells of the table.
        truth: its test records.
    """
    for submission in submissions:
        if (submission.task.base_name, submission.task.split) != (truth.task, truth.split):
            continue
        try:
            judged = judge(submission, truth)
        except RefusedError:
            continue
        predictions = Predictions(judged.ids, judged.target, judged.prediction)
        yield Tested(_as_cell(judged, own[0].cell), predictions, judged.force_terms, judged)


def truth_of(leaderboard: Path, tested: Tested, target: Target, forces: Target | None) -> Truth:
    """Return the test records of a table, from the predictions of one of its cells."""
    cell, known = tested.cell, tested.predictions
    of_forces = None if forces is None else _true_forces(leaderboard, cell, forces)
    return Truth(
        cell.task,
        cell.split,
        target,
        cell.store_digest,
        cell.split_digest,
        known.ids,
        known.target,
        of_forces,
    )


def _true_forces(leaderboard: Path, cell: Cell, definition: Target) -> TrueForces:
    path = cell_folder(leaderboard, cell) / "predictions.parquet"
    table = pq.read_table(path, columns=["id", "forces_target"])
    lists = table["forces_target"].combine_chunks()
    atoms = lists.value_lengths().to_numpy() // 3
    values = np.split(lists.flatten().to_numpy().reshape(-1, 3), np.cumsum(atoms)[:-1])
    order = np.argsort(table["id"].to_numpy().astype(str), kind="stable")
    return TrueForces(np.concatenate([values[row] for row in order]), atoms[order], definition)


def _as_cell(judged: Judged, like: Cell) -> Cell:
    """Return a row as if we had trained it; what its authors do not say is no number."""
    card = judged.card
    bounds = judged.intervals.items()
    return like.model_copy(
        update={
            **{name: None for name in Cell.model_fields if name.startswith(("forces_", "search"))},
            "forces_unit": like.forces_unit,
            "coverage_90": None,
            "interval_90": None,
            "miscalibration": None,
            **judged.errors._asdict(),
            **judged.force_errors,
            **{f"{name}_low": low for name, (low, _) in bounds},
            **{f"{name}_high": high for name, (_, high) in bounds},
            "model": card.shown_name,
            "seed": 0,
            "valid_mae": math.nan,
            "parameters": card.parameters or 0,
            "epochs": 0,
            "best_epoch": 0,
            "train_seconds": card.train_seconds or math.nan,
            "graphs_per_second": math.nan,
            "peak_memory_mb": math.nan,
            "hyperparameters": json.dumps({}),
            "training": json.dumps({}),
            "predictions_sha256": judged.submission.sha256,
            "folder": f"submissions/{judged.submission.name}",
        }
    )


def _reason(folder: Path) -> str:
    try:
        submission = read_submission(folder.absolute())
    except RefusedError as error:
        return str(error)
    advice = "`molcryst submit check` says more where its data are"
    task = submission.card.task
    return f"{submission.name}: not about the test records of these results of {task}; {advice}"
