"""Whether an executor works: one tiny task, and the folder that driver and worker share."""

from __future__ import annotations

import os
import platform
import secrets
import sys
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from molcryst_bench.base.errors import MolcrystError
from molcryst_bench.base.executors import available_cores
from molcryst_bench.base.project import leaderboard_folder
from molcryst_bench.bench.executors.choose import choose_site
from molcryst_bench.bench.health import Check

_FOLDER = ".doctor"


class Report(NamedTuple):
    """What a worker says of itself."""

    host: str
    process: int
    python: str
    version: str  # of this package
    cores: int
    threads: str  # that its libraries use
    gpus: str  # that it sees
    word: str  # that the driver has left in the folder


def check_executor(name: str | None, timeout: float) -> Iterator[Check]:
    """Start the executor, let it do one task, and see that both see the same folder.

    Args:
        name: of the executor; that of ``params.yaml`` by default.
        timeout: seconds to wait for the task.
    """
    from molcryst_bench.bench.params import load_params

    try:
        settings = load_params().executor
        chosen = choose_site(name or settings.site, None, settings.threads, settings.worker_count())
        problems = chosen.site.problems()
    except MolcrystError as error:
        yield Check(False, str(error))
        return
    if problems:
        yield from (Check(False, f"executor {chosen.name}: {problem}") for problem in problems)
        return
    folder = leaderboard_folder() / _FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    word, start = secrets.token_hex(8), time.monotonic()
    (folder / "driver").write_text(word, encoding="utf-8")
    try:
        with chosen.site.executor(leaderboard_folder()) as pool:
            report = pool.submit(say_hello, folder).result(timeout)
    except TimeoutError:
        yield Check(False, f"executor {chosen.name}: no worker answered in {timeout:g} s")
        return
    except Exception as error:
        yield Check(False, f"executor {chosen.name}: {type(error).__name__}: {error}")
        return
    yield from _judged(chosen.name, report, word, folder, time.monotonic() - start)


def say_hello(folder: Path) -> Report:
    """Answer from a worker: who it is, what it has, and what it sees."""
    try:
        word = (folder / "driver").read_text(encoding="utf-8")
        (folder / "worker").write_text(word, encoding="utf-8")
    except OSError as error:
        word = str(error)
    return Report(
        platform.node(),
        os.getpid(),
        ".".join(map(str, sys.version_info[:3])),
        metadata.version("molcryst_bench"),
        available_cores(),
        os.environ.get("OMP_NUM_THREADS", "any number of"),
        os.environ.get("CUDA_VISIBLE_DEVICES", "all"),
        word,
    )


def _judged(name: str, report: Report, word: str, folder: Path, seconds: float) -> Iterator[Check]:
    yield Check(
        True,
        f"executor {name}: process {report.process} on {report.host} answered after "
        f"{seconds:.0f} s; {report.cores} cores, {report.threads} threads, GPUs: {report.gpus}",
    )
    here = ".".join(map(str, sys.version_info[:3])), metadata.version("molcryst_bench")
    same = here == (report.python, report.version)
    versions = f"Python {report.python} and molcryst_bench {report.version}"
    yield Check(same, f"it has {versions}" + f", here are {' and '.join(here)}" * (not same))
    answer = folder / "worker"
    shared = report.word == word and answer.exists() and answer.read_text() == word
    place = folder.parent
    yield Check(
        shared, f"both see {place}" if shared else f"they do not share {place}: {report.word}"
    )
