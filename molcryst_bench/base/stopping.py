"""Being told to stop: by the system, which takes a machine away, or by who wants the work no more.

Schedulers warn before they kill: SIGTERM when work of higher priority needs the machine, SIGUSR1
some time before the wall time is over, if they are asked to. Work that is armed notes the signal
and ends where it can go on later.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


class _Request:
    """Whether this process has been told to stop."""

    at: float | None = None  # by the monotonic clock
    armed: bool = False


_request = _Request()


def ask_to_stop() -> None:
    """Tell the work in this process to stop."""
    if _request.at is None:
        _request.at = time.monotonic()


def told_to_stop() -> bool:
    """Return whether the work in this process is to stop."""
    return _request.at is not None


def seconds_since() -> float:
    """Return how long ago it was told to."""
    return 0.0 if _request.at is None else time.monotonic() - _request.at


@contextmanager
def armed() -> Iterator[None]:
    """Take signals as a wish to stop while the block runs, in place of ending at once."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are for the main thread alone
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    was_armed, _request.armed = _request.armed, True
    heed_signals()
    try:
        yield
    finally:
        _request.armed = was_armed
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def heed_signals() -> None:
    """Take signals again after a library has put itself first, if the work is armed."""
    if _request.armed and threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            signal.signal(number, _note)


def forget_request() -> None:
    """Begin anew, in a process that goes on with other work."""
    _request.at = None


def _note(number: int, frame: FrameType | None, *_: Any) -> None:
    ask_to_stop()
