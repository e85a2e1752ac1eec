"""What must hold for every model, on molecules and crystals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from batches import CUTOFF, batch_of, structures
from scipy.spatial.transform import Rotation
from torch_geometric.data import Data

from molcryst_bench.models.forces import energy_and_forces
from molcryst_bench.models.interface import GradientModel, Model
from molcryst_bench.models.registry import create_model, get_model_class, list_models

SMALL_MPNN = {
    "width": 16,
    "steps": 2,
    "gaussians": 12,
    "edge_width": 8,
    "edge_layers": 1,
    "readings": 3,
    "output_width": 12,
    "cutoff": CUTOFF,
}
SMALL_CGCNN = {"width": 16, "convolutions": 2, "hidden_width": 12, "cutoff": CUTOFF, "step": 0.4}
SMALL = {
    "cgcnn": SMALL_CGCNN,
    "cgcnn_matrix": SMALL_CGCNN,
    "mpnn": SMALL_MPNN,
    "mpnn_transformer": {**SMALL_MPNN, "layers": 2, "heads": 2, "feedforward": 20},
    "physnet": {
        "width": 16,
        "modules": 2,
        "radial_functions": 12,
        "interaction_residuals": 1,
        "atomic_residuals": 1,
        "cutoff": CUTOFF,
    },
    "schnet": {"width": 16, "interactions": 2, "gaussians": 12, "cutoff": CUTOFF},
    "torchmd_net": {"width": 16, "layers": 2, "heads": 2, "basis": 12, "cutoff": CUTOFF},
}
# The published CGCNN has no cut-off function; tasks with energies ask for one.
SMOOTH = {"cgcnn": {"smooth": True}, "cgcnn_matrix": {"smooth": True}}
# How far a matrix is filled up depends on the edges, which the meta device cannot read.
READS_EDGES = {"cgcnn_matrix"}
TRAINED = [name for name in list_models() if issubclass(get_model_class(name), GradientModel)]


def small_model(name: str, **more: Any) -> Model:
    torch.manual_seed(0)
    model = create_model(name, **{**SMALL.get(name, {}), **more}).double()
    for weights in model.parameters():  # biases begin at zero, which would hide mistakes
        torch.nn.init.normal_(weights, std=0.3)
    return model.eval()  # in training, batch normalisation mixes the graphs of a batch


def predict(model: Model, atoms: Sequence[Atoms]) -> torch.Tensor:
    with torch.no_grad():
        return model(batch_of(atoms)).prediction


def same(a: torch.Tensor, b: torch.Tensor) -> None:
    torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", list_models())
def test_shapes(name: str) -> None:
    batch = batch_of(structures())
    out = small_model(name, targets=3)(batch)
    assert out.prediction.shape == (6, 3)
    assert out.node_features.shape[0] == batch.num_nodes
    assert out.graph_features.shape[0] == 6


@pytest.mark.parametrize("name", TRAINED)
def test_predictions_depend_on_geometry_and_elements(name: str) -> None:
    stretched = molecule("H2O")
    stretched.positions[1] *= 1.1
    heavier = molecule("H2O")
    heavier.numbers[0] = 16
    water, other, third = predict(small_model(name), [molecule("H2O"), stretched, heavier])
    assert abs(float(water - other)) > 1e-4
    assert abs(float(water - third)) > 1e-4


@pytest.mark.parametrize("name", list_models())
def test_invariance_under_rotation_and_translation(name: str) -> None:
    model = small_model(name)
    rotation = Rotation.random(rng=0).as_matrix()
    moved = structures()
    for atoms in moved:
        atoms.positions = atoms.positions @ rotation.T + [3.0, -1.0, 2.0]
        atoms.cell = atoms.cell.array @ rotation.T
    same(predict(model, moved), predict(model, structures()))


@pytest.mark.parametrize("name", list_models())
def test_invariance_under_permutation_and_wrapping(name: str) -> None:
    model = small_model(name)
    shuffled = []
    for atoms in structures():
        order = np.random.default_rng(len(atoms)).permutation(len(atoms))
        other = atoms[order]
        if other.pbc.all():
            other.positions += np.arange(len(other))[:, None] % 3 @ other.cell.array[:1] * 2
        shuffled.append(other)
    same(predict(model, shuffled), predict(model, structures()))


@pytest.mark.parametrize("name", list_models())
def test_a_batch_is_the_sum_of_its_graphs(name: str) -> None:
    model = small_model(name)
    alone = torch.cat([predict(model, [atoms]) for atoms in structures()])
    same(predict(model, structures()), alone)


@pytest.mark.parametrize("name", TRAINED)
def test_one_graph_without_a_batch_vector(name: str) -> None:
    model = small_model(name)
    for atoms in (molecule("CH4"), bulk("NaCl", "rocksalt", a=5.0)):
        batch = batch_of([atoms])
        fields = [key for key in ("z", "pos", "edge_index", "cell", "edge_shift") if key in batch]
        graph = Data(**{key: batch[key] for key in fields}, symmetric=True)
        same(model(graph).prediction, model(batch).prediction)


@pytest.mark.parametrize("name", TRAINED)
def test_pairs_and_directed_edges_give_the_same(name: str) -> None:
    model = small_model(name)
    pairs = batch_of(structures())
    directed = pairs.clone()
    directed.symmetric = False
    order = torch.randperm(directed.num_edges, generator=torch.Generator().manual_seed(0))
    directed.edge_index = directed.edge_index[:, order]
    directed.edge_shift = directed.edge_shift[order]
    for one, other in zip(model(pairs), model(directed), strict=True):
        same(one, other)


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize("readout", ["sum", "mean"])
def test_supercells(name: str, readout: str) -> None:
    model = small_model(name, readout=readout)
    cell = bulk("NaCl", "rocksalt", a=5.0)
    cell.rattle(0.1, seed=1)
    large = cell.repeat((2, 1, 3))
    factor = 6 if readout == "sum" else 1
    same(predict(model, [large]), factor * predict(model, [cell]))


@pytest.mark.parametrize("name", TRAINED)
def test_forces_are_minus_the_derivative_of_the_energy(name: str) -> None:
    model, atoms, step = small_model(name), structures(), 1e-4
    forces = energy_and_forces(model, batch_of(atoms)).forces.numpy()
    first = 0
    for number, structure in enumerate(atoms):
        atom, axis = len(structure) // 2, number % 3
        energies = []
        for sign in (1, -1):
            moved = [a.copy() for a in atoms]
            moved[number].positions[atom, axis] += sign * step
            energies.append(predict(model, moved)[number].item())
        expected = -(energies[0] - energies[1]) / (2 * step)
        assert forces[first + atom, axis] == pytest.approx(expected, rel=1e-6, abs=1e-6)
        first += len(structure)


@pytest.mark.parametrize("name", TRAINED)
def test_forces_can_be_trained_on(name: str) -> None:
    model = small_model(name)
    result = energy_and_forces(model, batch_of(structures()), create_graph=True)
    result.forces.square().sum().backward()
    used = [weights.grad for weights in model.parameters() if weights.grad is not None]
    assert any(gradient.abs().sum() > 0 for gradient in used)


@pytest.mark.parametrize("name", TRAINED)
def test_energy_is_continuous_where_an_atom_crosses_the_cutoff(name: str) -> None:
    model = small_model(name, **SMOOTH.get(name, {}))

    def energy(distance: float) -> float:
        return predict(model, [Atoms("CO", positions=[[0, 0, 0], [distance, 0, 0]])]).item()

    assert energy(CUTOFF - 1e-5) == pytest.approx(energy(CUTOFF + 1e-5), abs=1e-8)
    assert abs(energy(CUTOFF / 2) - energy(CUTOFF + 1)) > 1e-4


@pytest.mark.parametrize("name", list_models())
@pytest.mark.parametrize("readout", ["sum", "mean"])
def test_single_atoms_far_atoms_and_heavy_elements(name: str, readout: str) -> None:
    model = small_model(name, **({"readout": readout} if name in TRAINED else {}))
    lone, apart = Atoms("He"), Atoms("OgH", positions=[[0, 0, 0], [50, 0, 0]])
    values = predict(model, [lone, apart, molecule("H2O")])
    assert torch.isfinite(values).all()
    same(values[:1], predict(model, [lone]))


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize("atoms", [structures(), structures()[:2]], ids=["mixed", "molecules"])
def test_nothing_is_made_on_the_wrong_device(name: str, atoms: list[Atoms]) -> None:
    """A tensor of the default device among those of another one fails any operation."""
    device, default = ("cpu", "meta") if name in READS_EDGES else ("meta", "cpu")
    model = small_model(name).to(device)
    batch = batch_of(atoms).to(device)
    with torch.device(default):
        out = model(batch)
        assert all(tensor.device.type == device for tensor in out)
        out.prediction.sum().backward()
        forces = energy_and_forces(model, batch, create_graph=True).forces
        assert forces.device.type == device
        forces.sum().backward()
