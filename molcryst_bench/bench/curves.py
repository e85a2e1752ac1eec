"""Learning curves of all models as ``dvc plots`` draws them: a file for each model on each task."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from molcryst_bench.base.files import whole_folder
from molcryst_bench.bench.progress import HISTORY, read_history
from molcryst_bench.bench.result import RESULTS, CellResult
from molcryst_bench.training.history import Epoch

CURVES = "curves"


def write_curves(leaderboard: Path, results: Sequence[CellResult]) -> None:
    """Write ``curves/<task>/<model>.csv`` with the epochs of all seeds, one below the other.

    The error that decides which epoch is the best stands last, with its unit in its name: that is
    the column which is drawn if no other is asked for. Models that are fitted in one step have no
    curve.
    """
    models: dict[str, list[CellResult]] = {}
    for result in results:
        name = result.folder.removeprefix(f"{RESULTS}/").rpartition("/")[0]
        models.setdefault(name, []).append(result)
    with whole_folder(leaderboard / CURVES) as partial:
        for name, seeds in models.items():
            rows = [row for seed in seeds for row in _rows(seed, leaderboard / seed.folder)]
            if len(rows) > len(seeds):
                _write(partial / f"{name}.csv", _columns(seeds[0]), rows)


def _columns(result: CellResult) -> list[str]:
    energy = f"validation MAE ({result.error_unit})"
    forces = [f"validation MAE of forces ({result.forces_unit})"] if result.forces_unit else []
    return ["seed", "epoch", "learning rate", "training loss", energy, *forces]


def _rows(result: CellResult, folder: Path) -> list[list[float]]:
    return [
        [result.seed, epoch.epoch, epoch.learning_rate, epoch.train_loss, *_errors(epoch)]
        for epoch in read_history(folder / HISTORY)
    ]


def _errors(epoch: Epoch) -> list[float]:
    forces = [] if epoch.valid_forces_mae is None else [epoch.valid_forces_mae]
    return [epoch.valid_mae, *forces]


def _write(path: Path, columns: Sequence[str], rows: Iterable[Sequence[float]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
