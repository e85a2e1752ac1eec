"""The figure of ``benchmarks.cgcnn``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from molcryst_bench.base.files import whole_file

FORMS = {"cgcnn": "adjacency list", "cgcnn_matrix": "adjacency matrix"}
_COLOURS = {"cgcnn": "#0072b2", "cgcnn_matrix": "#d55e00"}
_MARKERS = {"cgcnn": "o", "cgcnn_matrix": "s"}
_TICKS = (64, 128, 256, 512)  # atoms


def draw(points: Sequence[dict[str, Any]], dataset: str, batch: int, path: Path) -> None:
    """Draw time and memory of a training step against the largest structure of a batch.

    Args:
        points: with ``model``, ``largest``, and for one structure ``seconds`` and ``bytes``.
        dataset: that the structures are from.
        batch: structures in a batch.
        path: of the PNG file.
    """
    figure = Figure(figsize=(9, 4), layout="constrained")
    time, memory = figure.subplots(1, 2)
    _panel(time, points, "seconds", 1e3, "processor time of a step (ms per structure)")
    _panel(memory, points, "bytes", 1e-6, "peak memory (MB per structure)")
    memory.legend(frameon=False, loc="center right")
    figure.suptitle(f"CGCNN, batches of {batch} from {dataset}, one thread", fontsize=11)
    with whole_file(path) as partial:
        figure.savefig(partial, format="png", dpi=150)


def _panel(
    axes: Axes, points: Sequence[dict[str, Any]], quantity: str, factor: float, label: str
) -> None:
    for model, name in FORMS.items():
        own = [point for point in points if point["model"] == model]
        axes.loglog(
            [point["largest"] for point in own],
            [point[quantity] * factor for point in own],
            color=_COLOURS[model],
            marker=_MARKERS[model],
            label=name,
        )
    axes.set_xticks(_TICKS, [str(tick) for tick in _TICKS])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("atoms of the largest structure in the batch")
    axes.set_ylabel(label)
    axes.grid(visible=True, which="both", alpha=0.2)
