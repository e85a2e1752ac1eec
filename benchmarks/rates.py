"""``python -m benchmarks.rates``: how fast one worker here trains each model on each dataset.

The published settings of each model, on a part of the dataset, for two epochs, of which the second
counts. Writes them to ``conf/rates/measured.yaml``, from which ``molcryst bench plan`` tells the
time that a profile takes. Datasets whose store is not there are left out.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
import yaml

from molcryst_bench.base.errors import MolcrystError
from molcryst_bench.base.files import whole_file
from molcryst_bench.base.project import project_root, store_path
from molcryst_bench.bench.cell import CellPlan, plan_cells
from molcryst_bench.bench.params import ExecutorSettings, as_published
from molcryst_bench.bench.rates import RATES, Rates, load_rates, merged
from molcryst_bench.graphs.split import SUBSETS, UNUSED
from molcryst_bench.graphs.store import open_store
from molcryst_bench.models.registry import list_models
from molcryst_bench.training.data import TaskData
from molcryst_bench.training.fit import fit

TASKS = ("qm9/homo", "rmd17/ethanol", "md17/ethanol", "hmof/co2_2.5bar", "coremof/void_fraction")
ITEMS = {"train": 800, "valid": 40}


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="*", default=list_models())
    parser.add_argument("--tasks", nargs="*", default=list(TASKS))
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    found = measure(arguments.tasks, arguments.models, arguments.threads)
    path = project_root() / RATES
    known = load_rates(project_root()) if path.exists() else Rates(machines={})
    rates = merged(known, machine(), arguments.threads, found)
    with whole_file(path) as partial:
        partial.write_text(yaml.safe_dump(rates.model_dump(), sort_keys=True), encoding="utf-8")


def machine() -> str:
    """Name what trains here."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine()


def measure(
    tasks: Sequence[str], models: Sequence[str], threads: int
) -> dict[str, dict[str, float]]:
    """Return graphs a second by dataset and model."""
    found: dict[str, dict[str, float]] = {}
    for task in tasks:
        dataset = task.partition("/")[0]
        if not store_path(dataset).exists():
            print(f"{dataset}: there is no store here")
            continue
        for model in models:
            (plan,) = plan_cells(
                as_published(task, model, ExecutorSettings(threads=threads), "none")
            )
            try:
                rate = rate_of(plan)
            except MolcrystError as error:
                print(f"{model} on {task}: {error}")
                continue
            found.setdefault(dataset, {})[model] = float(f"{rate:.3g}")
            print(f"{model} on {task}: {rate:,.0f} graphs a second", flush=True)
    return found


def rate_of(plan: CellPlan) -> float:
    """Return the graphs a second of the second epoch, or of the fit of a formula."""
    data = smaller(TaskData.load(plan.task, open_store(plan.store)))
    training = plan.training.model_copy(update={"epochs": 2, "patience": None})
    start = time.perf_counter()
    fitted = fit(data, plan.cell.model, plan.hyperparameters, training, seed=0)
    items = len(data.targets("train"))
    if not plan.trains:
        return items / (time.perf_counter() - start)
    return items / (fitted.history[1].seconds - fitted.history[0].seconds)


def smaller(data: TaskData) -> TaskData:
    """Return the data with the first items of the subsets alone."""
    subset = data.split.subset.copy()
    for name, items in ITEMS.items():
        rows = np.flatnonzero(subset == SUBSETS.index(name))
        subset[rows[items:]] = UNUSED
    return replace(data, split=replace(data.split, subset=subset))


if __name__ == "__main__":
    main()
