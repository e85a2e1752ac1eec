"""Numbers as text. All outputs use these, so that they cannot show different digits."""

from __future__ import annotations

import math
from collections.abc import Iterable

NOTHING = "n/a"
_MINUS = "\N{MINUS SIGN}"
_DASH = "\N{EN DASH}"
_DIGITS = 3  # significant digits of the smallest number in a column
_LARGEST = 1e12  # that is written out; what diverged is larger, and nobody counts its digits


def decimals_for(values: Iterable[float]) -> int:
    """Return how many decimals show the smallest of some positive values with three digits."""
    sizes = [abs(value) for value in values if math.isfinite(value) and value]
    if not sizes:
        return 1
    return max(0, _DIGITS - 1 - math.floor(math.log10(min(sizes))))


def number(value: float, decimals: int) -> str:
    """Format with thousands separators and a true minus sign; as a power if it has diverged."""
    if not math.isfinite(value):
        return NOTHING
    if abs(value) >= _LARGEST:
        return f"{value:.{_DIGITS - 1}e}".replace("e+", "e").replace("-", _MINUS)
    # Adding 0 turns a rounded -0.0 into 0.0.
    return f"{round(value, decimals) + 0.0:,.{decimals}f}".replace("-", _MINUS)


def with_spread(mean: float, spread: float | None, decimals: int) -> str:
    """Format a mean and its standard deviation; a single value has none."""
    text = number(mean, decimals)
    return text if spread is None or text == NOTHING else f"{text} ± {number(spread, decimals)}"


def between(bounds: tuple[float, float], decimals: int) -> str:
    """Format an interval; a dash beside a minus sign would be hard to read."""
    low, high = (number(bound, decimals) for bound in bounds)
    dash = " to " if _MINUS in low + high else _DASH
    return NOTHING if NOTHING in (low, high) else f"{low}{dash}{high}"


def percent(part: float, spread: float | None = None) -> str:
    """Format a part of a whole, perhaps with its standard deviation."""
    text = with_spread(100 * part, None if spread is None else 100 * spread, 1)
    return text if text == NOTHING else f"{text} %"


def significant(value: float) -> str:
    """Format one number with three significant digits, whole from 100 upwards."""
    return number(value, decimals_for([value]))


def duration(seconds: float) -> str:
    """Format a time with the two units that matter."""
    if not math.isfinite(seconds):
        return NOTHING
    if seconds < 60:
        return f"{significant(seconds)} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60:,} h {minutes % 60:02} min"


def short_digest(digest: str) -> str:
    """Return as much of a digest as tells it from others."""
    return digest[:12]


def shortened(name: str, length: int = 28) -> str:
    """Cut a name that would leave a figure no room."""
    return name if len(name) <= length else f"{name[: length - 1]}…"
