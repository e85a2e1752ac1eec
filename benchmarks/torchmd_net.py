"""TorchMD-NET against the package of its authors: same sizes, same molecules."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from ase.build import molecule
from torch import Tensor, nn
from torch.nn import functional as F
from torchmdnet.models.model import create_model as create_reference

from benchmarks.compare import Row, compare
from benchmarks.data import qm9_store
from benchmarks.machine import product_gflops
from molcryst_bench.graphs.loader import GraphLoader
from molcryst_bench.graphs.neighbors import GraphSpec
from molcryst_bench.graphs.single import build_batch
from molcryst_bench.models.compiled import CompiledEnergyAndForces
from molcryst_bench.models.forces import energy_and_forces
from molcryst_bench.models.registry import create_model

WIDTH, LAYERS, HEADS, BASIS, CUTOFF = 128, 6, 8, 32, 5.0  # as published for MD17
PEER = "torchmd-net 3.1, which searches its own neighbours"


def rows() -> list[Row]:
    """Return the rows on TorchMD-NET; what is compiled has a row beside that without."""
    return [
        _one_molecule(compiled=False),
        _one_molecule(compiled=True),
        _training_on_energies(),
        _training_on_forces(8),  # as published
        _training_on_forces(16),
    ]


def _one_molecule(compiled: bool) -> Row:
    batch = _ethanol(1)
    ours, theirs = _ours().requires_grad_(False), _theirs(derivative=True).eval()
    forces = CompiledEnergyAndForces(ours) if compiled else partial(energy_and_forces, ours)
    seconds = _seconds_to_compile(lambda: forces(batch))
    return _compare(
        f"TorchMD-NET, energy and forces of one ethanol{_COMPILED * compiled}",
        [batch],
        products=2,
        ours=lambda: _repeat(lambda: forces(batch)),
        theirs=lambda: _repeat(lambda: theirs(batch.z, batch.pos.clone(), batch.batch)),
        calls=_CALLS,
        rest=f"compiled in {seconds:.0f} s before; products of few rows hold the rest"
        if compiled
        else "calls of operators, each on a few kilobytes, hold the rest",
    )


def _training_on_energies() -> Row:
    graphs = qm9_store().graphs.with_targets(["homo"])
    batches = list(GraphLoader(graphs, torch.arange(256), 64, shuffle=False, seed=0))
    ours, theirs = _ours(), _theirs(derivative=False)
    losses: list[Callable[[Any], Tensor]] = [
        lambda batch: F.l1_loss(ours(batch).prediction[:, 0], batch.targets["homo"].float()),
        lambda batch: F.l1_loss(
            theirs(batch.z.long(), batch.pos, batch.batch)[0][:, 0], batch.targets["homo"].float()
        ),
    ]
    return _compare(
        "TorchMD-NET, training on QM9, 64 in a batch",
        batches,
        products=3,
        ours=_epoch(ours, losses[0], batches),
        theirs=_epoch(theirs, losses[1], batches),
        rest="products of features on edges, in and out of the cache, hold the rest",
    )


def _training_on_forces(molecules: int) -> Row:
    batch = _ethanol(molecules)
    energies, forces = torch.randn(molecules), torch.randn(batch.num_nodes, 3)
    ours, theirs = _ours(), _theirs(derivative=True).train()

    def loss(energy: Tensor, force: Tensor) -> Tensor:
        return 0.2 * F.mse_loss(energy, energies) + 0.8 * F.mse_loss(force, forces)

    def our_loss(batch: Any) -> Tensor:
        return loss(*energy_and_forces(ours, batch, create_graph=True))

    def their_loss(batch: Any) -> Tensor:
        energy, force = theirs(batch.z, batch.pos.clone(), batch.batch)
        return loss(energy[:, 0], force)

    return _compare(
        f"TorchMD-NET, training on forces of ethanol, {molecules} in a batch",
        [batch],
        products=6,
        ours=_epoch(ours, our_loss, [batch]),
        theirs=_epoch(theirs, their_loss, [batch]),
        rest="loops over edges, and filters that do not fit the cache, hold the rest",
    )


_COMPILED = ", compiled"


def _seconds_to_compile(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


_CALLS = 20  # in a round, of what takes milliseconds


def _repeat(call: Callable[[], object]) -> None:
    for _ in range(_CALLS):
        call()


def _epoch(
    model: nn.Module, loss: Callable[[Any], Tensor], batches: Sequence[Any]
) -> Callable[[], None]:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)

    def run() -> None:
        for batch in batches:
            optimizer.zero_grad()
            loss(batch).backward()
            optimizer.step()

    return run


def _compare(
    name: str,
    batches: Sequence[Any],
    products: int,
    ours: Callable[[], object],
    theirs: Callable[[], object],
    rest: str,
    calls: int = 1,
) -> Row:
    """Compare in graphs per second; derivatives make ``products`` of each product of matrices."""
    peak, work = product_gflops(), products * _gigaflops_per_graph(batches)
    graphs = sum(batch.num_graphs for batch in batches)
    return compare(
        name,
        PEER,
        "graphs/s",
        calls * graphs,
        ours,
        theirs,
        limit=lambda rate: f"{100 * rate * work / peak:.0f} % of {peak:.0f} Gflop/s; {rest}",
    )


def _gigaflops_per_graph(batches: Sequence[Any]) -> float:
    """Return the operations of the matrix products of all layers, forward."""
    graphs = sum(batch.num_graphs for batch in batches)
    pairs = sum(batch.num_edges for batch in batches) / 2 / graphs
    atoms = sum(batch.num_nodes for batch in batches) / graphs
    filters = pairs * BASIS * 4 * WIDTH
    features = atoms * (5 + 3 + 3 * 3) * WIDTH**2
    return 2 * LAYERS * (filters + features) / 1e9


def _ethanol(copies: int) -> Any:
    molecules = [molecule("CH3CH2OH") for _ in range(copies)]
    for seed, atoms in enumerate(molecules):
        atoms.rattle(0.05, seed=seed)
    batch = build_batch(molecules, GraphSpec(cutoff=CUTOFF))
    batch.z = batch.z.long()
    return batch


def _ours() -> nn.Module:
    return create_model(
        "torchmd_net", width=WIDTH, layers=LAYERS, heads=HEADS, basis=BASIS, cutoff=CUTOFF
    )


def _theirs(derivative: bool) -> nn.Module:
    reference: nn.Module = create_reference(reference_settings(derivative))
    return reference


def reference_settings(derivative: bool) -> dict[str, Any]:
    """Return the sizes for the package of its authors."""
    return {
        "model": "equivariant-transformer",
        "precision": 32,
        "embedding_dimension": WIDTH,
        "num_layers": LAYERS,
        "num_rbf": BASIS,
        "rbf_type": "expnorm",
        "trainable_rbf": False,
        "activation": "silu",
        "attn_activation": "silu",
        "neighbor_embedding": True,
        "num_heads": HEADS,
        "distance_influence": "both",
        "cutoff_lower": 0.0,
        "cutoff_upper": CUTOFF,
        "max_z": 100,
        "max_num_neighbors": 64,
        "derivative": derivative,
        "atom_filter": -1,
        "prior_model": None,
        "output_model": "Scalar",
        "reduce_op": "sum",
        "vector_cutoff": True,
    }
