"""PhysNet against loops over atoms from the paper's equations, and its initial values."""

from __future__ import annotations

import math

import pytest
import torch
from ase.build import molecule
from batches import CUTOFF, batch_of, structures
from plain_loops import Neighbours, Weights, assert_equals_loop, random_model
from torch import Tensor

from molcryst_bench.models.components.radial import ExponentialBasis, polynomial_cutoff
from molcryst_bench.models.physnet import PhysNet
from molcryst_bench.models.registry import create_model

SIZES = {
    "width": 6,
    "radial_functions": 5,
    "modules": 2,
    "interaction_residuals": 2,
    "atomic_residuals": 1,
    "output_residuals": 1,
}


def ssp(x: Tensor) -> Tensor:
    return torch.log(0.5 * x.exp() + 0.5)


def residual(weights: Weights, x: Tensor) -> Tensor:
    """Equation 11."""
    return x + weights.apply("out", ssp(weights.apply("into", ssp(x))))


def residuals(weights: list[Weights], x: Tensor) -> Tensor:
    for block in weights:
        x = residual(block, x)
    return x


def radial(weights: Weights, distance: Tensor) -> Tensor:
    """Equations 7 and 8."""
    centers = torch.log(1 + weights["basis.raw_centers"].exp())
    widths = torch.log(1 + weights["basis.raw_widths"].exp())
    x = distance / CUTOFF
    cutoff = 1 - 6 * x**5 + 15 * x**4 - 10 * x**3 if x < 1 else 0 * x
    return cutoff * torch.exp(-widths * (torch.exp(-distance) - centers) ** 2)


def interaction(
    weights: Weights, x: list[Tensor], neighbours: Neighbours, basis: Weights
) -> list[Tensor]:
    """Equations 9 and 10."""
    new = []
    for i, own in enumerate(x):
        message = ssp(weights.apply("central", ssp(own)))
        for j, distance in neighbours[i]:
            attention = weights.apply("attention", radial(basis, distance))
            message = message + attention * ssp(weights.apply("neighbor", ssp(x[j])))
        message = residuals(weights.parts("residuals"), message)
        new.append(weights["gate"] * own + weights.apply("out", ssp(message)))
    return new


def energy(weights: Weights, elements: Tensor, neighbours: Neighbours) -> Tensor:
    """Equation 12 and the sum over modules, scaled and shifted for each element."""
    x = [weights["embedding.weight"][z] for z in elements]
    width, total = len(x[0]), torch.zeros(len(x), dtype=torch.float64)
    for number, module in enumerate(weights.parts("blocks")):
        x = interaction(module.part("interaction"), x, neighbours, weights)
        x = [residuals(module.parts("atomic"), own) for own in x]
        head = weights["head.weight"][0, number * width : (number + 1) * width]
        outputs = [head @ ssp(residuals(module.parts("output"), own)) for own in x]
        total = total + torch.stack(outputs)
    scale, shift = weights["scale"][elements, 0], weights["shift"][elements, 0]
    return (scale * total + shift).sum()


def test_equals_a_loop_over_atoms_in_energies_and_forces() -> None:
    assert_equals_loop(random_model("physnet", **SIZES), energy, structures())


def test_mean_readout_is_the_average_of_the_atoms() -> None:
    summed, averaged = (random_model("physnet", **SIZES, readout=r) for r in ("sum", "mean"))
    batch = batch_of(structures())
    atoms = batch.ptr.diff()[:, None]
    torch.testing.assert_close(summed(batch).prediction, averaged(batch).prediction * atoms)


def test_features_are_those_of_the_last_layer() -> None:
    model = random_model("physnet", **SIZES, targets=2)
    batch = batch_of(structures())
    out = model(batch)
    atoms = out.node_features @ model.head.weight.T * model.scale[batch.z] + model.shift[batch.z]
    expected = torch.zeros(6, 2, dtype=torch.float64).index_add(0, batch.batch, atoms)
    torch.testing.assert_close(out.prediction, expected)


def test_begins_as_the_paper_says() -> None:
    torch.manual_seed(0)
    model = create_model("physnet")
    assert isinstance(model, PhysNet)
    batch = batch_of([molecule("H2O")])
    batch.pos = batch.pos.float()
    assert model(batch).prediction.item() == 0, "outputs begin at zero"
    embedding = model.embedding.weight
    assert embedding.abs().max() < math.sqrt(3)
    assert embedding.var().item() == pytest.approx(1, abs=0.05)
    for block in model.blocks:
        assert (block.interaction.attention.weight == 0).all()
        assert (block.interaction.gate == 1).all()
        square = block.interaction.central.weight @ block.interaction.central.weight.T
        torch.testing.assert_close(square, torch.eye(128), atol=1e-5, rtol=0)


def test_basis_begins_as_the_paper_says() -> None:
    basis = ExponentialBasis(4, cutoff=2.0)
    nearest = math.exp(-2.0)
    distance = torch.tensor([0.3, 1.7])
    expected = [
        [
            math.exp(-((2 / 4 * (1 - nearest)) ** -2) * (math.exp(-d) - mu) ** 2)
            for mu in (1 + (nearest - 1) * k / 3 for k in range(4))
        ]
        for d in distance.tolist()
    ]
    torch.testing.assert_close(basis(distance), torch.tensor(expected), rtol=1e-5, atol=1e-6)


def test_polynomial_cutoff_is_smooth_twice() -> None:
    ends = torch.tensor([0.0, 3.0, 4.0], dtype=torch.float64, requires_grad=True)
    value = polynomial_cutoff(ends, 3.0)
    assert value.tolist() == [1, 0, 0]
    (first,) = torch.autograd.grad(value.sum(), ends, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), ends)
    torch.testing.assert_close(first, torch.zeros_like(first))
    torch.testing.assert_close(second, torch.zeros_like(second), atol=1e-12, rtol=0)
    assert polynomial_cutoff(torch.tensor([1.5]), 3.0).item() == 0.5
