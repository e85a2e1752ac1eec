"""Which derivatives somebody is going to use: autograd does not tell its functions."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class _Wanted(threading.local):
    by_positions_alone = False


_wanted = _Wanted()


@contextmanager
def by_positions_alone() -> Iterator[None]:
    """Within it derivatives by positions are taken, once and for all; by weights none, till later.

    A function with derivatives of its own, whose backward runs in the same thread, leaves out those
    by weights then, and from then on those by distances and directions.
    """
    before = _wanted.by_positions_alone
    _wanted.by_positions_alone = True
    try:
        yield
    finally:
        _wanted.by_positions_alone = before


def weights_are_wanted() -> bool:
    """Return whether derivatives by weights may be used."""
    return not _wanted.by_positions_alone
