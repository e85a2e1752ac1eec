"""CGCNN on lists against matrices: what a larger structure in a batch costs each of them.

``python -m benchmarks.cgcnn`` trains both on batches of MOFs whose largest structure grows, each in
a fresh process, and writes a figure and its numbers into ``runs/cgcnn``. A run that was killed goes
on: points are written as they are measured.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn import functional as F

from benchmarks.cgcnn_figure import FORMS, draw
from molcryst_bench.base.errors import SourceError
from molcryst_bench.base.executors import available_cores, local_executor
from molcryst_bench.base.files import write_json
from molcryst_bench.base.project import dataset_folder
from molcryst_bench.cli.console import console, counted, shown
from molcryst_bench.graphs.build import BuildRequest, DatasetSettings, Sample, build_store
from molcryst_bench.graphs.neighbors import GraphSpec
from molcryst_bench.graphs.store import GraphStore, open_store
from molcryst_bench.models.registry import create_model
from molcryst_bench.sources.card import load_card
from molcryst_bench.sources.registry import get_dataset, obtain

STORE = Path(__file__).parent / "mofs-store.zarr"
GRAPH = GraphSpec(cutoff=8.0, max_neighbors=12)  # the paper's
BATCH = 8
SIZES = (32, 64, 128, 192, 256, 384, 768)  # atoms
STEPS, SECONDS = 3, 1.0  # at least


class Task(NamedTuple):
    """One point of the figure."""

    model: str
    rows: list[int]  # of the store
    largest: int  # atoms


class Record:
    """The points that have been measured, in a file."""

    def __init__(self, path: Path, store: GraphStore) -> None:
        self.path = path
        self.head = {
            "dataset": store.dataset,
            "digest": store.digest,
            "batch_size": BATCH,
            "graph": GRAPH.model_dump(),
            "machine": _machine(),
        }
        with suppress(FileNotFoundError):
            found = json.loads(path.read_text(encoding="utf-8"))
            if {name: found.get(name) for name in self.head} == self.head:
                self.points: list[dict[str, Any]] = found["points"]
                return
        self.points = []

    def measured(self, task: Task) -> dict[str, Any]:
        """Return a point, measured now if it is not known."""
        for point in self.points:
            if (point["model"], point["largest"]) == (task.model, task.largest):
                return point
        self.points.append(_in_fresh_process(task))
        write_json(self.path, {**self.head, "points": self.points})
        return self.points[-1]


def main() -> None:
    """Measure all points and draw them; or, with ``--measure``, measure one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("runs/cgcnn"), help="folder")
    parser.add_argument("--gigabytes", type=float, default=6.0, help="most that a step may take")
    parser.add_argument("--measure", nargs="+", metavar=("MODEL", "ROW"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.measure:
        model, *rows = chosen.measure
        print(json.dumps(measure(model, [int(row) for row in rows])))
        return
    store = mof_store()
    record = Record(chosen.output / "cgcnn.json", store)
    points = list(_points(store, chosen.gigabytes, record))
    draw(points, store.dataset, BATCH, chosen.output / "cgcnn.png")
    console.print(f"Figure and numbers in {shown(chosen.output)}")


def mof_store() -> GraphStore:
    """Return hMOF where the mirror is at hand, else as many frameworks of CoRE MOF."""
    for name in ("hmof", "coremof"):
        try:
            obtained = obtain(get_dataset(name), dataset_folder(name) / "raw")
        except SourceError:
            continue
        settings = DatasetSettings(graph=GRAPH, sample=Sample(size=300, seed=0))
        request = BuildRequest(load_card(name), obtained.source, obtained.paths, settings)
        with local_executor(available_cores()) as executor:
            build_store(request, STORE, executor, accept_quarantined=True)
        return open_store(STORE)
    raise SourceError("neither hMOF nor CoRE MOF can be had: set MOLCRYST_MIRROR")


def measure(name: str, rows: list[int]) -> dict[str, float]:
    """Train a model on one batch, in a process that does nothing else.

    Returns:
        the median ``seconds`` of the processor that a step takes on one thread, which other load
        does not change, and the ``bytes`` by which steps raised the most that was resident, each
        for one structure.
    """
    torch.set_num_threads(1)
    torch.manual_seed(0)
    store = open_store(STORE)
    batch = store.graphs.select(rows)
    model = create_model(name)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    _step(model, optimizer, store.graphs.select([int(store.graphs.atoms.argmin())] * 2))
    before = _status("VmRSS")
    _step(model, optimizer, batch)
    taken: list[float] = []
    while len(taken) < STEPS or sum(taken) < SECONDS:
        start = time.process_time()
        _step(model, optimizer, batch)
        taken.append(time.process_time() - start)
    raised = max(_status("VmHWM") - before, 0)
    return {"seconds": statistics.median(taken) / len(rows), "bytes": raised / len(rows)}


def _step(model: torch.nn.Module, optimizer: torch.optim.Optimizer, batch: Any) -> None:
    optimizer.zero_grad()
    prediction = model(batch).prediction
    F.l1_loss(prediction, torch.zeros_like(prediction)).backward()
    optimizer.step()


def _points(store: GraphStore, gigabytes: float, record: Record) -> Iterator[dict[str, Any]]:
    """Measure each form on growing batches, until the next one would take too much memory."""
    batches = list(_batches(store.graphs.atoms.numpy()))
    with counted("Training steps") as progress:
        for number, model in enumerate(FORMS):
            atoms, taken = 1, 0.0
            for step, rows in enumerate(batches):
                largest = int(store.graphs.atoms[rows].max())
                if taken * (largest / atoms) ** 2 > gigabytes * 1e9:  # as matrices grow
                    break
                point = record.measured(Task(model, rows, largest))
                atoms, taken = largest, point["bytes"] * BATCH
                yield point
                progress(number * len(batches) + step + 1, len(FORMS) * len(batches))


def _batches(atoms: np.ndarray) -> Iterator[list[int]]:
    """Choose batches: the largest structure up to a size, and others spread over all smaller ones.

    Args:
        atoms: (graphs,) of each structure.
    """
    order = np.argsort(atoms, kind="stable")
    ends = np.unique([np.searchsorted(atoms[order], size, side="right") for size in SIZES])
    for end in ends[ends >= BATCH]:
        yield order[np.linspace(0, end - 1, BATCH).round().astype(int)].tolist()


def _in_fresh_process(task: Task) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.cgcnn", "--measure", task.model]
    command += [str(row) for row in task.rows]
    # Memory goes back to the system at once: what is resident is what is in use.
    environment = {**os.environ, "MALLOC_TRIM_THRESHOLD_": "0", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return {"model": task.model, "largest": task.largest, **json.loads(done.stdout)}


def _status(field: str) -> int:
    """Return a size in bytes that Linux tells of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status does not tell {field}")


def _machine() -> dict[str, object]:
    return {
        "processor": platform.machine(),
        "threads": 1,
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


if __name__ == "__main__":
    main()
