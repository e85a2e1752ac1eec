"""The paper's experiment on two cores: ``python -m benchmarks.search``.

Bayesian optimisation (CBO) and random search look for settings of PhysNet on two targets of QM9, as
many times as there are repeats, each time from other seeds, on a fixed part of the data with few
epochs. Each search runs one trial after the other, so that the same command finds the same; as many
searches as there are workers run at a time. What was killed goes on. Table and figures are written
to ``benchmarks/search``.
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor, as_completed
from itertools import product
from pathlib import Path

from molcryst_bench.base.executors import available_cores, local_executor
from molcryst_bench.base.isolated import isolated_executor
from molcryst_bench.base.project import dataset_folder
from molcryst_bench.bench.params import ExecutorSettings, as_published
from molcryst_bench.bench.search_plan import SearchPlan, make_search
from molcryst_bench.cli.console import console, shown
from molcryst_bench.cli.main import INTERRUPTED
from molcryst_bench.cli.tuning import SearchesProgress
from molcryst_bench.graphs.build import BuildRequest, DatasetSettings, Sample, build_store
from molcryst_bench.graphs.store import GraphStore, open_store
from molcryst_bench.report.searches.build import write_search_report
from molcryst_bench.sources.card import load_card
from molcryst_bench.sources.registry import get_dataset, obtain
from molcryst_bench.training.fit import complete_hyperparameters, published_training
from molcryst_bench.training.settings import TrainingSettings
from molcryst_bench.training.task import load_task
from molcryst_bench.tuning.journal import Journal
from molcryst_bench.tuning.settings import SearchSettings
from molcryst_bench.tuning.workers import ExecutorWorkers

OUTPUT = Path("runs/search")
WRITTEN = Path(__file__).parent / "search"
MODEL = "physnet"
HYPERPARAMETERS = {"width": 64, "modules": 2, "radial_functions": 32}
TRAINING = {"average": 0.0}  # weights averaged over 1,000 steps would be those of the beginning
MOLECULES = 5_000


def main() -> None:
    """Run all searches that are not done, and write what they have come to."""
    chosen = _arguments()
    plans = list(_plans(chosen, _store(chosen.output)))
    console.print(f"{len(plans)} searches of {chosen.trials} trials in {shown(chosen.output)}")
    with (
        isolated_executor(chosen.workers, threads=1) as executor,
        SearchesProgress(len(plans) * chosen.trials) as progress,
    ):
        _run(plans, executor, chosen, progress)
    report = write_search_report([chosen.output], chosen.report)
    console.print(report.read_text(encoding="utf-8"), markup=False, highlight=False)
    console.print(f"Written to {shown(report)}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", nargs="+", default=["qm9/homo", "qm9/zpve"])
    parser.add_argument("--trials", type=int, default=20, help="of each search")
    parser.add_argument("--repeats", type=int, default=5, help="of each method on each task")
    parser.add_argument("--items", type=int, default=2_000, help="molecules to train on")
    parser.add_argument("--epochs", type=int, default=10, help="of the longest trials")
    parser.add_argument("--space", default="paper")
    parser.add_argument("--workers", type=int, default=2, help="searches at a time")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder of the searches")
    parser.add_argument("--report", type=Path, default=WRITTEN, help="folder of table and figures")
    return parser.parse_args()


def _plans(chosen: argparse.Namespace, store: GraphStore) -> Iterator[SearchPlan]:
    """Yield all searches: both methods of a repeat after each other, should there be a break."""
    methods = ("cbo", "random")
    for seed, name, method in product(range(chosen.repeats), chosen.tasks, methods):
        task = load_task(name)
        params = as_published(name, MODEL, ExecutorSettings(threads=1), tracking="none")
        settings = SearchSettings(
            method=method,
            seed=seed,
            trials=chosen.trials,
            epochs=chosen.epochs,
            training_items=chosen.items,
            space=chosen.space,
        )
        hyperparameters = complete_hyperparameters(task, store, MODEL, HYPERPARAMETERS)
        published = published_training(task, store, MODEL)
        training = TrainingSettings.parse({**published, **TRAINING}, MODEL)
        yield make_search(task, store, MODEL, hyperparameters, training, settings, params)


def _run(
    plans: Sequence[SearchPlan],
    executor: Executor,
    chosen: argparse.Namespace,
    progress: SearchesProgress,
) -> None:
    """Run as many searches at a time as there are workers, one trial of each at a time."""

    def run(plan: SearchPlan) -> None:
        journal = Journal.reopen(chosen.output / plan.name, plan.identity)
        observer = progress.of(plan.name, journal)
        if len(journal.trials) < plan.settings.trials or journal.running:
            plan.run(journal, ExecutorWorkers(executor, 1), observer, chosen.output)

    with ThreadPoolExecutor(chosen.workers) as threads:
        futures = [threads.submit(run, plan) for plan in plans]
        try:
            for future in as_completed(futures):
                future.result()
        except KeyboardInterrupt:
            console.print("Interrupted. The same command goes on.")
            os._exit(INTERRUPTED)  # at once, so that no trial is taken for a failed one


def _store(output: Path) -> GraphStore:
    """Return a store of some molecules of QM9, built if it is not there yet, with their split."""
    folder = output / "data" / "qm9"
    obtained = obtain(get_dataset("qm9"), dataset_folder("qm9") / "raw")
    settings = DatasetSettings(sample=Sample(size=MOLECULES, seed=0))
    request = BuildRequest(load_card("qm9"), obtained.source, obtained.paths, settings)
    with local_executor(available_cores()) as executor:
        build_store(request, folder / "store.zarr", executor)
    shutil.copytree(dataset_folder("qm9") / "splits", folder / "splits", dirs_exist_ok=True)
    return open_store(folder / "store.zarr")


if __name__ == "__main__":
    main()
