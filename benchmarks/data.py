"""The graphs that benchmarks work on: 20,000 molecules of QM9."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from torch_geometric.data import Data

from molcryst_bench.base.executors import available_cores, local_executor
from molcryst_bench.base.project import dataset_folder
from molcryst_bench.graphs.build import BuildRequest, DatasetSettings, Sample, build_store
from molcryst_bench.graphs.store import GraphStore, open_store
from molcryst_bench.sources.card import load_card
from molcryst_bench.sources.registry import get_dataset, obtain

MOLECULES = 20_000
STORE = Path(__file__).parent / "store.zarr"


@cache
def qm9_store() -> GraphStore:
    """Build the store if it is not there yet."""
    obtained = obtain(get_dataset("qm9"), dataset_folder("qm9") / "raw")
    settings = DatasetSettings(sample=Sample(size=MOLECULES, seed=0))
    request = BuildRequest(load_card("qm9"), obtained.source, obtained.paths, settings)
    with local_executor(available_cores()) as executor:
        build_store(request, STORE, executor)
    return open_store(STORE)


@cache
def qm9_data() -> list[Data]:
    """Return the same graphs as PyG's own objects, with both directions of each edge."""
    store = qm9_store()
    graphs = (store[row] for row in range(len(store)))
    return [
        Data(z=g.z, pos=g.pos, edge_index=g.edge_index.contiguous(), y=g.targets["homo"])
        for g in graphs
    ]
