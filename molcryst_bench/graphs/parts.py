"""Parts: a few thousand records as flat arrays, made by one worker, kept until all are done."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols, covalent_radii

from molcryst_bench.base.files import whole_file
from molcryst_bench.graphs.neighbors import Edges, GraphSpec, find_edges
from molcryst_bench.sources.card import Card
from molcryst_bench.sources.record import (
    BadRecordError,
    Quarantined,
    RawRecord,
    Record,
    Source,
)

CLOSEST_APPROACH = 0.4  # Å; the shortest bond, in H2, has 0.74
Part = dict[str, np.ndarray]


class _Graph(NamedTuple):
    record: Record
    edges: Edges


def write_part(
    path: Path,
    raws: Sequence[RawRecord],
    source: Source,
    spec: GraphSpec,
    card: Card,
) -> list[Quarantined]:
    """Parse raw records, find their edges and write them as one part; return the unusable ones."""
    graphs, quarantined = [], []
    for raw in raws:
        try:
            graphs.append(_build(source.parse(raw), spec, card))
        except BadRecordError as error:
            quarantined.append(Quarantined(raw.file, raw.id, str(error)))
    with whole_file(path) as partial, partial.open("wb") as file:
        np.savez(file, allow_pickle=False, **_flatten(graphs, card), **_as_arrays(quarantined))
    return quarantined


def read_quarantined(path: Path) -> list[Quarantined]:
    """Return the records that a finished part has set aside."""
    with np.load(path, allow_pickle=False) as part:
        return [Quarantined(*map(str, row)) for row in part["quarantined"]]


def _build(record: Record, spec: GraphSpec, card: Card) -> _Graph:
    _check_values(record, card)
    edges = find_edges(record.atoms, spec)
    if len(edges.distance):
        _check_distances(edges, record.atoms.numbers, card.closest_contact)
    return _Graph(record, edges)


def _check_distances(edges: Edges, numbers: np.ndarray, contact: float) -> None:
    if edges.distance.min() < CLOSEST_APPROACH:
        raise BadRecordError(f"two atoms are {edges.distance.min():.3f} Å apart")
    bond = covalent_radii[numbers[edges.sender]] + covalent_radii[numbers[edges.receiver]]
    worst = int(np.argmin(edges.distance / bond))
    if edges.distance[worst] < contact * bond[worst]:
        ends = (edges.sender[worst], edges.receiver[worst])
        pair = " and ".join(chemical_symbols[numbers[end]] for end in ends)
        limit = f"{contact:g} of the sum of their covalent radii"
        raise BadRecordError(f"{pair} are {edges.distance[worst]:.3f} Å apart, under {limit}")


def _flatten(graphs: Sequence[_Graph], card: Card) -> Part:
    atoms: list[Atoms] = [graph.record.atoms for graph in graphs]
    edges = [graph.edges for graph in graphs]
    part = {
        "graphs/id": np.array([graph.record.id for graph in graphs], dtype=str),
        "graphs/cell": np.array([a.cell.array for a in atoms], np.float64).reshape(-1, 3, 3),
        "graphs/pbc": np.array([a.pbc for a in atoms], bool).reshape(-1, 3),
        "nodes/count": np.array([len(a) for a in atoms], np.int64),
        "nodes/atomic_number": _join([a.numbers for a in atoms], np.uint8, ()),
        "nodes/position": _join([a.positions for a in atoms], np.float32, (3,)),
        "edges/count": np.array([len(e.sender) for e in edges], np.int64),
        "edges/sender": _join([e.sender for e in edges], np.uint32, ()),
        "edges/receiver": _join([e.receiver for e in edges], np.uint32, ()),
        "edges/shift": _join([e.shift for e in edges], np.int8, (3,)),
    }
    for name, target in card.targets.items():
        values = [np.atleast_1d(graph.record.targets[name]) for graph in graphs]
        part[f"targets/{name}"] = _join(values, np.float64, target.row_shape)
    for name in card.features:
        values = [np.atleast_1d(graph.record.features[name]) for graph in graphs]
        part[f"features/{name}"] = _join(values, np.float64, ())
    return part


def _check_values(record: Record, card: Card) -> None:
    """A target that is not finite is refused, unless the card says that records may lack it."""
    for name, target in card.targets.items():
        values = np.asarray(record.targets[name], np.float64)
        rows = (len(record.atoms),) if target.level == "node" else ()
        if values.shape != (*rows, *target.row_shape):
            raise BadRecordError(f"{name} has {values.size} numbers")
        if not (np.isfinite(values).all() or (target.optional and np.isnan(values).all())):
            raise BadRecordError(f"{name} is not finite")


def _join(arrays: Sequence[np.ndarray], dtype: type, row: tuple[int, ...]) -> np.ndarray:
    return np.concatenate([np.empty((0, *row), dtype), *arrays]).astype(dtype, copy=False)


def _as_arrays(quarantined: Sequence[Quarantined]) -> Part:
    return {"quarantined": np.array(quarantined, dtype=str).reshape(-1, 3)}
