"""Reading a submission and measuring it, so that its numbers are ours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from molcryst_bench.base.errors import MolcrystError, SettingsError
from molcryst_bench.base.files import checksum_of
from molcryst_bench.report.submissions import files
from molcryst_bench.report.submissions.card import SubmissionCard
from molcryst_bench.report.submissions.plain_yaml import PlainYamlError, read_plain_yaml
from molcryst_bench.report.submissions.refusal import RefusedError, counted, some_of
from molcryst_bench.report.submissions.table import Table, read_table
from molcryst_bench.report.submissions.truth import Truth
from molcryst_bench.training.bootstrap import Bounds
from molcryst_bench.training.metrics import (
    Errors,
    error_terms,
    errors_of,
    force_error_terms,
    force_errors_from,
    force_intervals_of,
    intervals_of,
)
from molcryst_bench.training.task import Task, load_task


@dataclass(frozen=True)
class Submission:
    """A submission that has been read, but not compared with anything yet."""

    name: str  # of its folder
    card: SubmissionCard
    task: Task
    table: Table
    sha256: str  # of the predictions


@dataclass(frozen=True)
class Judged:
    """A submission that predicts just the test records; arrays are sorted by id."""

    submission: Submission
    ids: np.ndarray  # (items,) str
    target: np.ndarray  # (items,) in the unit of the task
    prediction: np.ndarray  # (items,)
    errors: Errors
    intervals: dict[str, Bounds]  # of all errors by name, over test items
    force_terms: np.ndarray | None  # (5, items)
    force_errors: dict[str, float]  # by name, such as ``forces_mae``

    @property
    def card(self) -> SubmissionCard:
        """What its authors say."""
        return self.submission.card


def read_submission(folder: Path) -> Submission:
    """Read the two files of a submission, without running anything from them.

    Raises:
        RefusedError: with all reasons that can be told without the data.
    """
    files.check_files(folder)
    card = _read_card(folder)
    try:
        task = load_task(card.task)
    except SettingsError as error:
        raise RefusedError(folder.name, [str(error)]) from None
    if reasons := list(_unit_problems(card, task)):
        raise RefusedError(folder.name, reasons)
    path = folder / files.PREDICTIONS
    table = read_table(path, folder.name)
    return Submission(folder.name, card, task, table, checksum_of(path))


def judge(submission: Submission, truth: Truth) -> Judged:
    """Compare a submission with the test records and compute its errors.

    Raises:
        RefusedError: with all reasons, if it is not about just these records, or is no number.
    """
    for problems in (_digest_problems, _row_problems, _force_problems):
        if reasons := list(problems(submission, truth)):
            raise RefusedError(submission.name, reasons)
    order = np.argsort(submission.table.ids.astype(str), kind="stable")
    prediction = submission.table.prediction[order]
    with np.errstate(over="ignore", invalid="ignore"):
        errors = errors_of(prediction, truth.target, truth.definition)
        terms = _force_terms(submission, truth, order)
    if not np.isfinite([errors.mae, errors.rmse]).all() or not np.isfinite(terms).all():
        raise RefusedError(submission.name, ["predictions are so large that errors overflow"])
    intervals = intervals_of(error_terms(prediction, truth.target), truth.definition)
    force_terms, force_errors = None, {}
    if truth.forces is not None:
        definition = truth.forces.definition
        force_terms = terms
        found = force_errors_from(terms.mean(1), definition)
        force_errors = {f"forces_{name}": float(value) for name, value in found.items()}
        of_forces = force_intervals_of(terms, definition)
        intervals |= {f"forces_{name}": bounds for name, bounds in of_forces.items()}
    return Judged(
        submission,
        truth.ids,
        truth.target,
        prediction,
        errors,
        intervals,
        force_terms,
        force_errors,
    )


def _read_card(folder: Path) -> SubmissionCard:
    try:
        values = read_plain_yaml((folder / files.CARD).read_bytes())
        if not isinstance(values, dict):
            raise PlainYamlError("not a mapping of keys to values")
        return SubmissionCard.parse(values, files.CARD)
    except PlainYamlError as error:
        raise RefusedError(folder.name, [f"{files.CARD}: {error}"]) from None
    except MolcrystError as error:
        raise RefusedError(folder.name, str(error).splitlines()) from None


def _unit_problems(card: SubmissionCard, task: Task) -> Iterator[str]:
    wanted = task.definition.unit
    if card.unit != wanted:
        yield f"the unit of {card.task} is {wanted}, the card says {card.unit!r}: convert to it"
    forces = task.forces_definition
    if forces is None and card.forces_unit is not None:
        yield f"{card.task} has no forces: leave forces_unit out"
    if forces is not None and card.forces_unit != forces.unit:
        yield f"the unit of the forces of {card.task} is {forces.unit}: forces_unit has to say so"


def _digest_problems(submission: Submission, truth: Truth) -> Iterator[str]:
    card = submission.card
    for what, said, here in (
        ("store_digest", card.store_digest, truth.store_digest),
        ("split_digest", card.split_digest, truth.split_digest),
    ):
        if said != here:
            yield (
                f"{what} is {said[:12]}..., the data here have {here[:12]}...: predict the test "
                "records of that store, or build the store that the card means"
            )


def _row_problems(submission: Submission, truth: Truth) -> Iterator[str]:
    table, task = submission.table, submission.card.task
    ids, counts = np.unique(table.ids.astype(str), return_counts=True)
    if repeated := ids[counts > 1].tolist():
        yield f"{counted(len(repeated), 'id')} more than once: {some_of(repeated)}"
    if foreign := np.setdiff1d(ids, truth.ids).tolist():
        yield f"{counted(len(foreign), 'id')} not in the test subset of {task}: {some_of(foreign)}"
    if missing := np.setdiff1d(truth.ids, ids).tolist():
        yield f"{counted(len(missing), 'test record')} without a prediction: {some_of(missing)}"
    if wrong := table.ids[~np.isfinite(table.prediction)].tolist():
        yield f"{counted(len(wrong), 'prediction')} missing or not finite: {some_of(wrong)}"


def _force_problems(submission: Submission, truth: Truth) -> Iterator[str]:
    found, wanted = submission.table.forces, truth.forces
    if wanted is None:
        if found is not None:
            yield f"{submission.card.task} has no forces: leave the column 'forces' out"
        return
    if found is None:
        yield "the column 'forces' is missing: x, y, z of the first atom, of the second, and so on"
        return
    values, lengths = found
    ids = submission.table.ids.astype(str)
    expected = 3 * wanted.atoms[np.searchsorted(truth.ids, ids)]
    if wrong := ids[lengths != expected].tolist():
        yield f"{counted(len(wrong), 'record')} without 3 forces for each atom: {some_of(wrong)}"
    elif not np.isfinite(values).all():
        yield f"{counted(int((~np.isfinite(values)).sum()), 'force')} missing or not finite"


def _force_terms(submission: Submission, truth: Truth, order: np.ndarray) -> np.ndarray:
    """Return what errors of forces are made of, (5, items); nothing where there are none."""
    if truth.forces is None or submission.table.forces is None:
        return np.empty((5, 0))
    values, lengths = submission.table.forces
    of_records = np.split(values, np.cumsum(lengths)[:-1])
    sorted_values = np.concatenate([of_records[row] for row in order.tolist()]).reshape(-1, 3)
    return force_error_terms(sorted_values, truth.forces.values, truth.forces.atoms)
