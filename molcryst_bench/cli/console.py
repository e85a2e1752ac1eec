"""How the verbs speak: paths as one would type them, progress, tables."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

# A notebook asks for colours, which rich takes for a terminal that can redraw its lines.
console = Console(force_interactive=None if sys.stdout.isatty() else False)


def shown(path: Path) -> str:
    """Return a path relative to the current folder where that is shorter."""
    relative = os.path.relpath(path)
    return min(relative, str(path), key=len)


def progress_bar(what: str = "") -> Progress:
    """Return a progress bar that goes away when it is done."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(what),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_interactive,
    )


class Bars:
    """What shows bars while it is the context of a block."""

    progress: Progress

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.progress.stop()


@contextmanager
def counted(description: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar and yield a function that takes how many are done, and of how many."""
    with progress_bar() as progress:
        task = progress.add_task(description, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
