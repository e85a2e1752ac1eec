"""Successive halving: who goes on."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from molcryst_bench.tuning.halving import Halving


def test_rungs_are_powers() -> None:
    def rungs(keep: int) -> list[int]:
        halving = Halving(Path("none"), keep)
        return [epoch for epoch in range(1, 300) if halving.is_rung(epoch)]

    assert rungs(3) == [3, 9, 27, 81, 243]
    assert rungs(2) == [2, 4, 8, 16, 32, 64, 128, 256]
    assert rungs(1) == []


@pytest.mark.parametrize("keep", [2, 3, 4])
def test_who_goes_on_is_the_share_of_those_that_have_come(keep: int, tmp_path: Path) -> None:
    halving, draw = Halving(tmp_path / "rungs.json", keep), random.Random(0)
    halving.begin({})
    before: list[list[float]] = [[], []]
    for trial in range(40):
        errors: list[float] = []
        for seen in before:
            errors.append(min([draw.random(), *errors]))
            seen.append(errors[-1])
            better = sum(error < errors[-1] for error in seen)
            expected = better < max(len(seen) // keep, 1)
            assert halving.goes_on(trial, errors) == expected
            if not expected:
                break


def test_trials_before_a_break_count_and_failed_ones_do_not(tmp_path: Path) -> None:
    halving = Halving(tmp_path / "rungs.json", 2)
    halving.begin({0: [5.0], 1: [3.0, 1.0]})
    assert not halving.goes_on(2, [4.0])
    assert not halving.goes_on(3, [2.0, 2.0])
    assert halving.goes_on(4, [2.0, 0.5])
    halving.forget(1)
    halving.forget(4)
    assert halving.goes_on(3, [2.0, 2.0])
    halving.begin({})
    assert halving.goes_on(9, [100.0])
