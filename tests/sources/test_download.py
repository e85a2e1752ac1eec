"""Downloads that are cut, against real servers that do and do not serve parts of files."""

from __future__ import annotations

import hashlib
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from molcryst_bench.base.errors import MolcrystError, SourceError
from molcryst_bench.sources.fetch import RawFile, fetch

CONTENT = bytes(range(256)) * 12_000  # 3 MB
CHANGED = CONTENT[::-1]
NAME = "frames.npz"
PIECE = 1 << 16  # what arrives is kept in pieces of this size


@dataclass
class Site:
    """What a server has and how it behaves."""

    content: bytes = CONTENT
    tag: str | None = '"first"'
    ranges: bool = True  # serves parts
    if_range: bool = True  # and heeds the condition on which they are asked for
    cut_after: list[int] = field(default_factory=list)  # bytes sent before each cut, then no more
    stall: bool = False  # in place of cutting
    asked: list[str | None] = field(default_factory=list)  # ranges
    sent: int = 0  # bytes


class Handler(BaseHTTPRequestHandler):
    site: Site

    def do_GET(self) -> None:
        site, wanted = self.site, self.headers.get("Range")
        site.asked.append(wanted)
        unchanged = not site.if_range or self.headers.get("If-Range") == site.tag
        start = 0
        if wanted and site.ranges and unchanged:
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])  # type: ignore[index]
            if start >= len(site.content):
                self.send_error(416)
                return
        body = site.content[start:]
        self.send_response(206 if start else 200)
        if start:
            whole = len(site.content)
            self.send_header("Content-Range", f"bytes {start}-{whole - 1}/{whole}")
        if site.tag:
            self.send_header("ETag", site.tag)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        part = body[: site.cut_after.pop(0)] if site.cut_after else body
        self.wfile.write(part)
        site.sent += len(part)
        if part != body and site.stall:
            self.wfile.flush()
            time.sleep(30)

    def log_message(self, *arguments: object) -> None:
        """Keep the output of the tests clean."""


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
def address(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for variable in ("MOLCRYST_MIRROR", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(variable, raising=False)
    handler = type("SiteHandler", (Handler,), {"site": site})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    server.block_on_close = False
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/{NAME}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "raw"


def raw_file(*addresses: str, content: bytes = CONTENT) -> RawFile:
    return RawFile(NAME, f"sha256:{hashlib.sha256(content).hexdigest()}", len(content), addresses)


def part_of(folder: Path) -> Path:
    return folder / f".{NAME}.fetching" / f"{NAME}.part"


def leave_part(site: Site, address: str, folder: Path, size: int = 15 * PIECE) -> None:
    """Let a fetch be cut, in a way that it cannot go on by itself."""
    site.cut_after = [size, 0]
    with pytest.raises(SourceError):
        fetch(raw_file(address), folder)
    assert part_of(folder).read_bytes() == site.content[:size]
    assert not (folder / NAME).exists()
    site.asked.clear()
    site.sent = 0


def check_complete(folder: Path, content: bytes = CONTENT) -> None:
    assert (folder / NAME).read_bytes() == content
    assert sorted(path.name for path in folder.iterdir()) == [f".{NAME}.lock", NAME]


def test_a_connection_that_is_cut_again_and_again_goes_on(
    site: Site, address: str, folder: Path
) -> None:
    site.cut_after = [15 * PIECE, PIECE, 7 * PIECE]
    fetch(raw_file(address), folder)
    check_complete(folder)
    assert site.asked == [None, *(f"bytes={pieces * PIECE}-" for pieces in (15, 16, 23))]
    assert site.sent == len(CONTENT), "no byte was sent twice"


def test_the_next_command_goes_on_with_what_the_last_one_has_left(
    site: Site, address: str, folder: Path
) -> None:
    leave_part(site, address, folder)
    fetch(raw_file(address), folder)
    check_complete(folder)
    assert site.asked == [f"bytes={15 * PIECE}-"]
    assert site.sent == len(CONTENT) - 15 * PIECE


def test_a_killed_download_goes_on(site: Site, address: str, folder: Path) -> None:
    site.cut_after, site.stall = [2_000_000], True
    program = (
        "import sys; from pathlib import Path\n"
        "from molcryst_bench.sources.fetch import RawFile, fetch\n"
        f"fetch(RawFile({NAME!r}, 'md5:0', {len(CONTENT)}, (sys.argv[1],)), Path(sys.argv[2]))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program, address, str(folder)])
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if part_of(folder).exists() and part_of(folder).stat().st_size >= 1 << 20:
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (folder / NAME).exists()
    have = part_of(folder).stat().st_size
    assert 0 < have < len(CONTENT)
    fetch(raw_file(address), folder)
    check_complete(folder)
    assert site.asked == [None, f"bytes={have}-"]


@pytest.mark.parametrize("heeds", [True, False])
def test_a_file_that_has_changed_in_between_is_fetched_anew(
    site: Site, address: str, folder: Path, heeds: bool
) -> None:
    leave_part(site, address, folder)
    site.content, site.tag, site.if_range = CHANGED, '"second"', heeds
    fetch(raw_file(address, content=CHANGED), folder)
    check_complete(folder, CHANGED)


def test_a_file_that_has_become_shorter_is_fetched_anew(
    site: Site, address: str, folder: Path
) -> None:
    leave_part(site, address, folder)
    site.content, site.if_range = CONTENT[:999], False
    fetch(raw_file(address, content=CONTENT[:999]), folder)
    check_complete(folder, CONTENT[:999])


def test_a_server_without_parts_is_asked_for_the_whole(
    site: Site, address: str, folder: Path
) -> None:
    leave_part(site, address, folder)
    site.ranges = False
    fetch(raw_file(address), folder)
    check_complete(folder)
    assert site.sent == len(CONTENT)


@pytest.mark.parametrize("tag", [None, 'W/"weak"'])
def test_what_has_no_version_is_never_gone_on_with(
    site: Site, address: str, folder: Path, tag: str | None
) -> None:
    site.tag, site.cut_after = tag, [15 * PIECE, 14 * PIECE]
    with pytest.raises(SourceError):
        fetch(raw_file(address), folder)
    assert [path.name for path in folder.iterdir()] == [f".{NAME}.lock"]
    fetch(raw_file(address), folder)
    check_complete(folder)
    assert site.asked == [None] * 3


def test_a_part_from_one_address_is_not_gone_on_with_at_another(
    site: Site, address: str, folder: Path
) -> None:
    leave_part(site, address, folder)
    fetch(raw_file(f"{address}?copy"), folder)
    check_complete(folder)
    assert site.asked == [None]


def test_a_part_whose_note_is_damaged_is_not_gone_on_with(
    site: Site, address: str, folder: Path
) -> None:
    leave_part(site, address, folder)
    note = part_of(folder).with_name(f"{NAME}.part.json")
    note.write_text(note.read_text()[:10])
    fetch(raw_file(address), folder)
    check_complete(folder)


def test_a_part_that_was_spoiled_is_found_by_the_checksum_and_not_kept(
    site: Site, address: str, folder: Path
) -> None:
    leave_part(site, address, folder)
    part_of(folder).write_bytes(CHANGED[: 15 * PIECE])
    with pytest.raises(SourceError, match="wrong checksum"):
        fetch(raw_file(address), folder)
    assert not (folder / NAME).exists()
    assert not part_of(folder).exists()
    fetch(raw_file(address), folder)
    check_complete(folder)


def test_a_wrong_mirror_does_not_cost_the_part(
    site: Site, address: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_part(site, address, folder)
    monkeypatch.setenv("MOLCRYST_MIRROR", str(tmp_path / "mirror"))
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / NAME).write_bytes(CHANGED)
    fetch(RawFile(NAME, raw_file().checksum, len(CONTENT), (address,), NAME), folder)
    check_complete(folder)
    assert site.asked == [f"bytes={15 * PIECE}-"]


def test_a_disk_that_fills_up_is_explained_and_the_part_kept(
    site: Site, address: str, small_disk: Path
) -> None:
    folder = small_disk / "raw"
    with pytest.raises(MolcrystError, match="disk is full"):
        fetch(raw_file(address), folder)
    assert not (folder / NAME).exists()
