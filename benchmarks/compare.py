"""Two ways of doing the same, in turn, so that a machine whose speed drifts does no harm."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

ROUNDS = 7


@dataclass(frozen=True)
class Row:
    """One line of the table; ``ratio`` above 1 means that we are better."""

    name: str
    peer: str
    unit: str
    ours: float
    theirs: float
    ratio: float
    ratio_range: tuple[float, float]
    limit: str  # how far from what the machine can do


def compare(
    name: str,
    peer: str,
    unit: str,
    work: float,
    ours: Callable[[], object],
    theirs: Callable[[], object],
    limit: Callable[[float], str] = lambda rate: "",
    their_work: float | None = None,
    rounds: int = ROUNDS,
) -> Row:
    """Time both in turn after one round that does not count.

    Args:
        name: of the row.
        peer: what it is compared with.
        unit: of ``work`` per second.
        work: done in one call of ``ours``.
        ours: what to time.
        theirs: the same by the peer.
        limit: says how far a rate is from the limit of the machine.
        their_work: done in one call of ``theirs``, if it is another amount.
        rounds: that count; few, where the peer is slow.
    """
    pairs = []
    for _ in range(rounds + 1):
        mine, other = _seconds(ours), _seconds(theirs)
        pairs.append((work / mine, (their_work or work) / other))
    del pairs[0]
    ratios = sorted(mine / other for mine, other in pairs)
    rate = statistics.median(mine for mine, _ in pairs)
    return Row(
        name=name,
        peer=peer,
        unit=unit,
        ours=rate,
        theirs=statistics.median(other for _, other in pairs),
        ratio=statistics.median(ratios),
        ratio_range=(ratios[0], ratios[-1]),
        limit=limit(rate),
    )


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
