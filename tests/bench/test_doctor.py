"""The doctor: what is in order, and what is not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from bench_project import write_params

from molcryst_bench.bench.executors.check import check_executor
from molcryst_bench.bench.health import check_installation, check_project
from molcryst_bench.graphs.store import GraphStore


def test_a_whole_project_has_no_problem(project: Path, tiny_store: GraphStore) -> None:
    write_params(project, executor={"workers": 1})
    checks = [*check_installation(), *check_project(), *check_executor(None, timeout=300)]
    assert not [check.words for check in checks if not check.good]
    words = "\n".join(check.words for check in checks)
    for part in ("Python 3.", "cores", "profile 'test'", "80 graphs", "answered", "both see"):
        assert part in words


def test_a_missing_store_and_a_wrong_executor_are_told(
    project: Path, tiny_store: GraphStore, tmp_path: Path
) -> None:
    write_params(project)
    shutil.rmtree(project / "datasets/qm9/store.zarr")
    bad = [check.words for check in check_project() if not check.good]
    assert len(bad) == 1
    assert "store of qm9" in bad[0]
    assert "molcryst data build" in bad[0]
    site = tmp_path / "mine.yaml"
    site.write_text("kind: slurm\npartitoin: gpu\n")
    (told,) = check_executor(str(site), timeout=1)
    assert not told.good
    assert "did you mean 'partition'" in told.words


def test_a_project_with_wrong_settings_is_told(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "params.yaml").write_text("profle: x\n")
    (told,) = check_project()
    assert not told.good
    assert "did you mean 'profile'" in told.words
