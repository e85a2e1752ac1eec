"""``python -m benchmarks.overhead``: what the runner costs with thousands of trivial cells.

Prints the time of the driver for each cell, everything from its planning to the table of results
included, and the time of ``molcryst bench status`` on all of them.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.small_project import Quiet, copy_cell, make_project, write_template
from molcryst_bench.base.executors import InlineExecutor
from molcryst_bench.bench.campaign import Conditions
from molcryst_bench.bench.cell import plan_cells
from molcryst_bench.bench.params import load_params
from molcryst_bench.bench.runner import run_bench

LIMIT = 0.050  # seconds of the driver for each cell


def main() -> None:
    """Time it and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=10_000)
    cells = parser.parse_args().cells
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        root = Path(folder)
        make_project(root, seeds=1)
        first = run_bench(plan_cells(load_params()), root / "first", InlineExecutor(), Quiet())[0]
        make_project(root, seeds=cells)
        write_template(root / "leaderboard", first)
        start, cpu = time.perf_counter(), time.process_time()
        plans = plan_cells(load_params())
        planned = time.perf_counter()
        conditions = Conditions(work=copy_cell)
        run_bench(plans, root / "leaderboard", InlineExecutor(), Quiet(), conditions)
        wall, busy = time.perf_counter() - start, time.process_time() - cpu
        print(f"{len(plans):,} cells, each of which copies a result, one after the other:")
        print(f"  planning {1e3 * (planned - start) / cells:.2f} ms a cell")
        print(
            f"  everything {1e3 * wall / cells:.2f} ms a cell, {1e3 * busy / cells:.2f} ms of CPU"
        )
        print(f"  limit {1e3 * LIMIT:.0f} ms: {'kept' if wall / cells < LIMIT else 'exceeded'}")
        again = time.perf_counter()
        run_bench(plans, root / "leaderboard", InlineExecutor(), Quiet(), conditions)
        print(f"  a second run, which does nothing: {time.perf_counter() - again:.1f} s")
        for turn in ("first, which plans", "second"):
            print(f"  bench status, the {turn}: {status_seconds(root):.2f} s")


def status_seconds(root: Path) -> float:
    """Return how long the command takes."""
    command = [str(Path(sys.executable).parent / "molcryst"), "bench", "status"]
    start = time.perf_counter()
    subprocess.run(command, cwd=root, check=True, capture_output=True, env={**os.environ})
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
