"""The site from a server on this machine."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

from molcryst_bench.base.errors import RunError
from molcryst_bench.report.serve import serve


def make_site(root: Path) -> Path:
    (root / "params.yaml").write_text("profile: quick\n")
    site = root / "leaderboard" / "site"
    site.mkdir(parents=True)
    (site / "index.html").write_text("<h1>Leaderboard</h1>")
    (root / "leaderboard" / "results.parquet").write_bytes(b"results")
    (root / "secret.txt").write_text("not to be seen")
    return root / "leaderboard"


def test_the_site_is_served_until_it_is_interrupted(tmp_path: Path) -> None:
    make_site(tmp_path)
    command = [
        sys.executable,
        "-c",
        "import sys; from molcryst_bench.cli.main import run; sys.argv[0] = 'molcryst'; run()",
        "report",
        "--serve",
    ]
    server = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    try:
        address = server.stdout.readline().split()[0]
        assert address.startswith("http://127.0.0.1:")
        with urlopen(address, timeout=60) as page:
            assert page.url == f"{address}site/index.html"
            assert b"<h1>Leaderboard</h1>" in page.read()
        with urlopen(f"{address}results.parquet", timeout=60) as file:
            assert file.read() == b"results"
        with pytest.raises(OSError, match="404"):
            urlopen(f"{address}../secret.txt", timeout=60)
    finally:
        server.send_signal(signal.SIGINT)
        _, errors = server.communicate(timeout=60)
    assert server.returncode == 0, errors
    assert errors == ""


def test_without_a_site_the_server_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="run `molcryst report` first"):
        serve(tmp_path, 0, print)


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    leaderboard = make_site(tmp_path)

    def serve_again(address: str) -> None:
        port = int(address.rstrip("/").rpartition(":")[2])
        with pytest.raises(RunError, match=f"port {port} .*--port"):
            serve(leaderboard, port, print)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        serve(leaderboard, 0, serve_again)
