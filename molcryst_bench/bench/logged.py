"""What is logged of a cell: settings and digests, curves, errors, predictions and figures."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import PIL.Image
from matplotlib.figure import Figure

from molcryst_bench.base.theme import figure_style
from molcryst_bench.bench import figures
from molcryst_bench.bench.cell import CellPlan
from molcryst_bench.bench.result import CellResult, metrics_of
from molcryst_bench.training.evaluate import Predictions
from molcryst_bench.training.history import Epoch

_WORST = 1000  # rows of the table with the largest errors
_RANDOM = 1000  # rows of the table that are drawn from the others
_DPI = 150
_SUMMARY = (
    "n_train",
    "n_valid",
    "n_test",
    "parameters",
    "epochs",
    "best_epoch",
    "train_seconds",
    "graphs_per_second",
    "peak_memory_mb",
    "weights_sha256",
    "predictions_sha256",
    "machine",
    "torch_version",
)


def configuration(plan: CellPlan) -> dict[str, Any]:
    """Return everything that decides the numbers of a cell, and the units they are in."""
    forces = plan.task.forces_definition
    return {
        **plan.cell._asdict(),
        "dataset": plan.task.dataset,
        "target": plan.task.target,
        "split": plan.task.split,
        "profile": plan.profile,
        "unit": plan.task.definition.unit,
        "error_unit": plan.task.definition.error_unit,
        "forces_error_unit": forces.error_unit if forces else None,
        "hyperparameters": plan.hyperparameters,
        "training": plan.training.model_dump() if plan.trains else {},
        "threads": plan.threads,
        "key": plan.key,
        "store_digest": plan.store_digest,
        "split_digest": plan.split_digest,
        "code_digest": plan.code_digest,
    }


def summary(result: CellResult) -> dict[str, Any]:
    """Return the errors of a cell, with units in their names, and what it took to get them."""
    best = {f"best_valid_mae_{result.error_unit}": result.valid_mae}
    return metrics_of(result) | best | {name: getattr(result, name) for name in _SUMMARY}


def media(
    plan: CellPlan, result: CellResult, history: Sequence[Epoch], test: Predictions
) -> dict[str, Any]:
    """Return a table of predictions and figures, as Weights & Biases takes them."""
    import wandb

    columns, rows = prediction_table(plan, test)
    logged: dict[str, Any] = {"predictions": wandb.Table(columns=columns, data=rows)}
    with figure_style():
        for name, figure in _figures(plan, result, history, test).items():
            logged[name] = wandb.Image(_picture(figure))
    return logged


def prediction_table(
    plan: CellPlan, test: Predictions
) -> tuple[list[str | int], list[Iterable[Any]]]:
    """Return names and rows of a table of test items: the worst, then some of the others.

    Those others are drawn with the cell's seed, so that the table shows the usual as well.
    """
    definition = plan.task.definition
    error = (test.prediction - test.target) * definition.error_factor  # (items,)
    worst, rest = np.split(np.argsort(-np.abs(error), kind="stable"), [_WORST])
    generator = np.random.default_rng(plan.cell.seed)
    drawn = generator.choice(rest, min(_RANDOM, len(rest)), replace=False)
    chosen = np.concatenate([worst, drawn])
    values = [each[chosen].tolist() for each in (test.ids, test.target, test.prediction, error)]
    reasons = ["largest error"] * len(worst) + ["drawn at random"] * len(drawn)
    names = [f"{name} ({definition.unit})" for name in ("target", "prediction")]
    columns: list[str | int] = ["id", *names, f"error ({definition.error_unit})", "chosen for"]
    return columns, [list(row) for row in zip(*values, reasons, strict=True)]


def _figures(
    plan: CellPlan, result: CellResult, history: Sequence[Epoch], test: Predictions
) -> dict[str, Figure]:
    name = f"{result.model}, seed {result.seed}"
    drawn = {
        "parity": figures.parity(
            test.target,
            test.prediction,
            quantity=f"{result.target} ({result.unit})",
            name=name,
            facts=[f"MAE {result.mae:.4g} {result.error_unit}", f"R² {result.r2:.3f}"],
        )
    }
    if test.forces is not None and plan.task.forces_definition is not None:
        drawn["parity_forces"] = figures.parity(
            test.forces.target.ravel(),
            test.forces.prediction.ravel(),
            quantity=f"force component ({plan.task.forces_definition.unit})",
            name=name,
            facts=[f"MAE {result.forces_mae:.4g} {result.forces_unit}"],
        )
    if len(history) > 1:
        drawn["learning_curve"] = _learning_curve(result, history)
    return drawn


def _learning_curve(result: CellResult, history: Sequence[Epoch]) -> Figure:
    """Draw the error that decides which epoch is the best."""
    epochs = np.array([epoch.epoch for epoch in history])
    errors = np.array([epoch.valid_error for epoch in history])
    unit = result.forces_unit or result.error_unit
    what = "validation MAE of forces" if result.forces_unit else "validation MAE"
    curve = figures.Curve(f"seed {result.seed}", epochs, errors, result.best_epoch)
    return figures.learning_curves([curve], f"{what} ({unit})")


def _picture(figure: Figure) -> PIL.Image.Image:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, facecolor="white")
    return PIL.Image.open(buffer)
