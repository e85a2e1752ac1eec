"""ROGI of many points beside the package ``rogi``: time and memory, each in a process of its own.

``python -m benchmarks.roughness`` takes about a minute; ``--points`` takes another number.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

POINTS, FEATURES, ROUNDS = 13_400, 128, 2


def main() -> None:
    """Measure both in turn, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=POINTS)
    parser.add_argument("--only", choices=list(_WAYS))
    wanted = parser.parse_args()
    if wanted.only:
        print(json.dumps(_measure(_WAYS[wanted.only], wanted.points)))
        return
    found = {name: [_in_process(name, wanted.points) for _ in range(ROUNDS)] for name in _WAYS}
    for name, runs in found.items():
        print(
            f"{name}: ROGI {runs[0]['rogi']:.12f}, {_best(runs, 'seconds'):.2f} s, "
            f"{_best(runs, 'gigabytes'):.2f} GB at most"
        )
    faster = _best(found["rogi"], "seconds") / _best(found["ours"], "seconds")
    memory = _best(found["ours"], "gigabytes") / _best(found["rogi"], "gigabytes")
    what = f"{wanted.points:,} points of {FEATURES} features"
    print(f"{what}: {faster:.1f} times faster, {memory:.2f} of the memory")


def _ours(x: np.ndarray, y: np.ndarray) -> float:
    import molcryst_bench as mb

    return mb.rogi(x, y)


def _theirs(x: np.ndarray, y: np.ndarray) -> float:
    from rogi import RoughnessIndex

    value: float = RoughnessIndex(Y=y, X=x, metric="euclidean", verbose=False).compute_index()
    return value


_WAYS: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {"ours": _ours, "rogi": _theirs}


def _measure(way: Callable[[np.ndarray, np.ndarray], float], points: int) -> dict[str, float]:
    """Time a way once its code is loaded, and say how much memory the process had at most."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(points, FEATURES))
    y = x[:, 0] + 0.3 * generator.normal(size=points)
    way(x[:200], y[:200])
    start = time.perf_counter()
    value = way(x, y)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # kB on Linux
    return {"rogi": value, "seconds": seconds, "gigabytes": peak}


def _in_process(name: str, points: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.roughness", "--only", name]
    done = subprocess.run([*command, "--points", str(points)], capture_output=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _best(runs: list[dict[str, float]], key: str) -> float:
    return min(run[key] for run in runs)


if __name__ == "__main__":
    main()
