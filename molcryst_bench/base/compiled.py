"""Loops that numba compiles when they are first called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from numba import njit

_P = ParamSpec("_P")
_R = TypeVar("_R")


def compiled(loop: Callable[_P, _R], **options: Any) -> Callable[_P, _R]:
    """Compile a function for the types of its first call, and keep the code if there is a place.

    It runs without the interpreter's lock. A function that it calls belongs into the same file: the
    kept code is thrown away when that file changes, not when another does.

    Args:
        loop: of numbers and arrays alone.
        options: of ``numba.njit``.
    """
    try:
        kept: Callable[_P, _R] = njit(cache=True, nogil=True, **options)(loop)
    except RuntimeError:  # neither the folder of the package nor that of the user can be written to
        kept = njit(nogil=True, **options)(loop)
    return kept
