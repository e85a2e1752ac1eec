"""How a process that trains uses its machine."""

from __future__ import annotations

import ctypes
import os

import torch

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # numbers of mallopt's parameters, from <malloc.h>
_OF_USER = {"MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"}
_LARGEST = 1 << 30  # bytes, of what is taken from kept memory
_MOST_KEPT = (1 << 31) - 1  # bytes


def prepare_process(threads: int) -> None:
    """Compute with so many threads, and keep the memory of past tensors for those to come.

    Without this the C library hands large tensors back to the system at once, which clears memory
    page by page before it lends it again: with batches of crystals this takes longer than to train.
    The price is that a process keeps up to 2 GB that it does not use.
    """
    torch.set_num_threads(threads)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc has it
    if mallopt is None or _OF_USER & os.environ.keys():
        return
    mallopt(_MMAP_THRESHOLD, _LARGEST)
    mallopt(_TRIM_THRESHOLD, _MOST_KEPT)
