from __future__ import annotations

import json
from pathlib import Path

import crystals
import numpy as np
import pytest
import torch
import zarr
from ase import Atoms
from handmade import Molecule

from molcryst_bench.base.errors import StoreError
from molcryst_bench.base.executors import InlineExecutor
from molcryst_bench.graphs import writer
from molcryst_bench.graphs.build import BuildRequest, DatasetSettings, build_store
from molcryst_bench.graphs.neighbors import GraphSpec
from molcryst_bench.graphs.single import build_graph
from molcryst_bench.graphs.store import GraphStore, open_store

pytestmark = pytest.mark.filterwarnings("ignore:Consolidated metadata")


def build_crystals(folder: Path, spec: GraphSpec, shard_bytes: int = 1 << 20) -> GraphStore:
    source = crystals.CrystalSource()
    (folder / "crystals.txt").write_text("made up")
    paths = {"crystals.txt": folder / "crystals.txt"}
    request = BuildRequest(crystals.CARD, source, paths, DatasetSettings(graph=spec))
    build_store(request, folder / "store.zarr", InlineExecutor(), shard_bytes)
    return open_store(folder / "store.zarr")


def test_a_graph_of_the_store_is_the_graph_of_its_atoms(
    tiny_store: GraphStore, molecules: list[Molecule]
) -> None:
    assert len(tiny_store) == len(molecules)
    for index, molecule in enumerate(molecules):
        atoms = Atoms(molecule.symbols, positions=np.float64(molecule.positions))
        check_same(tiny_store[index], build_graph(atoms, cutoff=5.0))


def test_a_store_without_a_single_edge_can_be_read(tmp_path: Path) -> None:
    store = build_crystals(tmp_path, GraphSpec(cutoff=0.5))
    assert [store[index].num_edges for index in range(len(store))] == [0] * 8
    assert store.graphs.select(range(8)).edge_index.shape == (2, 0)


@pytest.mark.parametrize("most", [None, 12])
def test_a_periodic_graph_of_the_store_is_the_graph_of_its_atoms(
    tmp_path: Path, most: int | None
) -> None:
    store = build_crystals(tmp_path, GraphSpec(cutoff=4.0, max_neighbors=most))
    for index, atoms in enumerate(crystals.structures()):
        graph, expected = store[index], build_graph(atoms, cutoff=4.0, max_neighbors=most)
        assert graph.targets["energy"].tolist() == [-float(index)]
        if atoms.pbc.any():
            assert torch.equal(graph.cell, expected.cell)
            assert torch.equal(graph.edge_shift, expected.edge_shift)
        check_same(graph, expected)


def check_same(graph: object, expected: object) -> None:
    for name in ("z", "pos", "edge_index"):
        assert torch.equal(graph[name], expected[name]), name  # type: ignore[index]
    assert graph.symmetric == expected.symmetric  # type: ignore[attr-defined]


def test_edges_of_a_molecule_are_all_pairs_within_the_cutoff(
    tiny_store: GraphStore, molecules: list[Molecule]
) -> None:
    """The same by brute force, without any code of the package."""
    for index, molecule in enumerate(molecules):
        positions = np.float32(np.float64(molecule.positions)).astype(np.float64)
        distances = np.linalg.norm(positions[:, None] - positions[None], axis=-1)
        near = {(int(i), int(j)) for i, j in np.argwhere(distances < 5.0) if i != j}
        edges = tiny_store[index].edge_index.T.tolist()
        assert len(edges) == len(near)
        assert {(i, j) for i, j in edges} == near


@pytest.mark.parametrize("index", [80, -81, 10**9])
def test_a_graph_that_is_not_there_is_an_index_error(tiny_store: GraphStore, index: int) -> None:
    with pytest.raises(IndexError):
        tiny_store[index]


def test_a_negative_index_counts_from_the_end(tiny_store: GraphStore) -> None:
    assert torch.equal(tiny_store[-1].pos, tiny_store[79].pos)
    assert torch.equal(tiny_store[-80].pos, tiny_store[0].pos)


def test_a_store_is_iterable_and_ends(tiny_store: GraphStore) -> None:
    assert sum(len(graph.z) for graph in tiny_store) == len(tiny_store.read("nodes/position"))


