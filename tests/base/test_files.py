from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from molcryst_bench.base.errors import MolcrystError
from molcryst_bench.base.files import (
    digest_of,
    explained_disk_errors,
    recover_folder,
    replace_folder,
    whole_file,
    whole_folder,
    write_json,
)


class Interruption(BaseException):
    """What Ctrl-C is like: not an Exception."""


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write_half(path: Path, error: type[BaseException]) -> None:
    with whole_file(path) as partial:
        partial.write_text("half of the n")
        raise error


def fill_half(path: Path, error: type[BaseException]) -> None:
    with whole_folder(path) as partial:
        (partial / "new").touch()
        raise error


@pytest.mark.parametrize("error", [ValueError, Interruption])
def test_a_file_keeps_its_old_content_when_writing_the_new_one_fails(
    tmp_path: Path, error: type[BaseException]
) -> None:
    path = tmp_path / "results.json"
    path.write_text("old")
    with pytest.raises(error):
        write_half(path, error)
    assert path.read_text() == "old"
    assert names_in(tmp_path) == ["results.json"]


def test_a_file_is_replaced_only_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "results.json"
    with whole_file(path) as partial:
        partial.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert names_in(path.parent) == ["results.json"]


def test_json_that_cannot_be_written_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    write_json(path, {"b": 1, "a": [0.1]})
    before = path.read_text()
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert path.read_text() == before


@pytest.mark.parametrize("error", [ValueError, Interruption])
def test_a_folder_keeps_its_old_content_when_writing_the_new_one_fails(
    tmp_path: Path, error: type[BaseException]
) -> None:
    path = tmp_path / "store"
    path.mkdir()
    (path / "old").touch()
    with pytest.raises(error):
        fill_half(path, error)
    assert names_in(path) == ["old"]
    assert names_in(tmp_path) == ["store"]


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "store"
    for name in ("old", "new"):
        with whole_folder(path) as partial:
            (partial / name).touch()
    assert names_in(path) == ["new"]
    assert names_in(tmp_path) == ["store"]


def test_leftovers_of_a_killed_run_are_not_mixed_into_a_new_folder(tmp_path: Path) -> None:
    (tmp_path / ".store.partial").mkdir()
    (tmp_path / ".store.partial" / "leftover").touch()
    with whole_folder(tmp_path / "store") as partial:
        (partial / "new").touch()
    assert names_in(tmp_path / "store") == ["new"]


def killed_between_the_renames(path: Path) -> None:
    """Leave the folder as a process does that is killed in the middle of a replacement."""
    with whole_folder(path) as partial:
        (partial / "old").touch()
    path.rename(path.with_name(f".{path.name}.old"))


def test_a_replacement_killed_between_its_renames_is_undone(tmp_path: Path) -> None:
    killed_between_the_renames(tmp_path / "store")
    recover_folder(tmp_path / "store")
    assert names_in(tmp_path / "store") == ["old"]
    assert names_in(tmp_path) == ["store"]


def test_the_only_good_copy_is_not_lost_when_the_next_attempt_fails_too(tmp_path: Path) -> None:
    path = tmp_path / "store"
    killed_between_the_renames(path)
    with pytest.raises(ValueError, match="again"), whole_folder(path):
        raise ValueError("failed again")
    recover_folder(path)
    assert names_in(path) == ["old"]


def test_the_only_good_copy_stays_until_the_new_one_is_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, new = tmp_path / "store", tmp_path / "new"
    killed_between_the_renames(path)
    new.mkdir()
    rename = Path.replace

    def killed(source: Path, target: Path) -> Path:
        if source == new:
            raise Interruption
        return rename(source, target)

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(Interruption):
        replace_folder(new, path)
    recover_folder(path)
    assert names_in(path) == ["old"]


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EDQUOT, "quota"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "permission"),
    ],
)
def test_disk_problems_are_told_in_one_sentence(tmp_path: Path, number: int, words: str) -> None:
    with pytest.raises(MolcrystError, match=words) as caught, explained_disk_errors(tmp_path / "x"):
        raise OSError(number, os.strerror(number))
    assert str(tmp_path / "x") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_errors_of_the_system_are_not_disguised_as_disk_problems(tmp_path: Path) -> None:
    with pytest.raises(ConnectionRefusedError), explained_disk_errors(tmp_path):
        raise ConnectionRefusedError(errno.ECONNREFUSED, "refused")


def test_a_device_without_space_is_reported_as_a_full_disk() -> None:
    with (
        pytest.raises(MolcrystError, match="disk is full"),
        explained_disk_errors(Path("results.json")),
    ):
        Path("/dev/full").write_text("x")


def test_a_disk_that_fills_up_leaves_the_old_file_and_folder(small_disk: Path) -> None:
    file, folder = small_disk / "results.json", small_disk / "store"
    file.write_text("old")
    folder.mkdir()
    (folder / "old").touch()
    with pytest.raises(MolcrystError, match="disk is full"), whole_file(file) as partial:
        partial.write_bytes(bytes(2 << 20))
    with pytest.raises(MolcrystError, match="disk is full"), whole_folder(folder) as partial:
        (partial / "new").write_bytes(bytes(2 << 20))
    assert file.read_text() == "old"
    assert names_in(folder) == ["old"]
    assert names_in(small_disk) == ["results.json", "store"]


def test_a_process_killed_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text("old")
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from molcryst_bench.base.files import whole_file\n"
        "with whole_file(Path(sys.argv[1])) as partial:\n"
        "    partial.write_text('new')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    result = subprocess.run([sys.executable, "-c", program, str(path)])
    assert result.returncode == -signal.SIGKILL
    assert path.read_text() == "old"


def test_a_file_size_limit_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text("old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, limits[1]))
    try:
        with pytest.raises(OSError, match="too large"), whole_file(path) as partial:
            partial.write_bytes(bytes(4096))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_text() == "old"
    assert names_in(tmp_path) == ["results.json"]


def test_the_digest_of_settings_sees_values_but_not_the_order_of_keys() -> None:
    assert digest_of({"a": 1, "b": [2, 3]}) == digest_of({"b": [2, 3], "a": 1})
    assert digest_of({"a": 1, "b": [2, 3]}) != digest_of({"a": 1, "b": [3, 2]})
    assert digest_of({"a": 1}) != digest_of({"a": "1"})
