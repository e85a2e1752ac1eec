"""MPNN against loops over atoms from the paper's equations, its parts against plain forms."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
import torch
from ase.build import molecule
from batches import CUTOFF, batch_of, structures
from hypothesis import given, settings
from plain_loops import Neighbours, Weights, assert_equals_loop, random_model
from torch import Tensor
from torch_geometric.nn.aggr import Set2Set as ReferenceSet2Set

from molcryst_bench.models.components.blocks import NeighborBlocks
from molcryst_bench.models.components.neighbors import Neighbors
from molcryst_bench.models.components.padding import Padding
from molcryst_bench.models.components.set2set import Set2Set
from molcryst_bench.models.interface import Purpose
from molcryst_bench.models.mpnn import MPNN, MessagePassing

SIZES = {
    "width": 6,
    "steps": 2,
    "gaussians": 5,
    "edge_width": 4,
    "edge_layers": 2,
    "readings": 3,
    "output_width": 7,
}


def silu(x: Tensor) -> Tensor:
    return x / (1 + torch.exp(-x))


def edge_matrix(weights: Weights, distance: Tensor) -> Tensor:
    """The matrix A of an edge times its cut-off; its last layer has the bias as the last matrix."""
    centers = torch.linspace(0, CUTOFF, SIZES["gaussians"], dtype=torch.float64)
    hidden = torch.exp(-0.5 * ((distance - centers) / (CUTOFF / (SIZES["gaussians"] - 1))) ** 2)
    for layer in weights.parts("edge_network"):
        hidden = silu(layer.apply("0", hidden))
    width = SIZES["width"]
    matrices = weights["matrices.weight"].view(width, SIZES["edge_width"] + 1, width)
    matrix = matrices[:, -1] + sum(hidden[k] * matrices[:, k] for k in range(len(hidden)))
    x = distance / CUTOFF
    return matrix * (1 - 6 * x**5 + 15 * x**4 - 10 * x**3) if x < 1 else 0 * matrix


def gru(weights: Weights, message: Tensor, h: Tensor) -> Tensor:
    """Cho et al. 2014, in the form of torch's documentation."""
    into = (weights["weight_ih"] @ message + weights["bias_ih"]).split(len(h))
    own = (weights["weight_hh"] @ h + weights["bias_hh"]).split(len(h))
    reset, update = (torch.sigmoid(a + b) for a, b in zip(into[:2], own[:2], strict=True))
    return (1 - update) * torch.tanh(into[2] + reset * own[2]) + update * h


