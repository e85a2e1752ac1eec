"""The transformer against loops over atoms, and its two ways to attend against each other."""

from __future__ import annotations

import math

import pytest
import test_mpnn
import torch
from batches import batch_of, structures
from plain_loops import Neighbours, Weights, assert_equals_loop, random_model
from test_mpnn import silu
from torch import Tensor, nn

from molcryst_bench.base.errors import SettingsError
from molcryst_bench.models.components.attention import EncoderLayer
from molcryst_bench.models.components.padding import Padding
from molcryst_bench.models.registry import create_model

HEADS = 2
SIZES = {**test_mpnn.SIZES, "layers": 2, "heads": HEADS, "feedforward": 9}


def norm(weights: Weights, x: Tensor) -> Tensor:
    centred = x - x.mean()
    scaled = centred / (centred.square().mean() + 1e-5).sqrt()
    return weights["weight"] * scaled + weights["bias"]


def attend(weights: Weights, x: list[Tensor]) -> list[Tensor]:
    """Vaswani et al. 2017, equation 1 and section 3.2.2."""
    size = len(x[0]) // HEADS
    query, key, value = zip(*(weights.apply("into", own).split(len(own)) for own in x), strict=True)
    results = []
    for i in range(len(x)):
        heads = []
        for head in range(HEADS):
            part = slice(head * size, (head + 1) * size)
            scores = [query[i][part] @ k[part] / math.sqrt(size) for k in key]
            shares = torch.stack(scores).exp()
            shares = shares / shares.sum()
            heads.append(sum(a * v[part] for a, v in zip(shares, value, strict=True)))
        results.append(weights.apply("out", torch.cat(heads)))
    return results


def encode(weights: Weights, x: list[Tensor]) -> list[Tensor]:
    attended = attend(
        weights.part("attention"), [norm(weights.part("attention_norm"), own) for own in x]
    )
    x = [own + update for own, update in zip(x, attended, strict=True)]
    network = weights.part("feedforward")
    normed = [norm(weights.part("feedforward_norm"), own) for own in x]
    updates = [network.apply("2", silu(network.apply("0", own))) for own in normed]
    return [own + update for own, update in zip(x, updates, strict=True)]


def energy(weights: Weights, elements: Tensor, neighbours: Neighbours) -> Tensor:
    x = [weights["embedding.weight"][z] for z in elements]
    h = test_mpnn.messages(weights.part("messages"), x, neighbours)
    for layer in weights.parts("layers"):
        h = encode(layer, h)
    return test_mpnn.predict(weights, [norm(weights.part("norm"), own) for own in h], elements)


def test_equals_a_loop_over_atoms_in_energies_and_forces() -> None:
    model = random_model("mpnn_transformer", **SIZES, readout="sum")
    assert_equals_loop(model, energy, structures())


def test_layer_equals_that_of_torch() -> None:
    batch = batch_of(structures())
    ours = EncoderLayer(8, heads=4, hidden=12).double()
    theirs = nn.TransformerEncoderLayer(
        8, 4, 12, dropout=0, activation=silu, batch_first=True, norm_first=True
    ).double()
    attention = theirs.self_attn
    attention.in_proj_weight.data.copy_(ours.attention.into.weight)
    attention.in_proj_bias.data.copy_(ours.attention.into.bias)
    attention.out_proj.load_state_dict(ours.attention.out.state_dict())
    theirs.linear1.load_state_dict(ours.feedforward[0].state_dict())
    theirs.linear2.load_state_dict(ours.feedforward[2].state_dict())
    x = torch.randn(batch.num_nodes, 8, dtype=torch.float64)
    expected = torch.cat([theirs(part[None])[0] for part in x.split(batch.ptr.diff().tolist())])
    for forces in (False, True):
        result = ours(x, Padding.of(batch), forces)
        torch.testing.assert_close(result, expected, rtol=1e-10, atol=1e-10)


def test_atoms_beyond_the_cutoff_matter() -> None:
    """Attention alone reaches them: without layers nothing but the average does."""
    near, far = structures()[2], structures()[2]
    far.positions += 100.0
    both = near + far
    for layers, differ in ((0, False), (2, True)):
        model = random_model("mpnn_transformer", **{**SIZES, "layers": layers})
        other = both.copy()
        other.numbers[3] = 16
        first, second = (model(batch_of([a])).node_features[0] for a in (both, other))
        assert bool((first - second).abs().max() > 1e-6) == differ


def test_heads_divide_the_width() -> None:
    for wrong in ({"width": 50}, {"heads": 3}):
        with pytest.raises(SettingsError, match=r"'heads' is .* not a multiple"):
            create_model("mpnn_transformer", **wrong)
