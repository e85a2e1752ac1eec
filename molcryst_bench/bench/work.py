"""The work of one cell, done by any worker of any executor."""

from __future__ import annotations

import json
import platform
import resource
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment

from molcryst_bench.base.files import checksum_of, whole_folder, write_json
from molcryst_bench.bench.cell import CellPlan
from molcryst_bench.bench.predictions import PREDICTIONS, write_predictions
from molcryst_bench.bench.progress import HISTORY, history_writer, kept
from molcryst_bench.bench.release import load_dataset_card, write_release_card
from molcryst_bench.bench.result import CellResult, metrics_of, write_result
from molcryst_bench.bench.tracking import tracked
from molcryst_bench.graphs.store import GraphStore, open_store
from molcryst_bench.models.registry import get_model_class
from molcryst_bench.training.checkpoint import WEIGHTS, ModelCard, save_model
from molcryst_bench.training.coverage import miscalibration_area
from molcryst_bench.training.data import TaskData
from molcryst_bench.training.domain import domain_of
from molcryst_bench.training.evaluate import Predictions, evaluate
from molcryst_bench.training.fit import Fitted, fit
from molcryst_bench.training.history import Epoch
from molcryst_bench.training.process import prepare_process
from molcryst_bench.training.resume import CHECKPOINT_SECONDS
from molcryst_bench.training.steps import Step
from molcryst_bench.training.task import Task
from molcryst_bench.training.uncertainty import Calibration, save_calibration

METRICS = "metrics.json"


def run_cell(
    plan: CellPlan,
    results: Path,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    environment: ClusterEnvironment | None = None,
    on_step: Callable[[Step], None] = lambda step: None,
) -> CellResult:
    """Train, evaluate and write one cell; its folder appears when everything is in it.

    A run that was killed goes on from its last checkpoint. If a job has started several processes
    to train together, this is for the first one, with its environment; others follow it.
    """
    prepare_process(plan.threads)
    data = TaskData.load(plan.task, _store(plan.store))
    with (
        whole_folder(results / plan.cell.name) as partial,
        kept(plan, results) as checkpoint,
        tracked(plan, results) as tracker,
    ):
        write_epoch = history_writer(partial / HISTORY)

        def each_epoch(epoch: Epoch) -> None:
            write_epoch(epoch)
            tracker.epoch(epoch)
            on_epoch(epoch)

        fitted = fit(
            data,
            plan.cell.model,
            plan.hyperparameters,
            plan.training,
            plan.cell.seed,
            on_epoch=each_epoch,
            checkpoint=checkpoint,
            checkpoint_seconds=checkpoint_seconds,
            environment=environment,
            on_step=on_step,
        )
        valid, test = (evaluate(fitted.regressor, data, subset) for subset in ("valid", "test"))
        model, calibration = _card(plan, data), Calibration(valid.prediction - valid.target)
        save_model(partial, fitted.regressor, model)
        save_calibration(partial, calibration)
        write_predictions(partial / PREDICTIONS, test, plan.task)
        result = _result(plan, data, fitted, test, calibration, partial)
        write_json(partial / METRICS, metrics_of(result))
        write_release_card(partial, result, model, load_dataset_card(plan.store))
        write_result(partial, result)
        tracker.result(result, fitted.history, test)
    return result


@cache
def _store(path: Path) -> GraphStore:
    """Keep a store in memory for the next cell of this worker."""
    return open_store(path)


def _card(plan: CellPlan, data: TaskData) -> ModelCard:
    return ModelCard(
        model=plan.cell.model,
        hyperparameters=plan.hyperparameters,
        task=plan.cell.task,
        target=data.task.target,
        unit=data.task.definition.unit,
        forces_unit=data.task.forces_definition.unit if data.task.forces_definition else None,
        graph=data.store.spec,
        **domain_of(data),
        features=model_features(plan.cell.model, data.store),
        seed=plan.cell.seed,
        training=plan.training,
        split=plan.task.split,
        store_digest=plan.store_digest,
        split_digest=plan.split_digest,
    )


def model_features(model: str, store: GraphStore) -> list[tuple[str, str]]:
    """Return names and units of what the model has to be told beside a structure."""
    if not get_model_class(model).reads_features:
        return []
    return [(name, feature.unit) for name, feature in store.features.items()]


def _result(
    plan: CellPlan,
    data: TaskData,
    fitted: Fitted,
    test: Predictions,
    calibration: Calibration,
    folder: Path,
) -> CellResult:
    fitted_numbers = fitted.regressor.model.state_dict().values()  # of baselines, too
    return CellResult(
        task=plan.task.base_name,
        model=plan.cell.model,
        seed=plan.cell.seed,
        **test.errors._asdict(),
        **_force_errors(test, data.task),
        **_bounds(test, data.task),
        **_interval_errors(test, data.task, calibration),
        dataset=data.task.dataset,
        target=data.task.target,
        split=plan.task.split,
        profile=plan.profile,
        unit=data.task.definition.unit,
        error_unit=data.task.definition.error_unit,
        valid_mae=fitted.best.valid_mae,
        n_train=len(data.targets("train")),
        n_valid=len(data.targets("valid")),
        n_test=len(test.ids),
        parameters=sum(weights.numel() for weights in fitted_numbers),
        epochs=len(fitted.history),
        best_epoch=fitted.best.epoch,
        train_seconds=fitted.seconds,
        graphs_per_second=len(test.ids) / test.seconds,
        peak_memory_mb=_peak_memory_mb(),
        hyperparameters=json.dumps(plan.hyperparameters, sort_keys=True),
        training=json.dumps(plan.training.model_dump(), sort_keys=True) if plan.trains else "{}",
        search=None if plan.search is None else plan.search.settings.model_dump_json(),
        key=plan.key,
        store_digest=plan.store_digest,
        split_digest=plan.split_digest,
        code_digest=plan.code_digest,
        weights_sha256=checksum_of(folder / WEIGHTS),
        predictions_sha256=checksum_of(folder / PREDICTIONS),
        machine=_machine(),
        torch_version=torch.__version__,
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        folder=f"results/{plan.cell.name}",
    )


def _force_errors(test: Predictions, task: Task) -> dict[str, Any]:
    if test.forces is None or task.forces_definition is None:
        return {}
    errors = {f"forces_{name}": value for name, value in test.forces.errors._asdict().items()}
    return errors | {"forces_unit": task.forces_definition.error_unit}


def _bounds(test: Predictions, task: Task) -> dict[str, float]:
    found = test.intervals(task).items()
    lows = {f"{name}_low": low for name, (low, _) in found}
    return lows | {f"{name}_high": high for name, (_, high) in found}


def _interval_errors(test: Predictions, task: Task, calibration: Calibration) -> dict[str, Any]:
    levels = calibration.levels(test.prediction, test.target)
    area = {"miscalibration": miscalibration_area(levels)}
    found = calibration.measure(test.prediction, test.target, coverage=0.9)
    if found is None:
        return area
    width = found.width * task.definition.error_factor
    return area | {"coverage_90": found.coverage, "interval_90": width}


def _peak_memory_mb() -> float:
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts in bytes, Linux in KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def _machine() -> str:
    if torch.cuda.is_available():
        return str(torch.cuda.get_device_name())
    return f"{platform.machine()}, {torch.get_num_threads()} thread(s)"