def lstm(weights: Weights, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    gates = weights["weight_ih"] @ x + weights["bias_ih"]
    i, f, g, o = (gates + weights["weight_hh"] @ h + weights["bias_hh"]).split(len(h))
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def messages(weights: Weights, h: list[Tensor], neighbours: Neighbours) -> list[Tensor]:
    matrices = [[(j, edge_matrix(weights, d)) for j, d in of_atom] for of_atom in neighbours]
    for _ in range(SIZES["steps"]):
        sums = [sum((a @ h[j] for j, a in of_atom), 0 * h[0]) for of_atom in matrices]
        h = [gru(weights.part("cell"), m, own) for m, own in zip(sums, h, strict=True)]
    return h


def read(weights: Weights, x: list[Tensor]) -> Tensor:
    """Set2Set: Vinyals et al. 2016, equations 3 to 7."""
    query = memory = torch.zeros_like(x[0])
    result = torch.cat([query, query])
    for _ in range(SIZES["readings"]):
        query, memory = lstm(weights.part("cell"), result, query, memory)
        scores = torch.stack([own @ query for own in x])
        shares = scores.exp() / scores.exp().sum()
        result = torch.cat([query, sum(a * own for a, own in zip(shares, x, strict=True))])
    return result


def predict(weights: Weights, h: list[Tensor], elements: Tensor) -> Tensor:
    """The reading of (h, x), the output network, and the number of atoms times that."""
    embedded = [weights["embedding.weight"][z] for z in elements]
    tuples = [torch.cat(pair) for pair in zip(h, embedded, strict=True)]
    reading = read(weights.part("reader"), [weights.apply("projection", t) for t in tuples])
    return len(h) * weights.apply("head", silu(weights.apply("hidden", reading)))[0]


def energy(weights: Weights, elements: Tensor, neighbours: Neighbours) -> Tensor:
    x = [weights["embedding.weight"][z] for z in elements]
    return predict(weights, messages(weights.part("messages"), x, neighbours), elements)


def test_equals_a_loop_over_atoms_in_energies_and_forces() -> None:
    assert_equals_loop(random_model("mpnn", **SIZES, readout="sum"), energy, structures())


def test_mean_readout_is_the_prediction_of_an_atom() -> None:
    summed, averaged = (random_model("mpnn", **SIZES, readout=r) for r in ("sum", "mean"))
    batch = batch_of(structures())
    atoms = batch.ptr.diff()[:, None]
    torch.testing.assert_close(summed(batch).prediction, averaged(batch).prediction * atoms)
    assert isinstance(summed, MPNN)
    preset = type(summed).hyperparameters_for(Purpose(True, False, False, cutoff=3.0))
    assert preset["readout"] == "sum"


@pytest.mark.parametrize("readout", ["sum", "mean"])
def test_half_precision_ends_in_single(readout: str) -> None:
    model, batch = random_model("mpnn", **SIZES, readout=readout).float(), batch_of(structures())
    batch.pos, batch.cell = batch.pos.float(), batch.cell.float()
    expected = model(batch).prediction
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = model(batch).prediction
    torch.testing.assert_close(half, expected, rtol=0.05, atol=0.05)


def plain_messages(model: MessagePassing, x: Tensor, neighbors: Neighbors) -> Tensor:
    """All edges at once, with a matrix for each."""
    directed = neighbors.directed()
    weight = model._edge_weights(directed.distance)  # (edges, edge width + 1)
    matrices = model.matrices.weight.view(x.shape[1], -1, x.shape[1])
    matrix = torch.einsum("ek,akc->eac", weight, matrices)
    for _ in range(model.steps):
        sent = torch.einsum("eac,ec->ea", matrix, x[directed.sender])
        x = model.cell(directed.collect(sent, len(x)), x)
    return x


@pytest.mark.parametrize("max_neighbors", [None, 1])
def test_messages_equal_those_with_a_matrix_for_each_edge(max_neighbors: int | None) -> None:
    model = random_model("mpnn", **SIZES).messages
    batch = batch_of([molecule("CH3CH2OH"), molecule("H2O")], max_neighbors)
    neighbors = Neighbors.of(batch)
    assert neighbors.paired == (max_neighbors is None)
    x = torch.randn(batch.num_nodes, SIZES["width"], dtype=torch.float64)
    results = []
    for function in (model, lambda *given: plain_messages(model, *given)):
        result = function(x, neighbors)
        results.append((result, *torch.autograd.grad(result.sin().sum(), model.parameters())))
    for ours, plain in zip(*results, strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-10, atol=1e-10)


@st.composite
def edges(draw: st.DrawFn) -> tuple[int, list[tuple[int, int]]]:
    nodes = draw(st.integers(1, 12))
    atom = st.integers(0, nodes - 1)
    return nodes, draw(st.lists(st.tuples(atom, atom), max_size=60))


@given(graph=edges(), paired=st.booleans())
@settings(max_examples=60, deadline=None)
def test_blocks_sum_over_any_edges(graph: tuple[int, list[tuple[int, int]]], paired: bool) -> None:
    nodes, pairs = graph
    sender, receiver = torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2).T
    vector = torch.zeros(len(pairs), 3)
    neighbors = Neighbors(sender, receiver, vector, vector.norm(dim=1), paired)
    directed = neighbors.directed()
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(len(directed.sender), 3, generator=generator, dtype=torch.float64)
    x = torch.randn(nodes, 2, generator=generator, dtype=torch.float64)
    blocks = NeighborBlocks.of(neighbors, nodes)
    outer = blocks.spread(weight).transpose(1, 2) @ blocks.senders(x)  # (blocks, 3, 2)
    expected = torch.zeros(nodes, 3, 2, dtype=torch.float64)
    for edge, (j, i) in enumerate(zip(directed.sender, directed.receiver, strict=True)):
        expected[i] += torch.outer(weight[edge], x[j])
    torch.testing.assert_close(blocks.collect(outer.flatten(1), nodes), expected.flatten(1))


def test_blocks_hold_little_more_than_the_edges() -> None:
    batch = batch_of(structures())
    blocks = NeighborBlocks.of(Neighbors.of(batch), batch.num_nodes)
    assert len(blocks.receiver) <= 1.5 * batch.num_nodes + 1
    assert len(blocks.sender) <= 3 * batch.num_edges


def test_reading_equals_that_of_another_library() -> None:
    batch = batch_of(structures())
    ours, reference = Set2Set(6, steps=4).double(), ReferenceSet2Set(6, 4).double()
    for name, value in ours.cell.named_parameters():
        getattr(reference.lstm, f"{name}_l0").data.copy_(value)
    x = torch.randn(batch.num_nodes, 6, dtype=torch.float64) * 3
    expected = reference(x, batch.batch, dim_size=6)
    torch.testing.assert_close(ours(x, Padding.of(batch)), expected, rtol=1e-10, atol=1e-10)


def test_padding_comes_back_as_it_went() -> None:
    batch = batch_of(structures())
    padding = Padding.of(batch)
    x = torch.arange(1.0, batch.num_nodes * 2 + 1).view(-1, 2)
    padded = padding.pad(x)
    assert padded.shape == (6, 12, 2)
    assert padding.unpad(padded).equal(x)
    assert ((padded != 0).all(2) == padding.present).all()
    assert padding.present.sum(1).equal(batch.ptr.diff())
