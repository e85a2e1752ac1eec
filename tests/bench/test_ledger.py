"""The ledger: a list of lines, of which a kill costs at most the last."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from molcryst_bench.base.usage import Cost, Meter
from molcryst_bench.bench.estimates import Estimates
from molcryst_bench.bench.ledger import Ledger


def test_what_was_recorded_is_read_by_others_at_once(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with Ledger(path) as ledger:
        ledger.record("a/b/0", "key", "queued")
        ledger.record("a/b/0", "key", "running", where="here:1")
        assert Ledger(path).entries == ledger.entries
        cost = Cost(3.0, 2.5, 0.0, 100.0, 7.5)
        ledger.record("a/b/0", "key", "done", attempts=1, cost=cost, epochs=4, note="1 meV")
    (entry,) = Ledger(path).entries.values()
    assert (entry.state, entry.where, entry.cost, entry.epochs) == ("done", "here:1", cost, 4)


@pytest.mark.parametrize("cut", [1, 20, 80])
def test_a_line_that_was_being_written_is_all_that_a_kill_costs(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "ledger.jsonl"
    with Ledger(path) as ledger:
        for name in ("a/b/0", "a/b/1"):
            ledger.record(name, "key", "done")
    path.write_bytes(path.read_bytes()[:-cut])
    assert next(iter(Ledger(path).entries)) == "a/b/0"
    with Ledger(path) as ledger:
        ledger.record("a/b/2", "key", "queued")
    assert list(Ledger(path).entries)[-1] == "a/b/2"


def test_another_key_begins_anew(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.jsonl") as ledger:
        ledger.record("a/b/0", "old", "failed", attempts=3, reason="it failed")
        assert ledger.get("a/b/0", "new") is None
        entry = ledger.record("a/b/0", "new", "queued")
    assert (entry.attempts, entry.reason) == (0, "")


def test_a_long_ledger_is_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with Ledger(path) as ledger:
        for number in range(100):
            ledger.record("a/b/0", "key", "queued", attempts=number)
    with Ledger(path) as ledger:
        assert ledger.entries["a/b/0"].attempts == 99
    assert len(path.read_text().splitlines()) == 1


def test_estimates_come_from_the_task_or_else_from_the_model(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.jsonl") as ledger:
        for seed, seconds in enumerate((10.0, 14.0)):
            cost = Cost(wall=seconds)
            ledger.record(f"qm9/homo/schnet/{seed}", "key", "done", cost=cost)
        ledger.record("qm9/zpve/schnet/0", "key", "done", cost=Cost(wall=30.0))
    estimates = Estimates(ledger.entries)
    assert estimates.seconds("qm9/homo/schnet/7") == 12.0
    assert estimates.seconds("hmof/x/schnet/0") == 18.0
    assert estimates.seconds("qm9/homo/cgcnn/0") is None


def test_a_meter_tells_wall_and_processor_time_and_the_peak_of_this_work_alone() -> None:
    large = bytearray(200_000_000)
    large[::4096] = b"x" * len(large[::4096])
    del large
    meter, end = Meter(), time.process_time() + 0.2
    while time.process_time() < end:
        pass
    cost = meter.read()
    assert cost.wall >= 0.19
    assert 0.15 < cost.cpu < cost.wall + 0.2
    assert cost.gpu == 0.0
    assert cost.memory_mb < Meter().read().memory_mb + 100
    assert cost.energy_j is None or cost.energy_j >= 0
