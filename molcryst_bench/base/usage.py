"""What work costs: time, memory and, where the machine tells it, energy."""

from __future__ import annotations

import os
import resource
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from molcryst_bench.base.energy import gpu_joules, package_joules

_CLEAR_PEAK = "5"  # what the kernel takes for "begin anew with the peak of memory"


class Cost(NamedTuple):
    """What a piece of work has cost."""

    wall: float = 0.0  # seconds
    cpu: float = 0.0  # seconds of all threads and of processes that have ended
    gpu: float = 0.0  # seconds for which a GPU was held, times the number of GPUs
    memory_mb: float = 0.0  # largest resident size of the process
    energy_j: float | None = None  # of processors and GPUs; none where the machine tells nothing

    def plus(self, other: Cost) -> Cost:
        """Return the cost of both, one after the other."""
        known = [each.energy_j for each in (self, other) if each.energy_j is not None]
        return Cost(
            self.wall + other.wall,
            self.cpu + other.cpu,
            self.gpu + other.gpu,
            max(self.memory_mb, other.memory_mb),
            sum(known) if known else None,
        )


class Meter:
    """Measures from its making until it is read."""

    def __init__(self) -> None:
        _forget_peak()
        self.start = time.perf_counter()
        self.cpu_start = _cpu_seconds()
        self.machine_start = _machine_seconds()
        self.packages_start, self.gpus_start = package_joules(), gpu_joules()

    def read(self) -> Cost:
        """Return the cost so far."""
        wall = time.perf_counter() - self.start
        cpu = _cpu_seconds() - self.cpu_start
        gpus = _gpus_in_use()
        return Cost(wall, cpu, wall * gpus, _peak_memory_mb(), self._energy(cpu))

    def _energy(self, cpu: float) -> float | None:
        """Return the part of the processors' energy that is as large as that of their time."""
        parts = []
        if (now := package_joules()) is not None and self.packages_start is not None:
            spent = sum(b - a for a, b in zip(self.packages_start, now, strict=True) if b >= a)
            busy = max(_machine_seconds() - self.machine_start, cpu)
            parts.append(spent * cpu / busy if busy else 0.0)
        if (held := gpu_joules()) is not None and self.gpus_start is not None and _gpus_in_use():
            parts.append(sum(b - a for a, b in zip(self.gpus_start, held, strict=True)))
        return sum(parts) if parts else None


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _machine_seconds() -> float:
    """Return the seconds that all processors of the machine have been busy, 0 if not known."""
    try:
        fields = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:]
    except (OSError, IndexError):
        return 0.0
    user, nice, system, _idle, _waiting, *rest = map(int, fields)
    return (user + nice + system + sum(rest[:2])) / os.sysconf("SC_CLK_TCK")


def _forget_peak() -> None:
    """Let the peak of memory count from now on, where the system allows it."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text(_CLEAR_PEAK, encoding="ascii")


def _peak_memory_mb() -> float:
    with suppress(OSError, StopIteration, ValueError):
        status = Path("/proc/self/status").read_text(encoding="ascii")
        line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024 / 1e6
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts in bytes, others in KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def _gpus_in_use() -> int:
    """Return how many GPUs this process has in hand, without being the first to look."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return 0
    return sum(bool(torch.cuda.memory_reserved(each)) for each in range(torch.cuda.device_count()))
