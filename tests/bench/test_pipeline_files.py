"""Files of DVC that a kill has left half written."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from molcryst_bench.bench import pipeline

WHOLE = {".dvc/tmp/rwlock": '{"read": {}, "write": {}}', "dvc.lock": "schema: '2.0'\nstages: {}\n"}


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "_WRITING_SECONDS", 0.0)


def write_files(root: Path, **changes: str) -> None:
    (root / ".dvc" / "tmp").mkdir(parents=True)
    for name, content in {**WHOLE, **changes}.items():
        (root / name).write_text(content)


def test_whole_and_missing_files_are_left_alone(tmp_path: Path) -> None:
    assert pipeline.mend(tmp_path) == []
    write_files(tmp_path)
    assert pipeline.mend(tmp_path) == []
    assert {name: (tmp_path / name).read_text() for name in WHOLE} == WHOLE


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("part", [0.0, 0.4])
def test_half_written_files_are_removed(tmp_path: Path, name: str, part: float) -> None:
    write_files(tmp_path, **{name: WHOLE[name][: int(part * len(WHOLE[name]))]})
    assert pipeline.mend(tmp_path) == [tmp_path / name]
    assert not (tmp_path / name).exists()


def test_a_file_that_is_being_written_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(tmp_path, **{"dvc.lock": ""})

    def finish_writing(_: float) -> None:
        (tmp_path / "dvc.lock").write_text(WHOLE["dvc.lock"])

    monkeypatch.setattr(pipeline.time, "sleep", finish_writing)
    assert pipeline.mend(tmp_path) == []
    assert (tmp_path / "dvc.lock").exists()


def test_a_dvc_that_holds_files_is_told_from_other_processes(tmp_path: Path) -> None:
    sleep = "import time; time.sleep(60)"
    dvc = subprocess.Popen([sys.executable, "-c", sleep, "/somewhere/bin/dvc", "repro"])
    other = subprocess.Popen([sys.executable, "-c", sleep])
    try:
        held = {"read": {"a": [{"pid": dvc.pid, "cmd": ""}, {"pid": other.pid, "cmd": ""}]}}
        gone = {"write": {"b": {"pid": 2**22 + 1, "cmd": ""}}}
        write_files(tmp_path, **{".dvc/tmp/rwlock": json.dumps({**held, **gone})})
        assert pipeline._at_work(tmp_path) == {dvc.pid}
        dvc.kill()
        dvc.wait()
        assert pipeline._at_work(tmp_path) == set()
    finally:
        dvc.kill()
        other.kill()
