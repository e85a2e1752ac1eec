"""Why a submission is refused, in words that can be printed whatever it holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from molcryst_bench.base.errors import MolcrystError

_LINE = 300  # characters of a reason
_REASONS = 12
_NAMED = 3  # ids of many


class RefusedError(MolcrystError):
    """A submission that cannot stand on a leaderboard; one line for each reason."""

    def __init__(self, name: str, reasons: Iterable[str]) -> None:
        """Keep the reasons short.

        Args:
            name: of the submission.
            reasons: one sentence each, which may quote what the submission holds.
        """
        self.reasons = [_one_line(reason) for reason in reasons]
        shown = [f"  {reason}" for reason in self.reasons[:_REASONS]]
        if more := len(self.reasons) - _REASONS:
            shown += [f"  and {more:,} more"] if more > 0 else []
        super().__init__("\n".join([f"{_one_line(name)} is refused:", *shown]))


def counted(count: int, what: str) -> str:
    """Say how many: ``1 id``, ``2 ids``."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def some_of(ids: Sequence[str]) -> str:
    """Name the first of some ids, in quotes."""
    named = ", ".join(repr(str(each)[:60]) for each in ids[:_NAMED])
    return f"{named}, ..." if len(ids) > _NAMED else named


def _one_line(text: str) -> str:
    """Return a text without line breaks and signs that would steer a terminal."""
    plain = "".join(sign if sign.isprintable() else " " for sign in text)
    shortened = " ".join(plain.split())
    if len(shortened) <= _LINE:
        return shortened
    half = _LINE // 2  # what is wrong often stands at the end, behind what is quoted
    return f"{shortened[:half]} … {shortened[-half:]}"
