"""``make bench``: all rows, printed and written to ``benchmarks/latest.json``."""

from __future__ import annotations

import dataclasses
import platform
from pathlib import Path

import numpy as np
import torch
import torch_geometric
from rich.console import Console
from rich.table import Table

from benchmarks import dynamics, frameworks, loading, scale, size, torchmd_net, training
from benchmarks.compare import ROUNDS, Row
from molcryst_bench.base.files import write_json
from molcryst_bench.training.process import prepare_process

LATEST = Path(__file__).parent / "latest.json"


def main() -> None:
    """Run all benchmarks on one thread, as the runner's workers do."""
    prepare_process(threads=1)
    console = Console()
    rows: list[Row] = []
    for room in (loading, scale, size, frameworks, training, torchmd_net, dynamics):
        console.print(f"Timing {room.__name__.rpartition('.')[2]} ...")
        rows += room.rows()
    _show(console, rows)
    write_json(LATEST, {"machine": _machine(), "rows": [dataclasses.asdict(row) for row in rows]})
    console.print(f"\nWritten to {LATEST.relative_to(Path.cwd())}")


def _show(console: Console, rows: list[Row]) -> None:
    table = Table("what", "unit", "ours", "peer's", "better", "range")
    for row in rows:
        low, high = row.ratio_range
        rates = [f"{row.ours:,.0f}", f"{row.theirs:,.0f}", f"{row.ratio:.2f} x"]
        table.add_row(row.name, row.unit, *rates, f"{low:.2f} to {high:.2f}")
    console.print(table)
    for row in rows:
        console.print(f"{row.name}: against {row.peer}; {row.limit}.", highlight=False)


def _machine() -> dict[str, object]:
    return {
        "processor": platform.machine(),
        "threads": torch.get_num_threads(),
        "rounds": ROUNDS,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": torch.__version__,
        "torch_geometric": torch_geometric.__version__,
    }


if __name__ == "__main__":
    main()
