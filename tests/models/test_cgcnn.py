"""CGCNN against the paper's equation 5, written plainly, and its two forms against each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from ase.neighborlist import neighbor_list
from batches import CUTOFF, batch_of, structures
from torch import Tensor, nn

from molcryst_bench.models.cgcnn import CGCNN
from molcryst_bench.models.components.adjacency import AdjacencyMatrix
from molcryst_bench.models.components.element_features import element_features
from molcryst_bench.models.forces import energy_and_forces
from molcryst_bench.models.interface import Purpose
from molcryst_bench.models.registry import create_model

WIDTH, STEP = 8, 0.4
SIZES = {"width": WIDTH, "convolutions": 2, "hidden_width": 6, "hidden_layers": 2, "step": STEP}
VARIANTS = [
    {},
    {"readout": "sum"},
    {"smooth": True},
    {"batch_norm": False},
    {"smooth": True, "batch_norm": False, "readout": "sum"},
]
PUBLISHED_AND_ENERGIES = [VARIANTS[0], VARIANTS[-1]]


def cgcnn(name: str = "cgcnn", **more: Any) -> CGCNN:
    """A small model with random weights and statistics, which name and settings do not change."""
    model = create_model(name, **{**SIZES, "cutoff": CUTOFF, **more}).double()
    assert isinstance(model, CGCNN)
    generator = torch.Generator().manual_seed(7)
    for key, values in model.state_dict().items():
        if values.is_floating_point():
            random = torch.randn(values.shape, generator=generator, dtype=torch.float64) * 0.5
            values.copy_(random.exp() if key.endswith("running_var") else random)
    return model.eval()


def predict(model: CGCNN, atoms: list[Atoms], max_neighbors: int | None = None) -> Tensor:
    with torch.no_grad():
        return model(batch_of(atoms, max_neighbors)).prediction


def softplus(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(x, 0)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


class Loop:
    """Equation 5 atom by atom and neighbour by neighbour, with ASE's neighbours."""

    def __init__(self, model: CGCNN) -> None:
        self.weights = {key: value.numpy() for key, value in model.state_dict().items()}
        self.settings = model.hyperparameters.model_dump()

    def __call__(self, atoms: Atoms) -> np.ndarray:
        v = element_features().numpy()[atoms.numbers] @ self.weights["embedding.weight"].T
        v = v + self.weights["embedding.bias"]
        for number in range(self.settings["convolutions"]):
            v = self.convolution(v, atoms, f"convolutions.{number}")
        if self.settings["readout"] == "mean":
            return self.head(v.mean(axis=0))
        return np.sum([self.head(row) for row in v], axis=0)

    def convolution(self, v: np.ndarray, atoms: Atoms, name: str) -> np.ndarray:
        weight, bias = self.weights[f"{name}.full.weight"], self.weights[f"{name}.full.bias"]
        sums = np.zeros_like(v)
        for i, j, distance in zip(*neighbor_list("ijd", atoms, CUTOFF), strict=True):
            u = np.exp(-(((distance - np.arange(0, CUTOFF + STEP / 2, STEP)) / STEP) ** 2))
            product = self.norm(
                weight @ np.concatenate([v[i], v[j], u]) + bias, f"{name}.norm_gated"
            )
            message = sigmoid(product[:WIDTH]) * softplus(product[WIDTH:])
            if self.settings["smooth"]:
                message = message * 0.5 * (np.cos(np.pi * distance / CUTOFF) + 1)
            sums[i] += message
        return np.array(
            [softplus(v[i] + self.norm(sums[i], f"{name}.norm_sum")) for i in range(len(v))]
        )

    def norm(self, x: np.ndarray, name: str) -> np.ndarray:
        if not self.settings["batch_norm"]:
            return x
        mean, variance, weight, bias = (
            self.weights[f"{name}.{part}"]
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / np.sqrt(variance + 1e-5) * weight + bias

    def head(self, x: np.ndarray) -> np.ndarray:
        x = softplus(x)
        for layer in ("hidden.1", "hidden.3"):
            x = softplus(self.weights[f"{layer}.weight"] @ x + self.weights[f"{layer}.bias"])
        return self.weights["head.weight"] @ x + self.weights["head.bias"]


@pytest.mark.parametrize("settings", VARIANTS, ids=str)
def test_equals_a_loop_over_atoms_and_neighbours(settings: dict[str, Any]) -> None:
    model = cgcnn(**settings)
    expected = np.array([Loop(model)(atoms) for atoms in structures()])
    np.testing.assert_allclose(predict(model, structures()), expected, rtol=1e-6, atol=1e-6)


class Plain(nn.Module):
    """A convolution on directed edges that concatenates, with PyTorch's own normalisation."""

    def __init__(self, gaussians: int) -> None:
        super().__init__()
        self.full = nn.Linear(2 * WIDTH + gaussians, 2 * WIDTH)
        self.norm_gated = nn.BatchNorm1d(2 * WIDTH)
        self.norm_sum = nn.BatchNorm1d(WIDTH)

    def forward(self, v: Tensor, edge_index: Tensor, u: Tensor) -> Tensor:
        j, i = edge_index
        z = self.norm_gated(self.full(torch.cat([v[i], v[j], u], dim=1)))
        messages = z[:, :WIDTH].sigmoid() * nn.functional.softplus(z[:, WIDTH:])
        sums = torch.zeros_like(v).index_add(0, i, messages)
        return nn.functional.softplus(v + self.norm_sum(sums))


@pytest.mark.parametrize("name", ["cgcnn", "cgcnn_matrix"])
def test_training_equals_the_plain_formulation(name: str) -> None:
    """With batch statistics: values, gradients, and what the running statistics become."""
    ours = cgcnn(name).train()
    convolution = ours.convolutions[0]
    plain = Plain(round(CUTOFF / STEP) + 1).double()
    plain.load_state_dict(convolution.state_dict())
    batch = batch_of(structures())
    adjacency = ours.adjacency(batch)
    vector = batch.pos[batch.edge_index[1]] - batch.pos[batch.edge_index[0]]
    graph = batch.batch[batch.edge_index[0]]
    vector = vector + torch.einsum("ek,ekl->el", batch.edge_shift.double(), batch.cell[graph])
    generator = torch.Generator().manual_seed(1)
    v = torch.randn(len(batch.z), WIDTH, generator=generator, dtype=torch.float64)
    mine, theirs = v.clone().requires_grad_(), v.clone().requires_grad_()
    value = convolution(mine, adjacency, ours.basis(adjacency.distance), None)
    expected = plain(theirs, batch.edge_index, ours.basis(vector.norm(dim=1)))
    torch.testing.assert_close(value, expected, rtol=1e-9, atol=1e-9)
    value.square().sum().backward()
    expected.square().sum().backward()
    torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-8, atol=1e-8)
    for weight, other in zip(convolution.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(weight.grad, other.grad, rtol=1e-8, atol=1e-8)
    for buffer, other in zip(convolution.buffers(), plain.buffers(), strict=True):
        torch.testing.assert_close(buffer, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("settings", PUBLISHED_AND_ENERGIES, ids=str)
@pytest.mark.parametrize("max_neighbors", [None, 5], ids=["radius", "nearest"])
@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
def test_list_and_matrix_give_the_same(
    settings: dict[str, Any], max_neighbors: int | None, training: bool
) -> None:
    atoms = [each for each in structures() if max_neighbors is None or len(each) > max_neighbors]
    batch = batch_of(atoms, max_neighbors)
    as_list = create_model("cgcnn", **SIZES, cutoff=CUTOFF, **settings).double()
    as_matrix = create_model("cgcnn_matrix", **SIZES, cutoff=CUTOFF, **settings).double()
    as_matrix.load_state_dict(as_list.state_dict())
    for model in (as_list, as_matrix):
        model.train(training)
        energy_and_forces(model, batch, create_graph=True).forces.square().sum().backward()
    for one, other in zip(as_list(batch), as_matrix(batch), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-8)
    for one, other in zip(as_list.parameters(), as_matrix.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-8, atol=1e-8)
    for key, value in as_list.state_dict().items():
        torch.testing.assert_close(value, as_matrix.state_dict()[key], rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("settings", PUBLISHED_AND_ENERGIES, ids=str)
def test_list_and_matrix_give_the_same_in_single_precision(settings: dict[str, Any]) -> None:
    batch = batch_of(structures())
    batch.pos, batch.cell = batch.pos.float(), batch.cell.float()
    one, other = (cgcnn(name, **settings).float() for name in ("cgcnn", "cgcnn_matrix"))
    torch.testing.assert_close(one(batch).prediction, other(batch).prediction, rtol=1e-5, atol=1e-5)


def test_a_matrix_holds_every_image_once() -> None:
    batch = batch_of(structures())
    matrix = AdjacencyMatrix(batch)
    assert matrix.mask.sum() == matrix.edges == batch.num_edges
    copper = matrix.mask[-1]
    assert copper.sum() == copper[0, 0].sum() == 18, "all are its own images"
    distances = neighbor_list("d", structures()[-1], CUTOFF)
    held = matrix.distance[-1][copper]
    np.testing.assert_allclose(np.sort(held), np.sort(distances), rtol=1e-6)


@pytest.mark.parametrize("name", ["cgcnn", "cgcnn_matrix"])
def test_without_a_cutoff_function_the_energy_jumps(name: str) -> None:
    """The reason why tasks with energies ask for one."""
    near, far = (
        Atoms("CO", positions=[[0, 0, 0], [CUTOFF + offset, 0, 0]]) for offset in (-1e-5, 1e-5)
    )
    assert abs(predict(cgcnn(name), [near]) - predict(cgcnn(name), [far])).item() > 1e-4


@pytest.mark.parametrize("name", ["cgcnn", "cgcnn_matrix"])
def test_the_task_decides(name: str) -> None:
    model = type(cgcnn(name))
    energy = {"readout": "sum", "smooth": True, "batch_norm": False, "cutoff": 5.0}
    assert model.hyperparameters_for(Purpose(True, True, False, cutoff=5.0)) == energy
    published = create_model(name).hyperparameters.model_dump()
    preset = model.hyperparameters_for(Purpose(False, False, True, cutoff=8.0))
    assert {**published, **preset} == published


@pytest.mark.parametrize("name", ["cgcnn", "cgcnn_matrix"])
def test_a_lone_atom_can_be_trained_on(name: str) -> None:
    model = cgcnn(name).train()
    before = {key: value.clone() for key, value in model.named_buffers()}
    model(batch_of([Atoms("He")])).prediction.sum().backward()
    assert all(torch.equal(value, before[key]) for key, value in model.named_buffers())


@pytest.mark.parametrize("name", ["cgcnn", "cgcnn_matrix"])
@pytest.mark.parametrize("settings", PUBLISHED_AND_ENERGIES, ids=str)
def test_mixed_precision(name: str, settings: dict[str, Any]) -> None:
    batch = batch_of(structures())
    batch.pos, batch.cell = batch.pos.float(), batch.cell.float()
    model = cgcnn(name, **settings).float().train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = model(batch).prediction
        half.sum().backward()
    assert half.dtype == torch.float32
    assert all(w.grad is not None and w.grad.isfinite().all() for w in model.parameters())
    whole = model(batch).prediction
    scale = whole.abs().max()
    assert (half - whole).abs().max() < 0.03 * scale


GOLDEN = {
    "published": [0.9710937334254661, 1.014529868524086],
    "for energies": [-12.837808327021524, -5.145874673016353],
}


@pytest.mark.parametrize("name", ["cgcnn", "cgcnn_matrix"])
@pytest.mark.parametrize("kind", GOLDEN)
def test_golden_values(name: str, kind: str) -> None:
    """A change of library or code that changes numbers is seen here."""
    energies = {"readout": "sum", "smooth": True, "batch_norm": False}
    model = cgcnn(name, **(energies if kind == "for energies" else {}))
    predicted = predict(model, [molecule("CH3CH2OH"), structures()[3]])[:, 0]
    expected = torch.tensor(GOLDEN[kind], dtype=torch.float64)
    torch.testing.assert_close(predicted, expected, rtol=1e-6, atol=1e-6)
