"""Sites: a YAML file is enough, and a wrong one is refused with file, key and reason."""

from __future__ import annotations

import os
from concurrent.futures import BrokenExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from handmade import REPOSITORY

from molcryst_bench.base.errors import SettingsError
from molcryst_bench.base.executors import available_cores
from molcryst_bench.bench.executors.blocks import Blocks
from molcryst_bench.bench.executors.choose import choose_site, list_sites, load_site
from molcryst_bench.bench.executors.processes import Processes
from molcryst_bench.bench.executors.schedulers import Pbs, Slurm

SITES = sorted((REPOSITORY / "conf/executors").glob("*.yaml"))


@pytest.fixture(autouse=True)
def in_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)


@pytest.mark.parametrize("path", SITES, ids=lambda path: path.stem)
def test_every_site_of_the_project_is_whole(path: Path) -> None:
    site = load_site(path.stem)
    assert site.slots >= 1
    if isinstance(site, Slurm | Pbs):
        words = str(site.provider().__dict__)
        assert "USR1" in words
        assert site.walltime_seconds > 4 * site.grace


def test_the_sites_that_one_expects_are_there() -> None:
    expected = {"generic-slurm", "generic-pbs", "delta-ncsa", "polaris-alcf", "workstation"}
    assert expected <= set(list_sites())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"kind": "slurm", "partion": "gpu"}, "did you mean 'partition'"),
        ({"kind": "slurm", "walltime": "4h"}, "'walltime' is '4h'"),
        ({"kind": "slurm", "blocks": {"max": 0}}, "'blocks.max' is 0"),
        ({"kind": "slurm", "blocks": {"min": 3, "max": 2}}, "must not be more than max"),
        ({"kind": "slurm", "workers_per_node": 6, "gpus_per_node": 4}, "multiple of gpus_per_node"),
        ({"kind": "slrum"}, "did you mean 'slurm'"),
        ({"partition": "gpu"}, "the key 'kind' is missing"),
        ({"kind": "kubernetes"}, "the key 'image' is missing"),
        ({"kind": "processes", "threads": 0}, "'threads' is 0"),
        (["slurm"], "no mapping"),
    ],
)
def test_a_wrong_file_is_refused_with_its_name_the_key_and_the_reason(
    tmp_path: Path, content: Any, words: str
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(SettingsError, match=r"mine\.yaml") as refused:
        load_site(str(path))
    assert words in str(refused.value)


def test_an_unknown_site_is_answered_with_the_nearest() -> None:
    with pytest.raises(SettingsError, match="did you mean 'generic-slurm'"):
        load_site("generic_slurm")


def test_more_threads_than_cores_are_refused(tmp_path: Path) -> None:
    site = Processes(workers=available_cores() + 1, threads=2)
    with pytest.raises(SettingsError, match="lower workers or threads"), site.executor(tmp_path):
        pass


def test_a_scheduler_that_is_not_there_is_said_to_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    site = Pbs(kind="pbs")
    with pytest.raises(SettingsError, match="qsub, qstat, qdel cannot be found"):
        site.executor(tmp_path).__enter__()


def test_workers_share_gpus_evenly_and_each_sees_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    from molcryst_bench.bench.executors import processes

    monkeypatch.setattr(processes, "_visible_gpus", lambda: ["0", "1", "5"])
    site = Processes(gpus="auto", workers_per_gpu=2)
    assert site.slots == 6
    seen = [each["CUDA_VISIBLE_DEVICES"] for each in site.environments()]
    assert seen == ["0", "1", "5", "0", "1", "5"]
    with pytest.raises(SettingsError, match="gpus is 4, but 3 can be seen"):
        Processes(gpus=4).environments()


def test_cores_of_workers_do_not_overlap() -> None:
    site = Processes(workers=available_cores(), threads=1, pin_cores=True)
    cores = site.cores()
    assert sum(map(len, cores)) == len(frozenset.union(*cores)) == available_cores()


def test_a_worker_has_what_belongs_to_it(tmp_path: Path) -> None:
    site = Processes(workers=1, pin_cores=True)
    with site.executor(tmp_path) as pool:
        assert pool.submit(os.sched_getaffinity, 0).result() == set(site.cores()[0])
        assert pool.submit(os.getenv, "OMP_NUM_THREADS").result() == "1"


def test_numbers_on_the_command_line_are_for_sites_that_have_them(tmp_path: Path) -> None:
    assert choose_site(None, 3, threads=1, count=2).site.slots == 3
    path = tmp_path / "mine.yaml"
    path.write_text("kind: local\n")
    with pytest.raises(SettingsError, match="--workers is not for"):
        choose_site(str(path), 3, threads=1, count=2)


@pytest.mark.slow
def test_parsl_on_this_machine(tmp_path: Path) -> None:
    site = load_site("local")
    assert isinstance(site, Blocks)
    with site.executor(tmp_path) as pool:
        found = {pool.submit(os.getenv, "OMP_NUM_THREADS").result() for _ in range(4)}
        assert found == {"1"}
        assert pool.submit(os.getpid).result() != os.getpid()
        with pytest.raises(ZeroDivisionError):
            pool.submit(divmod, 1, 0).result()
        with pytest.raises(BrokenExecutor, match="loss of worker"):
            pool.submit(os._exit, 1).result()
        assert pool.submit(divmod, 7, 2).result() == (3, 1)
