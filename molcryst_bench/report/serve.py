"""The site as a browser gets it from a server, for this machine alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from molcryst_bench.base.errors import RunError

HOST = "127.0.0.1"
_START = "/site/index.html"


class _Handler(SimpleHTTPRequestHandler):
    """Serves the folder of the leaderboard, so that links to the files of cells work, too."""

    def do_GET(self) -> None:
        if self.path == "/":
            self.send_response(302)
            self.send_header("Location", _START)
            self.end_headers()
        else:
            super().do_GET()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing of single requests."""


def serve(leaderboard: Path, port: int, ready: Callable[[str], None]) -> None:
    """Serve a leaderboard's site until it is interrupted.

    Args:
        leaderboard: folder with ``site`` in it.
        port: where to listen; 0 takes one that is free.
        ready: is told the address.

    Raises:
        RunError: if there is no site, or the port cannot be had.
    """
    if not (leaderboard / "site" / "index.html").exists():
        raise RunError(f"{leaderboard / 'site'} is not there: run `molcryst report` first")
    try:
        server = ThreadingHTTPServer((HOST, port), partial(_Handler, directory=str(leaderboard)))
    except OSError as error:
        message = f"cannot listen on port {port} ({error.strerror})"
        raise RunError(f"{message}: choose another with --port") from error
    with server:
        ready(f"http://{HOST}:{server.server_port}/")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return
