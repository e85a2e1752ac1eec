"""TorchMD-NET against the package of its authors, and its edge maps against plain autograd."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import torch
from ase import Atoms
from ase.build import molecule
from batches import CUTOFF, batch_of
from torch import Tensor, nn

from molcryst_bench.base.errors import SettingsError
from molcryst_bench.models.components import vector_attention, vector_layer
from molcryst_bench.models.components.linear import multiply
from molcryst_bench.models.components.vector_attention import VectorAttention, vector_update
from molcryst_bench.models.forces import energy_and_forces
from molcryst_bench.models.registry import create_model
from molcryst_bench.models.torchmd_net import TorchMDNet

WIDTH, LAYERS, HEADS, BASIS = 32, 3, 4, 16
NAMES = ("CH3CH2OH", "C6H6", "H2O", "CH3CONH2")


def ours(smooth: bool = True) -> TorchMDNet:
    model = create_model(
        "torchmd_net",
        width=WIDTH,
        layers=LAYERS,
        heads=HEADS,
        basis=BASIS,
        cutoff=CUTOFF,
        smooth=smooth,
    )
    assert isinstance(model, TorchMDNet)
    return model


def reference(smooth: bool) -> Any:
    peer = pytest.importorskip("torchmdnet.models.model", reason="torchmd-net is not installed")
    torch.manual_seed(1)
    model = peer.create_model(
        {
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
            "derivative": True,
            "atom_filter": -1,
            "prior_model": None,
            "output_model": "Scalar",
            "reduce_op": "sum",
            "vector_cutoff": smooth,
        }
    )
    for weights in model.parameters():
        if weights.dim() == 1:  # biases begin at zero, which would hide mistakes
            nn.init.normal_(weights, std=0.2)
    return model.train()  # else it keeps no graph of the forces


def translated(theirs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Name and order the weights of the reference, or their gradients, as ours are."""
    result = {}
    body, head = "representation_model.", "output_model.output_network."
    names = {"own": "embedding.weight", "others": "neighbor_embedding.embedding.weight"}
    for name, source in names.items():
        missing = theirs[body + source].new_zeros(19, WIDTH)  # the reference knows 99 elements
        result[f"embedding.{name}.weight"] = torch.cat([theirs[body + source], missing])
    for kind in ("weight", "bias"):
        result[f"embedding.filter.{kind}"] = theirs[
            f"{body}neighbor_embedding.distance_proj.{kind}"
        ]
        result[f"embedding.combine.{kind}"] = theirs[f"{body}neighbor_embedding.combine.{kind}"]
        result[f"norm.{kind}"] = theirs[f"{body}out_norm.{kind}"]
        for number in range(LAYERS):
            mine, layer = f"layers.{number}.", f"{body}attention_layers.{number}."
            s, s1, t = _per_head(theirs[f"{layer}v_proj.{kind}"]).chunk(3)
            q, k = theirs[f"{layer}q_proj.{kind}"], theirs[f"{layer}k_proj.{kind}"]
            dk, dv = theirs[f"{layer}dk_proj.{kind}"], theirs[f"{layer}dv_proj.{kind}"]
            result[f"{mine}norm.{kind}"] = theirs[f"{layer}layernorm.{kind}"]
            result[f"{mine}project.{kind}"] = torch.cat([q, k, s, t, s1])
            result[f"{mine}filter.{kind}"] = torch.cat([dk, _per_head(dv)])
            result[f"{mine}out.{kind}"] = theirs[f"{layer}o_proj.{kind}"]
            result[f"{mine}vectors.weight"] = theirs[f"{layer}vec_proj.weight"]
        for number, name in enumerate(("gate", "head")):
            block = f"{head}{number}."
            result[f"{name}.into.{kind}"] = theirs[f"{block}update_net.layers.0.{kind}"]
            result[f"{name}.update.{kind}"] = theirs[f"{block}update_net.layers.2.{kind}"]
            result[f"{name}.length.weight"] = theirs[f"{block}vec1_proj.weight"]
            result[f"{name}.vectors.weight"] = theirs[f"{block}vec2_proj.weight"]
    return result


