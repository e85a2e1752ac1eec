"""Runs many small cells on local processes; ``python chaos_driver.py PROJECT FOLDER COUNT``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from bench_project import Record
from trivial_cells import many_cells, slow_copy

from molcryst_bench.base.isolated import isolated_executor
from molcryst_bench.bench.campaign import Conditions
from molcryst_bench.bench.cell import plan_cells
from molcryst_bench.bench.params import load_params
from molcryst_bench.bench.runner import run_bench

WORKERS = 2


def main(project: str, folder: str, count: str) -> None:
    """Run what is missing."""
    os.chdir(project)
    plan = plan_cells(load_params())[0]
    conditions = Conditions(slots=WORKERS, losses=1000, grace=5.0, work=slow_copy)
    with isolated_executor(WORKERS, threads=1) as executor:
        run_bench(many_cells(plan, int(count)), Path(folder), executor, Record(), conditions)


if __name__ == "__main__":
    main(*sys.argv[1:])
