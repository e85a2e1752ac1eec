"""Predictions as tables (CSV, Parquet) and as structures (extended XYZ), with units."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import ase.io
import pyarrow as pa
import pyarrow.parquet as pq

from molcryst_bench.base.errors import SettingsError, unknown_name
from molcryst_bench.base.files import whole_file
from molcryst_bench.training.checkpoint import ModelCard
from molcryst_bench.training.predict_inputs import Prediction

_DIGITS = 10  # more than a model in single precision means


@dataclass(frozen=True)
class Interval:
    """How far the truth is from a prediction at most, with a probability of ``coverage``."""

    coverage: float
    half_width: float


def format_of(output: Path | None, name: str | None) -> str:
    """Return the name of the format that is meant, by its name or by the suffix of a file.

    Raises:
        SettingsError: if the suffix tells none.
    """
    if name is not None or output is None:
        return name or "csv"
    suffix = output.suffix.lower()
    if suffix not in _SUFFIXES:
        message = unknown_name("suffix", suffix, _SUFFIXES)
        raise SettingsError(f"{output}: {message}; or name the format with --format")
    return _SUFFIXES[suffix]


def write_predictions(
    output: Path | IO[str],
    format_name: str,
    predictions: Sequence[Prediction],
    card: ModelCard,
    interval: Interval | None = None,
) -> None:
    """Write all predictions.

    Args:
        output: a path, which is whole or not there; or an open text file.
        format_name: ``csv``, ``parquet`` (which takes a path) or ``extxyz``.
        predictions: in the order in which they are written.
        card: of the model, with the units.
        interval: to write the bounds of, too.
    """
    write = _WRITERS[format_name]
    if not isinstance(output, Path):
        write(output, predictions, card, interval)
        return
    with whole_file(output) as partial:
        if format_name == "parquet":
            write(partial, predictions, card, interval)
            return
        with partial.open("w", newline="", encoding="utf-8") as file:
            write(file, predictions, card, interval)


def _write_csv(
    file: Any, predictions: Sequence[Prediction], card: ModelCard, interval: Interval | None
) -> None:
    columns = _columns(predictions, card, interval)
    writer = csv.writer(file)
    writer.writerow(columns)
    writer.writerows(map(_as_text, row) for row in zip(*columns.values(), strict=True))


def _write_parquet(
    path: Any, predictions: Sequence[Prediction], card: ModelCard, interval: Interval | None
) -> None:
    table = pa.table(_columns(predictions, card, interval))
    pq.write_table(table.replace_schema_metadata(_origin(card)), path)


def _write_extxyz(
    file: Any, predictions: Sequence[Prediction], card: ModelCard, interval: Interval | None
) -> None:
    """Write structures with predictions in ``info`` and ``arrays``.

    The usual keys ``energy`` and ``forces`` stand for eV and eV/Å; these names do not.
    """
    for each in predictions:
        atoms = each.frame.atoms.copy()
        atoms.info = {"source": each.frame.source, "geometry": each.frame.geometry, **_origin(card)}
        for name, value in _values(each, interval).items():
            atoms.info["_".join(["predicted", card.quantity, *name.split()])] = value
        atoms.info[f"predicted_{card.quantity}_unit"] = card.unit
        if interval is not None:
            atoms.info["predicted_coverage"] = interval.coverage
        if each.forces is not None:
            atoms.arrays["predicted_forces"] = each.forces
            atoms.info["predicted_forces_unit"] = card.forces_unit
        ase.io.write(file, atoms, format="extxyz")


def _columns(
    predictions: Sequence[Prediction], card: ModelCard, interval: Interval | None
) -> dict[str, list[Any]]:
    """Return the columns of a table, under headers with units."""
    frames = [each.frame for each in predictions]
    columns: dict[str, list[Any]] = {
        "file": [frame.source for frame in frames],
        "frame": [frame.number for frame in frames],
        "formula": [frame.atoms.get_chemical_formula() for frame in frames],
        "geometry": [frame.geometry for frame in frames],
    }
    percent = f" {100 * interval.coverage:g} %" if interval else ""
    for each in predictions:
        for name, value in _values(each, interval).items():
            bound = percent if name in ("lower", "upper") else ""
            header = f"{' '.join(filter(None, [card.quantity, name]))}{bound} ({card.unit})"
            columns.setdefault(header, []).append(value)
        if each.forces is not None:
            columns.setdefault(f"forces ({card.forces_unit})", []).append(each.forces.tolist())
    return columns


def _values(prediction: Prediction, interval: Interval | None) -> dict[str, float]:
    """Return the numbers of one structure: the value itself under an empty name."""
    values = {"": prediction.value}
    if prediction.deviation is not None:
        values["deviation"] = prediction.deviation
    if interval is not None:
        values["lower"] = prediction.value - interval.half_width
        values["upper"] = prediction.value + interval.half_width
    return values


def _origin(card: ModelCard) -> Mapping[str, str]:
    return {"model": card.model, "task": card.task}


def _as_text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.{_DIGITS}g}"
    return json.dumps(value) if isinstance(value, list) else str(value)


_SUFFIXES = {".csv": "csv", ".parquet": "parquet", ".extxyz": "extxyz", ".xyz": "extxyz"}
_WRITERS: dict[str, Callable[..., None]] = {
    "csv": _write_csv,
    "parquet": _write_parquet,
    "extxyz": _write_extxyz,
}