def test_arrays_are_flat_and_as_small_as_they_can_be(tmp_path: Path) -> None:
    store = build_crystals(tmp_path, GraphSpec(cutoff=4.0))
    counts = [len(atoms) for atoms in crystals.structures()]
    assert np.diff(store.read("graphs/node_offset")).tolist() == counts
    assert max(counts) == 300
    assert store.read("edges/sender").dtype == np.uint16
    assert store.read("edges/shift").dtype == np.int8
    assert store.read("nodes/atomic_number").dtype == np.uint8
    np.testing.assert_array_equal(
        store.read("graphs/cell"), [atoms.cell.array for atoms in crystals.structures()]
    )
    np.testing.assert_array_equal(
        store.read("graphs/pbc"), [atoms.pbc for atoms in crystals.structures()]
    )


def test_small_molecules_need_one_byte_for_an_atom(tiny_store: GraphStore) -> None:
    assert tiny_store.read("edges/receiver").dtype == np.uint8
    assert not tiny_store.read("edges/shift").any()


def test_a_store_knows_units_and_origin(tiny_store: GraphStore) -> None:
    assert tiny_store.targets["homo"].unit == "eV"
    assert tiny_store.targets["charge"].level == "node"
    provenance = tiny_store.attributes["provenance"]
    assert provenance["source"] == "wheel"
    assert all(len(checksum) == 64 for checksum in provenance["raw_sha256"].values())


@pytest.mark.parametrize("name", ["edges/shift", "nodes/position", "graphs/id", "graphs/cell"])
def test_blocks_of_rows_are_those_that_zarr_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """In shards of a few chunks, whether a shard is wanted as a whole or a row of it."""
    monkeypatch.setattr(writer, "CHUNK_BYTES", 32)
    store = build_crystals(tmp_path, GraphSpec(cutoff=2.0), shard_bytes=96)
    whole = zarr.open_group(store.path, mode="r")[name][:]
    assert len(list(Path(store.path, name).rglob("*"))) > 3
    generator = np.random.default_rng(0)
    for count in (0, 1, 2, 5):
        bounds = np.sort(generator.integers(0, len(whole) + 1, 2 * count)).reshape(-1, 2).tolist()
        blocks = [slice(start, stop) for start, stop in bounds]
        expected = [whole[:0], *(whole[block] for block in blocks)]
        np.testing.assert_array_equal(store.read_blocks(name, blocks), np.concatenate(expected))
    np.testing.assert_array_equal(store.read(name), whole)


# ------------------------------------------------------------------ damage


def test_reading_a_damaged_array_names_it(tiny_store: GraphStore) -> None:
    shard = Path(tiny_store.path, "targets/homo/c/0")
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 0xFF
    shard.write_bytes(content)
    with pytest.raises(StoreError, match="targets/homo/c/0: is damaged"):
        open_store(tiny_store.path).read("targets/homo")


def test_a_missing_array_is_named(tiny_store: GraphStore) -> None:
    with pytest.raises(StoreError, match="targets/band_gap"):
        tiny_store.read("targets/band_gap")


@pytest.mark.parametrize("version", [0, 1, 3, "2", None])
def test_another_schema_version_is_refused_with_what_to_do(
    tiny_store: GraphStore, version: object
) -> None:
    metadata = Path(tiny_store.path, "zarr.json")
    content = json.loads(metadata.read_text())
    content["attributes"]["schema_version"] = version
    metadata.write_text(json.dumps(content))
    with pytest.raises(StoreError, match=f"schema version {version}.*molcryst data build"):
        open_store(tiny_store.path)


@pytest.mark.parametrize("kind", ["nothing", "empty folder", "file", "other zarr", "bad json"])
def test_what_is_not_a_store_is_refused_with_what_to_do(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "store.zarr"
    if kind == "empty folder":
        path.mkdir()
    elif kind == "file":
        path.write_text("no folder")
    elif kind == "other zarr":
        zarr.create_array(path, shape=(3,), dtype="f4")
    elif kind == "bad json":
        path.mkdir()
        (path / "zarr.json").write_text('{"zarr_format": 3')
    with pytest.raises(StoreError, match=r"store\.zarr.*molcryst data build"):
        open_store(path)
