"""Memory that is written again and again."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike


class Scratch:
    """Arrays by name, each of which lasts until another of its name is asked for.

    The system clears new memory before it hands it out, which takes as long as to decode a part of
    a store into it.
    """

    def __init__(self) -> None:
        self._kept: dict[str, np.ndarray] = {}

    def empty(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
        """Return an array of any content, in the memory that the last of this name had."""
        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        if name not in self._kept or self._kept[name].nbytes < size:
            self._kept.pop(name, None)  # before more is asked for
            self._kept[name] = np.empty(size + size // 8, np.uint8)  # the next may be larger
        return self._kept[name][:size].view(dtype).reshape(shape)
