"""The whole way through, as a user goes it: ``dvc repro`` on a small profile of the real QM9."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from small_pipeline import SETTINGS, Project, make_project

from molcryst_bench.graphs.store import open_store

pytestmark = pytest.mark.slow

KILLS = 6


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project whose pipeline has run."""
    project = make_project(tmp_path_factory.mktemp("pipeline"))
    project.run()
    return project


def test_it_makes_results_tables_and_a_site(done: Project) -> None:
    assert len(done.numbers()) == 12
    metrics = json.loads((done.root / "leaderboard/metrics.json").read_text())
    assert metrics["qm9/zpve"]["schnet"]["mae_meV"] < metrics["qm9/zpve"]["mean"]["mae_meV"]
    assert "qm9/homo" in (done.root / "leaderboard/leaderboard.md").read_text()
    for page in ("index", "models/schnet", "datasets/qm9"):
        assert (done.root / f"leaderboard/site/{page}.html").exists()


def test_dvc_shows_the_metrics_and_draws_a_curve_for_each_network(done: Project) -> None:
    read = json.loads(dvc(done.root, "metrics", "show", "--json"))
    metrics = json.loads((done.root / "leaderboard/metrics.json").read_text())
    assert read[""]["data"]["leaderboard/metrics.json"]["data"] == metrics
    drawn = json.loads(dvc(done.root, "plots", "show", "--json"))
    curves = {f"leaderboard/curves/qm9/{task}/schnet.csv" for task in ("homo", "zpve")}
    assert set(drawn["data"]) == curves


def dvc(folder: Path, *words: str) -> str:
    command = [sys.executable, "-m", "dvc", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


def test_a_second_run_does_nothing(done: Project) -> None:
    before = done.finished()
    output = done.run()
    assert "Data and pipelines are up to date." in output
    assert "Running stage" not in output
    assert done.finished() == before


def test_a_hyperparameter_of_one_model_reruns_that_model_alone(done: Project) -> None:
    before, numbers = done.finished(), done.numbers()
    changed = yaml.safe_load(yaml.safe_dump(SETTINGS))
    changed["models"]["schnet"]["hyperparameters"]["width"] = 12
    time.sleep(1.1)  # times of finishing are in whole seconds
    done.set_params(changed)
    output = done.run()
    assert "Stage 'data@qm9' didn't change, skipping" in output
    assert "12 cells, 8 of them done before" in output
    rerun = {name for name, when in done.finished().items() if before[name] != when}
    assert {Path(name).parent.name for name in rerun} == {"schnet"}
    done.set_params(SETTINGS)
    done.run()
    assert done.numbers() == numbers


def test_kills_lose_nothing(done: Project, tmp_path: Path) -> None:
    """Kill the pipeline with all its processes again and again; what is done stays done."""
    project = make_project(tmp_path / "killed")
    moments = random.Random(0)
    kept: dict[str, str] = {}
    for _ in range(KILLS):
        process = project.start()
        time.sleep(moments.uniform(2, 9))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        after = project.finished()
        assert kept.items() <= after.items()
        kept = after
    project.run()
    assert kept.items() <= project.finished().items()
    assert project.store_digest == done.store_digest
    assert project.numbers() == done.numbers()
    assert not list(project.root.glob("leaderboard/**/*.partial"))


def test_a_driver_that_is_killed_alone_does_no_harm(done: Project, tmp_path: Path) -> None:
    """The stage's own process survives its parent; the next run waits for it or takes over."""
    project = make_project(tmp_path / "orphaned")
    process = project.start()
    time.sleep(8)
    process.kill()
    process.wait()
    project.run()
    assert project.numbers() == done.numbers()
    assert project.store_digest == done.store_digest


def test_ctrl_c_ends_at_once_and_the_next_run_goes_on(done: Project, tmp_path: Path) -> None:
    project = make_project(tmp_path / "interrupted")
    process = project.start()
    time.sleep(8)
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=20)
    assert process.returncode != 0
    assert "Traceback" not in output
    project.run()
    assert project.numbers() == done.numbers()


def test_half_written_files_of_dvc_do_not_stop_a_run(done: Project) -> None:
    before, numbers = done.finished(), done.numbers()
    for name in (".dvc/tmp/rwlock", "dvc.lock"):
        (done.root / name).write_text("")
    done.run()
    assert done.finished() == before
    assert done.numbers() == numbers


SHARED = ["dvc.lock", ".dvc/config", "params.yaml"]


def test_another_clone_pulls_what_was_made_and_has_nothing_to_do(
    done: Project, tmp_path: Path
) -> None:
    """What the README says of sharing, with a folder as the remote."""
    command(done.root, "dvc", "remote", "add", "--default", "shared", str(tmp_path / "remote"))
    command(done.root, "git", "add", "--force", *SHARED)
    author = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.org")
    command(done.root, "git", *author, "commit", "--quiet", "--message", "Share what was made")
    command(done.root, "dvc", "push")
    command(tmp_path, "git", "clone", "--quiet", str(done.root), "second")
    second = Project(tmp_path / "second")
    assert not (second.root / "datasets/qm9/store.zarr").exists()
    command(second.root, "dvc", "pull")
    open_store(second.root / "datasets/qm9/store.zarr").verify()
    assert second.store_digest == done.store_digest
    assert second.numbers() == done.numbers()
    output = second.run()
    assert "Data and pipelines are up to date." in output
    assert "Running stage" not in output


def command(folder: Path, program: str, *arguments: str) -> None:
    words = [sys.executable, "-m", program] if program == "dvc" else [program]
    done = subprocess.run([*words, *arguments], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
