"""Ending trials early that are worse than most others were after as many epochs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from molcryst_bench.base.files import write_json
from molcryst_bench.base.locks import exclusive

Rungs = Mapping[int, Sequence[float]]  # of each trial: its least error at each rung that it reached


@dataclass(frozen=True)
class Halving:
    """Asynchronous successive halving (Li et al. 2020, arXiv 1810.05934) over a shared file.

    Rungs are after ``keep``, ``keep``², ... epochs. At each a trial goes on if its least error so
    far is among the best 1/``keep`` of those that have come there before it and itself, at least
    if it is the best. With a ``keep`` of 1 all go on. Equal orders give equal decisions.
    """

    path: Path
    keep: int

    def begin(self, finished: Rungs) -> None:
        """Start with what trials before have come to, and forget all others."""
        write_json(self.path, {str(trial): list(errors) for trial, errors in finished.items()})

    def is_rung(self, epoch: int) -> bool:
        """Return whether a decision is due after an epoch, counted from 1."""
        if self.keep < 2 or epoch < self.keep:
            return False
        rung: int = self.keep ** round(math.log(epoch, self.keep))
        return rung == epoch

    def goes_on(self, trial: int, errors: Sequence[float]) -> bool:
        """Return whether a trial is good enough, and let it count for others.

        Args:
            trial: its number.
            errors: the least error so far at each rung, the present one last.
        """
        with exclusive(self.path.with_suffix(".lock")):
            known: dict[str, list[float]] = json.loads(self.path.read_text(encoding="utf-8"))
            known[str(trial)] = list(errors)
            write_json(self.path, known)
        rung = len(errors) - 1
        rivals = sorted(each[rung] for each in known.values() if len(each) > rung)
        return errors[rung] <= rivals[max(len(rivals) // self.keep, 1) - 1]

    def forget(self, trial: int) -> None:
        """Let a trial that has failed not count any more."""
        with exclusive(self.path.with_suffix(".lock")):
            known = json.loads(self.path.read_text(encoding="utf-8"))
            if known.pop(str(trial), None) is not None:
                write_json(self.path, known)
