"""The graphs that benchmarks work on: molecules of QM9 and frameworks of CoRE MOF."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from torch_geometric.data import Data

from molcryst_bench.base.executors import available_cores, local_executor
from molcryst_bench.base.project import dataset_folder
from molcryst_bench.graphs.build import BuildRequest, DatasetSettings, Sample, build_store
from molcryst_bench.graphs.neighbors import GraphSpec
from molcryst_bench.graphs.store import GraphStore, open_store
from molcryst_bench.sources.card import load_card
from molcryst_bench.sources.registry import get_dataset, obtain

MOLECULES = 20_000
FRAMEWORKS = 6_000  # some of which are unusable; several windows of a stream
_HERE = Path(__file__).parent


@cache
def qm9_store() -> GraphStore:
    """Return a store of molecules, built if it is not there yet."""
    return _store("qm9", GraphSpec(), MOLECULES, _HERE / "store.zarr")


@cache
def coremof_store() -> GraphStore:
    """Return a store of frameworks with their nearest neighbours, as CGCNN takes them."""
    spec = GraphSpec(cutoff=8.0, max_neighbors=12)
    return _store("coremof", spec, FRAMEWORKS, _HERE / "coremof-store.zarr")


@cache
def as_data(store: GraphStore) -> list[Data]:
    """Return the same graphs as PyG's own objects, with both directions of each edge."""
    return [_plain(store, row) for row in range(len(store))]


def _plain(store: GraphStore, row: int) -> Data:
    graph = store[row]
    content = {name: graph[name].contiguous() for name in ("z", "pos", "edge_index")}
    if store.periodic:
        content |= {"cell": graph.cell, "edge_shift": graph.edge_shift}
    return Data(**content, **{name: graph.targets[name] for name in list(graph.targets)[:1]})


def _store(dataset: str, graph: GraphSpec, records: int, path: Path) -> GraphStore:
    obtained = obtain(get_dataset(dataset), dataset_folder(dataset) / "raw")
    settings = DatasetSettings(graph=graph, sample=Sample(size=records, seed=0))
    request = BuildRequest(load_card(dataset), obtained.source, obtained.paths, settings)
    with local_executor(available_cores()) as executor:
        build_store(request, path, executor, accept_quarantined=True)
    return open_store(path)