def _per_head(weights: Tensor) -> Tensor:
    """Bring rows from (heads, 3, width of a head) to (3, heads, width of a head)."""
    split = weights.unflatten(0, (HEADS, 3, -1))
    return split.transpose(0, 1).flatten(0, 2)


def gradients(model: nn.Module) -> dict[str, Tensor]:
    named = model.named_parameters()
    return {n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in named}


@pytest.mark.parametrize("smooth", [True, False])
def test_equals_the_reference_in_energies_forces_and_gradients(smooth: bool) -> None:
    """For sums: the mean of torchmd-net 3.1 divides by one atom more than there are."""
    batch = batch_of([molecule(name) for name in NAMES])
    batch.pos = batch.pos.float()
    theirs, mine = reference(smooth), ours(smooth)
    weights = translated(theirs.state_dict())
    mine.load_state_dict(weights)

    energy, forces = theirs(batch.z.long(), batch.pos.clone(), batch.batch)
    result = energy_and_forces(mine, batch, create_graph=True)
    torch.testing.assert_close(result.energy, energy[:, 0], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(result.forces, forces, rtol=1e-5, atol=1e-5)
    assert forces.abs().max() > 1e-2

    (energy.sum() + forces.square().sum()).backward()
    (result.energy.sum() + result.forces.square().sum()).backward()
    expected = translated(gradients(theirs))
    measured = gradients(mine)
    assert measured.keys() == expected.keys()
    for name, value in measured.items():
        torch.testing.assert_close(value, expected[name], rtol=1e-4, atol=1e-5, msg=name)


def attention(edges: int, nodes: int) -> tuple[VectorAttention, list[Tensor]]:
    generator = torch.Generator().manual_seed(2)

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()

    ends = torch.randint(nodes, (3, edges), generator=generator)
    shapes = [(nodes, 5, 6), (nodes, 3, 6), (nodes, 4, 6), (edges,), (edges,), (edges, 3)]
    return VectorAttention(ends, heads=2), [random(*shape) for shape in shapes]


def first_and_second_derivatives(value: Tensor, inputs: Sequence[Tensor]) -> list[Tensor]:
    first = torch.autograd.grad(value.square().sum(), inputs, create_graph=True)
    squares = sum(gradient.square().sum() for gradient in first)
    assert isinstance(squares, Tensor)
    return [*first, *torch.autograd.grad(squares, inputs)]


@pytest.mark.parametrize("edges", [0, 1, 40])
def test_loops_give_what_operations_give(edges: int) -> None:
    """In values, first and second derivatives, also for slices of larger tensors."""
    attend, inputs = attention(edges, nodes=4)
    inputs[0] = torch.cat([inputs[0], inputs[0].sin()], 1)[:, 3:8]
    values = torch.cat(_flat(attend(*inputs))), torch.cat(_flat(attend.in_operations(*inputs)))
    pairs = [[value, *first_and_second_derivatives(value, inputs)] for value in values]
    for mine, expected in zip(*pairs, strict=True):
        torch.testing.assert_close(mine, expected, rtol=1e-10, atol=1e-10)


def _flat(tensors: Sequence[Tensor]) -> list[Tensor]:
    return [each.flatten() for each in tensors]


def test_operations_give_what_the_equations_say() -> None:
    attend, inputs = attention(edges=7, nodes=3)
    with torch.no_grad():
        x, w = attend.in_operations(*inputs)
        result = torch.cat([x[:, None], w], 1)  # (nodes, 4, width)
        torch.testing.assert_close(result, by_edge(attend, inputs), rtol=1e-12, atol=1e-12)


def by_edge(attend: VectorAttention, inputs: Sequence[Tensor]) -> Tensor:
    """Sum messages edge by edge and head by head."""
    atoms, vectors, filters, envelope, fade, direction = inputs
    total = torch.zeros(len(atoms), 4, 6, dtype=atoms.dtype)
    for edge, (i, j, row) in enumerate(attend.ends.T.tolist()):
        q, (_, k, s, t, r) = atoms[i, 0], atoms[j]
        dk, d0, d1, d2 = filters[row]
        for head in (slice(0, 3), slice(3, 6)):
            score = torch.dot(q[head], k[head] * dk[head])
            attention = score / (1 + torch.exp(-score)) * envelope[edge]
            total[i, 0, head] += attention * s[head] * d0[head]
        for axis in range(3):
            total[i, 1 + axis] += (
                r * vectors[j, axis] * d1 * fade[edge] + t * d2 * direction[edge, axis]
            )
    return total


def test_derivatives_are_those_of_finite_differences() -> None:
    attend, inputs = attention(edges=5, nodes=3)
    assert torch.autograd.gradcheck(attend, inputs, fast_mode=True)
    assert torch.autograd.gradgradcheck(attend, inputs, fast_mode=True)


def test_updates_in_loops_are_those_in_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(3)
    inputs = [
        torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()
        for shape in ((5, 3, 6), (5, 3, 3, 6))
    ]
    assert torch.autograd.gradcheck(vector_update, inputs, fast_mode=True)
    assert torch.autograd.gradgradcheck(vector_update, inputs, fast_mode=True)
    in_loops = vector_update(*inputs)
    monkeypatch.setattr(vector_attention, "suits_loops", lambda *inputs: False)
    torch.testing.assert_close(in_loops, vector_update(*inputs), rtol=1e-12, atol=1e-12)


def test_what_is_not_a_number_stays_so() -> None:
    attend, inputs = attention(edges=5, nodes=3)
    with torch.no_grad():
        inputs[0][int(attend.ends[0, 0])] = torch.nan
        assert torch.cat(_flat(attend(*inputs))).isnan().any()


def test_large_scores_do_not_overflow() -> None:
    attend, inputs = attention(edges=5, nodes=3)
    with torch.no_grad():
        large = [inputs[0] * 1e6, *inputs[1:]]
        torch.testing.assert_close(attend(*large), attend.in_operations(*large))


def drawn(smooth: bool = True) -> TorchMDNet:
    torch.manual_seed(4)
    model = ours(smooth).double()
    for weights in model.parameters():  # biases begin as zeros, which would hide mistakes
        nn.init.normal_(weights, std=0.2)
    return model


def in_both_ways(
    monkeypatch: pytest.MonkeyPatch, measure: Callable[[TorchMDNet], Sequence[Tensor]]
) -> Iterator[tuple[Tensor, Tensor]]:
    """Measure a model whose layers are in one piece, and the same in operations of torch."""
    mine = measure(drawn())
    monkeypatch.setattr(vector_layer, "suits_loops", lambda *inputs: False)
    expected = measure(drawn())
    assert len(mine) == len(expected) > 0
    return zip(mine, expected, strict=True)


MIXED = [Atoms("He"), molecule("CH3CH2OH"), molecule("H2O")]


def energies_and_gradients(model: TorchMDNet) -> list[Tensor]:
    energy = model(batch_of(MIXED)).prediction
    energy.square().sum().backward()
    return [energy, *gradients(model).values()]


def forces_and_gradients(model: TorchMDNet) -> list[Tensor]:
    energy, forces = energy_and_forces(model, batch_of(MIXED), create_graph=True)
    (energy.square().sum() + forces.square().sum()).backward()
    return [energy, forces, *gradients(model).values()]


def forces_alone_and_gradients(model: TorchMDNet) -> list[Tensor]:
    _, forces = energy_and_forces(model, batch_of(MIXED), create_graph=True)
    forces.square().sum().backward()
    return [forces, *gradients(model).values()]


def gradients_of_gradients(model: TorchMDNet) -> list[Tensor]:
    """By weights and positions, then by both once more, as no training of ours does."""
    batch = batch_of(MIXED)
    batch.pos.requires_grad_()
    wanted = [batch.pos, *model.parameters()]
    energy = model(batch).prediction.square().sum()
    first = torch.autograd.grad(energy, wanted, create_graph=True, materialize_grads=True)
    squares = torch.stack([gradient.square().sum() for gradient in first]).sum()
    return [*first, *torch.autograd.grad(squares, wanted, materialize_grads=True)]


@pytest.mark.parametrize(
    "measure",
    [
        energies_and_gradients,
        forces_and_gradients,
        forces_alone_and_gradients,
        gradients_of_gradients,
    ],
)
def test_layers_in_one_piece_give_what_operations_give(
    measure: Callable[[TorchMDNet], Sequence[Tensor]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for mine, expected in in_both_ways(monkeypatch, measure):
        scale = float(expected.detach().abs().max())
        torch.testing.assert_close(mine, expected, rtol=1e-10, atol=1e-12 * max(scale, 1))


def test_training_on_forces_leaves_weights_of_plain_gradients_alone() -> None:
    """What the derivative by positions leaves out is computed again after it."""
    model, batch = drawn(), batch_of(MIXED)
    energy_and_forces(model, batch, create_graph=True)
    assert all(weights.grad is None for weights in model.parameters())
    model(batch).prediction.sum().backward()
    assert model.layers[0].project.weight.grad.abs().max() > 0


def test_a_lone_atom_and_its_weights_have_finite_derivatives() -> None:
    """The vectors of a lone atom are zero, where a length has no derivative."""
    torch.manual_seed(0)
    model = ours().double()
    batch = batch_of([Atoms("He"), molecule("H2O")])
    result = energy_and_forces(model, batch, create_graph=True)
    assert torch.equal(result.forces[0], torch.zeros(3, dtype=torch.float64))
    (result.forces.square().sum() + result.energy.sum()).backward()
    assert all(gradient.isfinite().all() for gradient in gradients(model).values())


def test_the_energy_jumps_at_the_cutoff_only_if_not_smooth() -> None:
    jumps = []
    for smooth in (True, False):
        torch.manual_seed(0)
        model = ours(smooth).double()
        for weights in model.parameters():
            nn.init.normal_(weights, std=0.3)
        ends = [Atoms("CO", [[0, 0, 0], [CUTOFF + step, 0, 0]]) for step in (-1e-5, 1e-5)]
        inside, outside = model(batch_of(ends)).prediction[:, 0]
        jumps.append(abs((inside - outside).item()))
    assert jumps[0] < 1e-8
    assert jumps[1] > 1e-4


def test_edges_beyond_the_cutoff_do_not_count() -> None:
    torch.manual_seed(0)
    for smooth in (True, False):
        model = create_model(
            "torchmd_net", width=WIDTH, layers=2, heads=HEADS, basis=8, cutoff=2.0, smooth=smooth
        ).double()
        batch = batch_of([molecule("CH3CH2OH")])
        sender, receiver = batch.edge_index
        near = (batch.pos[sender] - batch.pos[receiver]).norm(dim=1) < 2.0
        trimmed = batch.clone()
        trimmed.edge_index = batch.edge_index[:, near]
        assert 0 < near.sum() < len(near)
        torch.testing.assert_close(model(trimmed).prediction, model(batch).prediction)


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(SettingsError, match="3 heads do not divide a width of 16"):
        create_model("torchmd_net", width=16, heads=3)


def test_products_of_slices() -> None:
    """Slices of wider matrices, as derivatives hand them over, on either side."""
    x, weight = torch.randn(700, 3, 64)[:, 1], torch.randn(64, 2, 64)[:, 0]
    torch.testing.assert_close(multiply(x, weight), x @ weight.T, rtol=1e-5, atol=1e-4)
