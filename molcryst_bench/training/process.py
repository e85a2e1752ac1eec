"""How a process that trains uses its machine."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # numbers of mallopt's parameters, from <malloc.h>
_OF_USER = {"MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"}
_LARGEST = 1 << 30  # bytes, of what is taken from kept memory
_MOST_KEPT = (1 << 31) - 1  # bytes


def prepare_process(threads: int) -> None:
    """Compute with so many threads, no denormals, and memory kept from past tensors for new ones.

    Without the last the C library hands large tensors back to the system at once, which clears
    memory page by page before it lends it again: with batches of crystals this takes longer than to
    train. The price is that a process keeps up to 2 GB that it does not use.
    """
    torch.set_flush_denormal(True)  # before the threads begin, which take it over
    torch.set_num_threads(threads)
    keep_memory()


@contextmanager
def without_denormals() -> Iterator[None]:
    """Take numbers below the smallest normal one (1.2e-38 in float32) as zero, for a while.

    The tails of radial functions are full of them, and processors of Intel's take a hundred times
    as long for each: training SchNet is four times as fast without. This is a setting of a thread,
    which those that it begins take over, so a process that is not ours gets its own back.
    """
    flushed = sys.float_info.min / 2 == 0
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(flushed)


def keep_memory() -> None:
    """Have the C library keep large blocks, unless the user has decided on it."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc has it
    if mallopt is None or _OF_USER & os.environ.keys():
        return
    mallopt(_MMAP_THRESHOLD, _LARGEST)
    mallopt(_TRIM_THRESHOLD, _MOST_KEPT)
