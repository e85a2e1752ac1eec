"""Searches on a Ray cluster of two nodes, one of which is killed; what to do without Ray or MPI."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from objectives import Quiet, nap, search_in

from molcryst_bench.base.errors import SettingsError
from molcryst_bench.tuning.clusters import MpiWorkers, RayWorkers
from molcryst_bench.tuning.journal import Journal, Trial

IDENTITY = {"task": "none"}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes of Ray on this machine; this process is with the first."""
    pytest.importorskip("ray", reason="the extra 'ray' is not installed")
    import ray
    from ray.cluster_utils import Cluster

    tests = Path(__file__).parent
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(map(str, (tests, tests.parent))))
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        started = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
        try:
            started.add_node(num_cpus=1)
            ray.init(started.address, log_to_driver=False, logging_level="error")
            yield started
        finally:
            ray.shutdown()
            started.shutdown()


@pytest.mark.slow
def test_a_trial_on_ray_has_a_limit_to_its_time(cluster: Any, tmp_path: Path) -> None:
    _search(tmp_path / "first", 1, RayWorkers(threads=1, most=1))  # workers take time to start
    journal = _search(tmp_path / "limited", 2, RayWorkers(threads=1, most=1, seconds=20))
    assert [trial.status for trial in journal.trials] == ["done", "failed"]
    assert journal.trials[1].reason == "it ran longer than its limit of 20 s"


def _search(folder: Path, trials: int, workers: RayWorkers) -> Journal:
    search = search_in(folder, run=slow_second, trials=trials)
    journal = Journal.create(folder, IDENTITY)
    search.go_on(journal, workers, Quiet())
    return journal


@pytest.mark.slow
def test_a_node_that_dies_costs_only_its_running_trials(cluster: Any, tmp_path: Path) -> None:
    search = search_in(tmp_path, run=nap, trials=12)
    journal, workers = Journal.create(tmp_path, IDENTITY), RayWorkers(threads=1)
    assert workers.share == 2
    (node,) = cluster.worker_nodes
    killed: list[int] = []

    class Killer(Quiet):
        def ended(self, trial: Trial, journal: Journal) -> None:
            super().ended(trial, journal)
            if len(self.told) == 4:
                killed.extend(each.trial for each in journal.running)
                threading.Thread(target=cluster.remove_node, args=(node, False)).start()

    observer = Killer()
    search.go_on(journal, workers, observer)
    assert [trial.trial for trial in journal.trials] == list(range(12))
    assert sorted(observer.told) == list(range(12))
    failed = [trial for trial in journal.trials if trial.status == "failed"]
    assert len(failed) <= 1
    assert all("worker or node died" in trial.reason for trial in failed)
    machines = {trial.worker for trial in journal.trials if trial.error is not None}
    assert len(machines) >= 2  # processes, of both nodes
    end = time.monotonic() + 120
    while workers.share != 1 and time.monotonic() < end:
        time.sleep(0.5)  # Ray takes its time to miss a node
    assert workers.share == 1


def slow_second(halving: Any, number: int, settings: Any) -> Any:
    if number == 1:
        time.sleep(600)
    return nap(halving, 0, settings)


def test_who_has_no_ray_or_mpi_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(SettingsError, match=r"pip install 'molcryst_bench\[ray\]'"):
        RayWorkers(threads=1)
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    monkeypatch.delitem(sys.modules, "deephyper.evaluator.mpi", raising=False)
    with pytest.raises(SettingsError, match=r"pip install 'molcryst_bench\[mpi\]'"):
        MpiWorkers()
