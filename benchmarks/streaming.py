"""Stream an epoch of a store of any size in a fresh process: its speed and its peak memory.

``python -m benchmarks.streaming FOLDER --gigabytes 10`` writes the store into a temporary folder
inside ``FOLDER``, measures, and removes it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.data import qm9_store
from benchmarks.large import write_large_store
from molcryst_bench.cli.console import console, counted
from molcryst_bench.graphs.loader import Loader
from molcryst_bench.graphs.store import GraphStore, open_store
from molcryst_bench.graphs.stream import StreamLoader

BATCH = 128


def main() -> None:
    """Write, measure and remove a store; or, with ``--measure``, measure one that is there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "folder",
        type=Path,
        help="where there is room, made if it is not there; or a store to measure",
    )
    parser.add_argument("--gigabytes", type=float, default=10.0, help="size in memory")
    parser.add_argument("--split", help="stream the training set of this split, not everything")
    parser.add_argument("--measure", action="store_true", help="measure the store in `folder`")
    chosen = parser.parse_args()
    if chosen.measure:
        print(json.dumps(measure(chosen.folder, chosen.split)))
        return
    chosen.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        with counted("Writing a large store") as progress:
            path = write_large_store(qm9_store(), Path(folder), chosen.gigabytes, progress)
        for split in (None, "random"):
            console.print(_described(in_fresh_process(path, split), split))


def measure(path: Path, split: str | None) -> dict[str, Any]:
    """Stream one shuffled epoch and return what it took.

    ``graphs_per_second``, ``peak_gigabytes`` of resident memory of the whole process so far, and
    ``start_gigabytes`` of it before the store was opened, for Python and its libraries.
    """
    torch.set_num_threads(1)
    at_start = _peak_gigabytes()
    store = open_store(path)
    start = time.perf_counter()
    graphs = sum(batch.num_graphs for batch in _stream(store, split))
    return {
        "graphs": graphs,
        "decoded_gigabytes": len(store) * store.bytes_per_graph / 1e9,
        "graphs_per_second": graphs / (time.perf_counter() - start),
        "start_gigabytes": at_start,
        "peak_gigabytes": _peak_gigabytes(),
    }


def _stream(store: GraphStore, split: str | None) -> Loader:
    common: dict[str, Any] = {"batch_size": BATCH, "shuffle": True, "seed": 0, "targets": ["homo"]}
    if split is not None:
        return store.loader(split, "train", stream=True, **common)
    return StreamLoader(store, torch.arange(len(store)), **common)


def in_fresh_process(path: Path, split: str | None) -> dict[str, Any]:
    """Measure in a process whose memory nothing else has touched."""
    command = [sys.executable, "-m", "benchmarks.streaming", "--measure", str(path)]
    command += ["--split", split] if split else []
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def _described(result: dict[str, Any], split: str | None) -> str:
    what = f"the training set of the split '{split}'" if split else "all graphs"
    return (
        f"{what}: {result['graphs']:,} graphs of a store of {result['decoded_gigabytes']:.1f} GB, "
        f"{result['graphs_per_second']:,.0f} graphs/s, {result['peak_gigabytes']:.2f} GB resident "
        f"at most, of which {result['start_gigabytes']:.2f} GB before the store was opened"
    )


def _peak_gigabytes() -> float:
    """Return the most that was resident; a process inherits what ``getrusage`` says of it."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e9
    raise OSError("/proc/self/status does not tell the peak of the resident memory")


if __name__ == "__main__":
    main()
