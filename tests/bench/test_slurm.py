"""Cells as jobs of a real Slurm: the same numbers as here, whatever is cancelled or killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from bench_project import Record
from handmade import REPOSITORY
from slurm_cluster import Cluster, missing, slurm_cluster

from molcryst_bench.base.isolated import isolated_executor
from molcryst_bench.bench.campaign import Conditions
from molcryst_bench.bench.cell import plan_cells
from molcryst_bench.bench.params import load_params
from molcryst_bench.bench.runner import run_bench

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(missing()), reason=missing())]

NUMBERS = ("mae", "rmse", "r2", "valid_mae", "key", "weights_sha256", "predictions_sha256")
MODELS = ("mean", "ridge", "schnet", "cgcnn")
SITE = {
    "kind": "slurm",
    "partition": "all",
    "workers_per_node": 1,
    "blocks": {"start": 2, "min": 0, "max": 2},
    "walltime": "00:20:00",
    "grace": 5,
    "heartbeat": 8,
    "address": "127.0.0.1",
}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with slurm_cluster(tmp_path / "slurm", cores=2) as running:
        yield running


class Campaign:
    """The quick profile on a few molecules, with two longer cells to interrupt."""

    def __init__(self, built_project: Path, root: Path, environment: dict[str, str]) -> None:
        self.root = root
        self.environment = {
            **environment,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}",
            "OMP_NUM_THREADS": "1",
        }
        self.finished: dict[str, str] = {}
        shutil.copytree(built_project, root)
        settings = yaml.safe_load((REPOSITORY / "conf/quick.yaml").read_text())
        settings |= {"datasets": {"qm9": {}}, "tracking": "none", "profile": "small"}
        settings["interpret"] = None
        settings["bench"] = {"tasks": ["qm9/homo", "qm9/zpve"], "seeds": [0]}
        settings["training_by_dataset"] = {}
        settings["models"] = {name: settings["models"][name] for name in MODELS}
        settings["models"]["schnet"]["training"] = {"epochs": 1000}
        (root / "params.yaml").write_text(yaml.safe_dump(settings))
        (root / "site.yaml").write_text(yaml.safe_dump(SITE))

    def numbers_here(self, leaderboard: Path) -> dict[str, tuple[Any, ...]]:
        """Return what the cells come to in processes of this machine."""
        plans = plan_cells(load_params())
        with isolated_executor(1, threads=1) as executor:
            done = run_bench(plans, leaderboard, executor, Record(), Conditions(slots=1))
        return {row.folder: tuple(getattr(row, name) for name in NUMBERS) for row in done}

    def start(self, *options: str) -> subprocess.Popen[str]:
        with (self.root / "driver.log").open("a") as log:
            return subprocess.Popen(
                ["molcryst", "bench", "run", *options],
                cwd=self.root,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
            )

    @property
    def said(self) -> str:
        return (self.root / "driver.log").read_text()

    def running(self) -> list[int]:
        """Return the processes that run cells."""
        words = [json.loads(p.read_text()) for p in self.root.glob("leaderboard/.running/*.json")]
        return [int(word["where"].rpartition(":")[2]) for word in words]

    def look(self) -> None:
        """Make sure that a cell which is done stays as it is."""
        for path in self.root.glob("leaderboard/results/*/*/*/[0-9]/cell.json"):
            when = json.loads(path.read_text())["finished"]
            assert self.finished.setdefault(str(path), when) == when

    def numbers(self) -> dict[str, tuple[Any, ...]]:
        cells = self.root.glob("leaderboard/results/*/*/*/[0-9]/cell.json")
        rows = [json.loads(path.read_text()) for path in cells]
        return {row["folder"]: tuple(row[name] for name in NUMBERS) for row in rows}

    def ended(self) -> Counter[str]:
        lines = (self.root / "leaderboard/ledger.jsonl").read_text().splitlines()
        entries = [json.loads(line) for line in lines]
        return Counter(entry["cell"] for entry in entries if entry["state"] == "done")


def wait_for(condition: Callable[[], Any], campaign: Campaign, seconds: float = 300.0) -> Any:
    """Return what a condition comes to as soon as that is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        campaign.look()
        try:
            if found := condition():
                return found
        except (OSError, ValueError):  # a file that has just gone, or is being written
            pass
        time.sleep(0.3)
    raise AssertionError(f"nothing happened in {seconds} s: {campaign.said[-2000:]}")


def test_whatever_is_cancelled_or_killed_the_numbers_are_those_of_local_processes(
    cluster: Cluster, built_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = Campaign(built_project, tmp_path / "there", cluster.environment)
    monkeypatch.chdir(there.root)
    expected = there.numbers_here(tmp_path / "here")
    driver = there.start("--executor", "site.yaml")
    try:
        wait_for(lambda: len(there.running()) == 2, there)  # two at a time
        assert len(cluster.jobs("RUNNING")) == 2
        os.kill(there.running()[0], signal.SIGKILL)
        wait_for(lambda: "its worker process died" in there.said, there)

        wait_for(there.running, there)
        jobs = cluster.jobs("RUNNING")
        cluster.command("scancel", jobs[0])
        wait_for(lambda: there.said.count("in the queue again") > 1, there)

        wait_for(lambda: there.running() and cluster.jobs("RUNNING"), there)
        node = f"nodename={cluster.host}"
        cluster.command("scontrol", "update", node, "state=drain", "reason=test")
        before = cluster.jobs("RUNNING")
        cluster.command("scancel", *before)
        wait_for(lambda: not cluster.jobs("RUNNING", "COMPLETING"), there)
        time.sleep(3.0)
        assert not cluster.jobs("RUNNING")  # nothing begins on a node that is being drained
        cluster.command("scontrol", "update", node, "state=resume")
        wait_for(lambda: set(cluster.jobs("RUNNING")) - {*jobs, *before}, there)
        wait_for(there.running, there)

        driver.kill()
        driver.wait()
        assert len(there.numbers()) < len(expected)
        driver = there.start("--executor", "site.yaml")
        wait_for(lambda: driver.poll() is not None, there, 600.0)
        assert driver.returncode == 0, there.said
    finally:
        driver.kill()
        driver.wait()
    assert there.numbers() == expected
    assert len(expected) == 2 * len(MODELS)
    assert set(there.ended().values()) == {1}
    wait_for(lambda: not cluster.jobs(), there, 60.0)
    assert not [p for p in psutil.Process().children(recursive=True) if "interchange" in p.name()]
