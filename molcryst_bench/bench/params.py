"""The content of ``params.yaml``: what the stages of the pipeline depend on."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from pydantic import Field

from molcryst_bench.base.errors import SettingsError, unknown_name
from molcryst_bench.base.executors import available_cores
from molcryst_bench.base.files import whole_file
from molcryst_bench.base.project import project_root
from molcryst_bench.base.settings import Settings
from molcryst_bench.bench.interpret_settings import InterpretSettings
from molcryst_bench.bench.transfer_settings import DynamicsSettings
from molcryst_bench.graphs.build import DatasetSettings
from molcryst_bench.training.settings import TrainingSettings
from molcryst_bench.tuning.settings import SearchSettings

PARAMS = "params.yaml"
Tracking = Literal["wandb", "none"]
PUBLISHED = "published"  # the name of the profile of a model as its paper has it


class ModelSettings(Settings):
    """How one model differs from its defaults."""

    hyperparameters: dict[str, Any] = Field(default={}, description="in place of the defaults")
    training: dict[str, Any] = Field(default={}, description="in place of the common settings")
    training_by_dataset: dict[str, dict[str, Any]] = Field(
        default={}, description="in place of these, for the tasks of a dataset"
    )
    search: SearchSettings | None = Field(
        default=None, description="of better settings on each task, before the training"
    )


class BenchSettings(Settings):
    """Which cells there are: every model on every task with every seed."""

    tasks: list[str] = Field(
        min_length=1, description="such as qm9/homo, or qm9/homo@scaffold for another split"
    )
    seeds: list[int] = Field(min_length=1)


class ExecutorSettings(Settings):
    """Where cells run."""

    workers: int | Literal["auto"] = Field(
        default="auto", description="processes; auto fills the cores"
    )
    threads: int = Field(default=1, gt=0, description="of each process")
    site: str | None = Field(
        default=None,
        description="in place of processes here: a file, or the name of one in conf/executors",
    )

    def worker_count(self) -> int:
        """Return the number of worker processes."""
        if self.workers != "auto":
            return self.workers
        return max(1, available_cores() // self.threads)


class Params(Settings):
    """All settings of a project."""

    profile: str = Field(description="name of the profile that these settings came from")
    datasets: dict[str, DatasetSettings]
    bench: BenchSettings
    models: dict[str, ModelSettings] = Field(min_length=1)
    training: TrainingSettings | None = Field(
        default=None, description="of all models; without them, each one's published settings"
    )
    training_by_dataset: dict[str, dict[str, Any]] = Field(
        default={}, description="in place of the common settings, for the tasks of a dataset"
    )
    dynamics: DynamicsSettings | None = Field(
        default=None, description="runs of molecules that models were not trained on; none without"
    )
    interpret: InterpretSettings | None = Field(
        default=None, description="which models to look into; none without"
    )
    executor: ExecutorSettings = ExecutorSettings()
    tracking: Tracking = Field(default="wandb", description="where each run is logged, or none")

    def training_of(
        self, model: str, dataset: str, published: Mapping[str, Any] = MappingProxyType({})
    ) -> TrainingSettings:
        """Return the settings for a model on a dataset: the model's before its, before all's.

        Args:
            model: one of ``models``.
            dataset: of the task.
            published: those of the model's paper, which count where there are no common ones.
        """
        own = self.models[model]
        changes = [
            (f"training_by_dataset.{dataset}", self.training_by_dataset.get(dataset, {})),
            (f"models.{model}.training", own.training),
            (
                f"models.{model}.training_by_dataset.{dataset}",
                own.training_by_dataset.get(dataset, {}),
            ),
        ]
        settings = self.training or TrainingSettings.parse(
            dict(published), f"the published training of '{model}'"
        )
        for where, values in changes:
            merged = {**settings.model_dump(), **values}
            settings = TrainingSettings.parse(merged, f"{PARAMS}: {where}")
        return settings


def load_params(path: Path | None = None) -> Params:
    """Read ``params.yaml`` of this project and check all of it.

    Raises:
        SettingsError: naming each wrong key, value, task, model or hyperparameter.
    """
    path = path or project_root() / PARAMS
    params = Params.load(path)
    _check_names(params, path.name)
    return params


def load_dataset_settings(dataset: str, path: Path | None = None) -> DatasetSettings:
    """Return how a dataset becomes a store; one that ``params.yaml`` does not name, by default."""
    params = Params.load(path or project_root() / PARAMS)
    return params.datasets.get(dataset, DatasetSettings())


def list_profiles() -> list[str]:
    """Return the names of the profiles in ``conf``."""
    return sorted(path.stem for path in project_root().glob("conf/*.yaml"))


def activate_profile(name: str) -> Params:
    """Make ``params.yaml`` a copy of the profile ``conf/<name>.yaml``."""
    params = load_profile(name)
    with whole_file(project_root() / PARAMS) as partial:
        shutil.copyfile(_profile_path(name), partial)
    return params


def load_profile(name: str) -> Params:
    """Read the profile ``conf/<name>.yaml`` and check all of it.

    Raises:
        SettingsError: if there is none of this name, or something is wrong in it.
    """
    if name not in list_profiles():
        raise SettingsError(unknown_name("profile", name, list_profiles()))
    return load_params(_profile_path(name))


def as_published(
    task: str, model: str, executor: ExecutorSettings, tracking: Tracking = "wandb"
) -> Params:
    """Return the settings under which one model is trained as its paper says.

    Raises:
        SettingsError: for a wrong task or model, with the nearest right one.
    """
    from molcryst_bench.training.task import load_task

    params = Params(
        profile=PUBLISHED,
        datasets={load_task(task).dataset: DatasetSettings()},
        bench=BenchSettings(tasks=[task], seeds=[0]),
        models={model: ModelSettings()},
        executor=executor,
        tracking=tracking,
    )
    _check_names(params, PUBLISHED)
    return params


def single_cell(
    params: Params, task: str, model: str, seed: int, changes: Mapping[str, Any]
) -> Params:
    """Return the settings of one cell.

    Args:
        params: the rest of the settings.
        task: one of ``list_tasks()``.
        model: one of ``list_models()``; it need not be in ``params``.
        seed: of weights and order.
        changes: to its hyperparameters or its training, by name; it has no search of its own.

    Raises:
        SettingsError: for a wrong task, model or setting, with the nearest right one.
    """
    from molcryst_bench.models.registry import get_model_class
    from molcryst_bench.training.task import load_task

    of_model = set(get_model_class(model).Hyperparameters.model_fields)
    known = of_model | set(TrainingSettings.model_fields)
    if wrong := [key for key in changes if key not in known]:
        raise SettingsError(unknown_name("setting", wrong[0], known))
    before = params.models.get(model, ModelSettings())
    of_dataset = before.training_by_dataset.get(load_task(task).dataset, {})
    hyperparameters = {key: value for key, value in changes.items() if key in of_model}
    training = {key: value for key, value in changes.items() if key not in of_model}
    changed = ModelSettings(
        hyperparameters={**before.hyperparameters, **hyperparameters},
        training={**before.training, **of_dataset, **training},
    )
    bench = BenchSettings(tasks=[task], seeds=[seed])
    changes_of_all = {"bench": bench, "models": {model: changed}, "interpret": None}
    narrowed = params.model_copy(update=changes_of_all)
    _check_names(narrowed, PARAMS)
    return narrowed


def _profile_path(name: str) -> Path:
    return project_root() / "conf" / f"{name}.yaml"


def _check_names(params: Params, where: str) -> None:
    """Check what only other rooms know: datasets, tasks, models and their hyperparameters."""
    from molcryst_bench.models.registry import get_model_class
    from molcryst_bench.sources.card import load_card
    from molcryst_bench.training.task import load_task

    of_models = (settings.training_by_dataset for settings in params.models.values())
    datasets = {*params.datasets, *params.training_by_dataset, *chain.from_iterable(of_models)}
    for dataset in sorted(datasets):
        load_card(dataset)
    for name in params.bench.tasks:
        if (dataset := load_task(name).dataset) not in params.datasets:
            message = f"{where}: the task '{name}' needs the dataset '{dataset}'"
            raise SettingsError(f"{message}: add it under 'datasets'")
    for name in params.interpret.tasks if params.interpret else ():
        if name not in params.bench.tasks:
            known = unknown_name("task", name, params.bench.tasks)
            raise SettingsError(f"{where}: interpret.tasks: {known}")
    for model, settings in params.models.items():
        place = f"{where}: models.{model}.hyperparameters"
        get_model_class(model).Hyperparameters.parse(settings.hyperparameters, place)
        for dataset in sorted(datasets):
            params.training_of(model, dataset)
