"""A submission to fill in: the right ids, digests and units, and what a card holds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from molcryst_bench.base.errors import SettingsError
from molcryst_bench.base.files import whole_file
from molcryst_bench.report.submissions import files
from molcryst_bench.report.submissions.card import SubmissionCard
from molcryst_bench.report.submissions.truth import Truth
from molcryst_bench.training.task import Task


def write_template(folder: Path, task: Task, truth: Truth) -> None:
    """Write a card with what is known, and predictions that are all missing.

    Raises:
        SettingsError: if there is a submission in the folder already.
    """
    if any((folder / name).exists() for name in (files.CARD, files.PREDICTIONS)):
        raise SettingsError(f"{folder} holds a submission already: choose another folder")
    with whole_file(folder / files.CARD) as partial:
        partial.write_text(_card(task, truth), encoding="utf-8")
    with whole_file(folder / files.PREDICTIONS) as partial:
        pq.write_table(_predictions(truth), partial)


def _card(task: Task, truth: Truth) -> str:
    known = {
        "task": task.name,
        "unit": truth.definition.unit,
        "store_digest": truth.store_digest,
        "split_digest": truth.split_digest,
    }
    if truth.forces is not None:
        known["forces_unit"] = truth.forces.definition.unit
    blocks = ["# Texts are shown as they are. What begins with # is optional, or still to be said."]
    for name, field in SubmissionCard.model_fields.items():
        value = f"{name}: {json.dumps(known[name])}" if name in known else f"# {name}:"
        blocks.append(f"# {field.description}\n{value}")
    return "\n\n".join(blocks) + "\n"


def _predictions(truth: Truth) -> pa.Table:
    columns = {"id": truth.ids.tolist(), "prediction": np.full(len(truth.ids), np.nan)}
    if truth.forces is not None:
        columns["forces"] = [[np.nan] * (3 * atoms) for atoms in truth.forces.atoms.tolist()]
    return pa.table(columns)
