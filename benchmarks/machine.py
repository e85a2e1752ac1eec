"""What the machine could do at best."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch

from molcryst_bench.models.components.linear import multiply


def product_gflops() -> float:
    """Return billions of float32 operations a second in a large matrix product, at its fastest."""
    size = 1024
    a = torch.randn(size, size)
    return 2 * size**3 / _median_seconds(lambda: multiply(a, a)) / 1e9


def copy_gigabytes() -> float:
    """Return gigabytes a second that a copy reads and writes, far beyond the caches."""
    source = torch.zeros(64 << 20)
    target = torch.empty_like(source)
    return 2 * source.nbytes / _median_seconds(lambda: target.copy_(source)) / 1e9


def _median_seconds(call: Callable[[], object]) -> float:
    seconds = []
    for _ in range(9):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)
