from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import handmade
import pytest

from molcryst_bench.base.errors import MolcrystError, SourceError
from molcryst_bench.sources.fetch import RawFile, fetch, verify

CONTENT = bytes(range(256)) * 4096  # 1 MiB
NAME = "frames.npz"


class Server(BaseHTTPRequestHandler):
    """Serves the right file, a truncated one, another one, an endless one or an error."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        requested = self.path.strip("/")
        self.asked.append(requested)
        if requested == "missing":
            self.send_error(404)
            return
        body = CONTENT[::-1] if requested == "other" else CONTENT
        self.send_response(200)
        if requested != "unannounced":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if requested == "stalled":
            self.wfile.write(body[:4096])
            self.wfile.flush()
            time.sleep(60)
        truncated = requested in ("truncated", "unannounced")
        self.wfile.write(body[: len(body) // 2] if truncated else body)

    def log_message(self, *arguments: object) -> None:
        """Keep the output of the tests clean."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The address of a server on this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    server.daemon_threads = True
    server.block_on_close = False
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def closed() -> str:
    """An address at which nothing answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/file"


@pytest.fixture(autouse=True)
def _neither_mirror_nor_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("MOLCRYST_MIRROR", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "datasets" / "rmd17" / "raw"


def raw_file(*addresses: str) -> RawFile:
    return RawFile(NAME, f"sha256:{hashlib.sha256(CONTENT).hexdigest()}", len(CONTENT), addresses)


def names_in(folder: Path) -> list[str]:
    names = [path.name for path in folder.iterdir()] if folder.exists() else []
    return sorted(name for name in names if not name.endswith(".lock"))


def test_a_file_is_fetched_and_then_found(address: str, folder: Path) -> None:
    path = fetch(raw_file(f"{address}/file"), folder)
    assert path.read_bytes() == CONTENT
    assert names_in(folder) == [NAME]
    assert fetch(raw_file("http://no.such.host.invalid/"), folder) == path


def test_published_md5_sums_are_checked_too(address: str, folder: Path) -> None:
    md5 = hashlib.md5(CONTENT).hexdigest()
    assert fetch(replace(raw_file(f"{address}/file"), checksum=f"md5:{md5}"), folder).exists()
    wrong = replace(raw_file(f"{address}/other"), name="b", checksum=f"md5:{md5}")
    with pytest.raises(SourceError, match=f"instead of {md5}"):
        fetch(wrong, folder)


@pytest.mark.parametrize(
    ("requested", "words"),
    [
        ("other", "wrong checksum"),
        ("truncated", "IncompleteRead|Connection|ended"),
        ("unannounced", "truncated: 524,288 bytes instead of 1,048,576"),
        ("missing", "404"),
    ],
)
def test_what_is_not_the_right_file_is_refused_and_leaves_nothing(
    address: str, folder: Path, requested: str, words: str
) -> None:
    with pytest.raises(SourceError, match=words) as caught:
        fetch(raw_file(f"{address}/{requested}"), folder)
    assert NAME in str(caught.value)
    assert f"{address}/{requested}" in str(caught.value)
    assert names_in(folder) == []


def test_advice_is_never_to_delete_a_file_that_is_not_there(address: str, folder: Path) -> None:
    with pytest.raises(SourceError) as caught:
        fetch(raw_file(f"{address}/other", f"{address}/unannounced"), folder)
    assert "delete" not in str(caught.value)
    assert ".fetch-" not in str(caught.value)


def test_a_file_of_the_wrong_size_is_refused(address: str, folder: Path) -> None:
    with pytest.raises(SourceError, match="too long"):
        fetch(replace(raw_file(f"{address}/file"), size=1000), folder)
    assert names_in(folder) == []


def test_when_no_address_answers_each_one_is_named(closed: str, folder: Path) -> None:
    second = closed.replace("/file", "/copy")
    with pytest.raises(SourceError, match=NAME) as caught:
        fetch(raw_file(closed, second), folder)
    assert closed in str(caught.value)
    assert second in str(caught.value)
    assert names_in(folder) == []


def test_the_next_address_is_tried_after_a_bad_one(address: str, closed: str, folder: Path) -> None:
    bad = (closed, f"{address}/truncated", f"{address}/other")
    assert fetch(raw_file(*bad, f"{address}/file"), folder).read_bytes() == CONTENT


def test_the_mirror_comes_first(
    address: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOLCRYST_MIRROR", str(tmp_path / "mirror"))
    copy = tmp_path / "mirror" / "rmd17" / NAME
    copy.parent.mkdir(parents=True)
    copy.write_bytes(CONTENT)
    Server.asked.clear()
    assert fetch(raw_file(f"{address}/file"), folder).read_bytes() == CONTENT
    assert copy.read_bytes() == CONTENT
    assert Server.asked == []


@pytest.mark.parametrize("content", [None, CONTENT[:100], CONTENT[::-1]])
def test_a_mirror_without_the_right_file_is_passed_over(
    address: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.setenv("MOLCRYST_MIRROR", str(tmp_path / "mirror"))
    if content is not None:
        (tmp_path / "mirror" / "rmd17").mkdir(parents=True)
        (tmp_path / "mirror" / "rmd17" / NAME).write_bytes(content)
    assert fetch(raw_file(f"{address}/file"), folder).read_bytes() == CONTENT


def test_a_mirror_that_fails_is_named_among_the_problems(
    closed: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOLCRYST_MIRROR", str(tmp_path / "mirror"))
    with pytest.raises(SourceError) as caught:
        fetch(raw_file(closed), folder)
    assert str(tmp_path / "mirror" / "rmd17" / NAME) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "problem"),
    [(CONTENT[:-1], "truncated"), (CONTENT + b"x", "too long"), (CONTENT[::-1], "checksum")],
)
def test_a_damaged_file_is_named_with_what_to_do(
    address: str, folder: Path, content: bytes, problem: str
) -> None:
    folder.mkdir(parents=True)
    (folder / NAME).write_bytes(content)
    with pytest.raises(SourceError, match=problem) as caught:
        fetch(raw_file(f"{address}/file"), folder)
    assert str(folder / NAME) in str(caught.value)
    assert "delete it and run again" in str(caught.value)
    assert (folder / NAME).read_bytes() == content


def test_a_killed_download_never_looks_like_a_file(address: str, folder: Path) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from molcryst_bench.sources.fetch import RawFile, fetch\n"
        f"fetch(RawFile({NAME!r}, 'md5:0', {len(CONTENT)}, (sys.argv[1],)), Path(sys.argv[2]))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program, f"{address}/stalled", str(folder)])
    deadline = time.monotonic() + 120
    while not list(folder.glob(f"*/{NAME}.part")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (folder / NAME).exists()
    assert fetch(raw_file(f"{address}/file"), folder).read_bytes() == CONTENT


def test_an_unwritable_place_is_explained(address: str, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(MolcrystError, match="no permission"):
        fetch(raw_file(f"{address}/file"), tmp_path / "closed" / "raw")


def test_a_wheel_comes_from_where_pip_is_configured_to_look(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = tmp_path / "links" / "tinypack-1.0-py3-none-any.whl"
    handmade.write_zip(
        wheel,
        {
            "tinypack/data.csv": b"a,b\n",
            "tinypack-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\n"
            b"Name: tinypack\nVersion: 1.0\n",
            "tinypack-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nTag: py3-none-any\n",
        },
    )
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    file = handmade.raw_file(wheel, ("pypi:tinypack==1.0",))
    assert fetch(file, folder).read_bytes() == wheel.read_bytes()
    with pytest.raises(SourceError, match=r"pip says: .*tinypack==2\.0"):
        fetch(replace(file, name="other.whl", addresses=("pypi:tinypack==2.0",)), folder)
    assert names_in(folder) == [wheel.name]


def test_verify_leaves_a_wrong_file_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes(b"short")
    with pytest.raises(SourceError, match="truncated"):
        verify(raw_file(), path)
    assert path.read_bytes() == b"short"
