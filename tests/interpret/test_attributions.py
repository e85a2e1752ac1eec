"""Attributions beside finite differences, a plain network, and what must add up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from ase.build import bulk, molecule
from batches import batch_of, structures
from small_models import NETWORKS, small_model
from torch import Tensor, nn

from molcryst_bench.base.errors import RunError, SettingsError
from molcryst_bench.base.settings import Settings
from molcryst_bench.interpret.attributions import allows_cam, attribute, cam, masked_prediction
from molcryst_bench.interpret.hooks import message_layers, replaced_inputs
from molcryst_bench.models.components.pooling import pool
from molcryst_bench.models.interface import Model, Output

LAYERS = {
    "cgcnn": ["convolutions.0", "convolutions.1"],
    "cgcnn_matrix": ["convolutions.0", "convolutions.1"],
    "mpnn": ["messages.cell", "messages.cell#1"],
    "mpnn_transformer": ["messages.cell", "messages.cell#1", "layers.0", "layers.1"],
    "physnet": ["blocks.0", "blocks.1"],
    "schnet": ["interactions.0", "interactions.1"],
    "torchmd_net": ["layers.0", "layers.1"],
}


def _changed(model: Model, batch: Any, atom: int, feature: int, step: float) -> float:
    """Return the sum of predictions when one number of an atom's first features changes."""

    def change(features: Tensor) -> Tensor:
        moved = features.clone()
        moved[atom, feature] += step
        return moved

    with torch.no_grad(), replaced_inputs(model, change):
        return float(model(batch).prediction[:, 0].sum())


@pytest.mark.parametrize("name", [n for n in NETWORKS if n != "torchmd_net"])  # which has two
def test_saliency_equals_finite_differences(name: str) -> None:
    model, batch, step = small_model(name), batch_of([molecule("H2O"), molecule("NH3")]), 1e-5
    width, found = 16, attribute(model, batch, "saliency")
    for atom in (0, 2, 5):
        slopes = [
            (_changed(model, batch, atom, k, step) - _changed(model, batch, atom, k, -step))
            / (2 * step)
            for k in range(width)
        ]
        assert float(found[atom]) == pytest.approx(np.linalg.norm(slopes), rel=1e-6, abs=1e-8)


class _Plain(Model):
    """One message from everybody to everybody, in numbers that one can write down."""

    Hyperparameters = Settings

    def __init__(self) -> None:
        super().__init__(Settings())
        self.embedding = nn.Embedding(10, 3)
        self.layers = nn.ModuleList([nn.Linear(3, 3)])
        self.head = nn.Linear(3, 1)

    def forward(self, batch: Any) -> Output:
        x = self.embedding(batch.z)
        h = self.layers[0](x + pool(x, batch, "mean")[batch.batch].to(x.dtype))
        f = torch.tanh(h)
        return Output(pool(self.head(f), batch, "sum"), f, pool(f, batch, "sum"))


def _plain() -> tuple[_Plain, Any, dict[str, np.ndarray]]:
    torch.manual_seed(1)
    model = _Plain().double().eval()
    weights = {name: value.detach().numpy() for name, value in model.named_parameters()}
    return model, batch_of([molecule("H2O")]), weights


def _by_hand(w: dict[str, np.ndarray], z: list[int]) -> tuple[np.ndarray, ...]:
    """Return the embeddings, layer, last features of the plain network with NumPy alone."""
    x = w["embedding.weight"][z]
    h = (x + x.mean(0)) @ w["layers.0.weight"].T + w["layers.0.bias"]
    return x, h, np.tanh(h)


def test_all_methods_equal_a_plain_reference() -> None:
    model, batch, w = _plain()
    z = batch.z.tolist()
    _, h, f = _by_hand(w, z)
    by_h = (1 - f**2) * w["head.weight"]  # (atoms, 3)
    by_x = by_h @ w["layers.0.weight"]
    by_x = by_x + by_x.mean(0)
    found = {
        name: attribute(model, batch, name).numpy() for name in ("saliency", "grad_cam", "cam")
    }
    np.testing.assert_allclose(found["saliency"], np.linalg.norm(by_x, axis=1), rtol=1e-6)
    np.testing.assert_allclose(found["grad_cam"], h @ by_h.mean(0), rtol=1e-6)
    np.testing.assert_allclose(found["cam"], f @ w["head.weight"][0], rtol=1e-6)
    at, share = np.linspace(0, 1, 20_001), 1 / 20_000
    x = w["embedding.weight"][z]
    total = np.zeros(len(z))
    for alpha in at:
        part = np.tanh(alpha * (x + x.mean(0)) @ w["layers.0.weight"].T + w["layers.0.bias"])
        slope = ((1 - part**2) * w["head.weight"]) @ w["layers.0.weight"]
        inside = 0.5 if alpha in (0, 1) else 1.0
        total += inside * share * (x * (slope + slope.mean(0))).sum(1)
    np.testing.assert_allclose(attribute(model, batch).numpy(), total, rtol=1e-6)


@pytest.mark.parametrize("name", NETWORKS)
def test_integrated_gradients_are_complete(name: str) -> None:
    model, batch = small_model(name), batch_of([molecule("CH3OH"), bulk("NaCl", "rocksalt", a=5.0)])
    share = pool(attribute(model, batch)[:, None], batch, "sum")[:, 0]
    nothing = masked_prediction(model, batch, torch.zeros(len(batch.z)))
    wanted = model(batch).prediction[:, 0].detach() - nothing
    torch.testing.assert_close(share, wanted, rtol=1e-2, atol=1e-12)


@pytest.mark.parametrize("name", NETWORKS)
def test_layers_are_found_and_each_has_a_grad_cam(name: str) -> None:
    model, batch = small_model(name), batch_of(structures())
    assert [str(layer) for layer in message_layers(model)] == LAYERS[name]
    maps = [attribute(model, batch, "grad_cam", layer=layer) for layer in LAYERS[name]]
    assert all(each.isfinite().all() and each.abs().max() > 0 for each in maps)
    assert torch.equal(maps[-1], attribute(model, batch, "grad_cam"))
    assert not torch.allclose(maps[0], maps[-1])


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("method", ["saliency", "integrated", "grad_cam"])
def test_a_graph_is_explained_for_itself(name: str, method: str) -> None:
    model = small_model(name)
    together = attribute(model, batch_of(structures()), method, steps=4)
    alone = [attribute(model, batch_of([atoms]), method, steps=4) for atoms in structures()]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", ["schnet", "physnet", "cgcnn"])
def test_cam_adds_up_to_the_prediction_but_for_constants(name: str) -> None:
    more = {"readout": "sum"} if name == "cgcnn" else {}
    model, batch = small_model(name, **more), batch_of(structures())
    shares = pool(cam(model, batch)[:, None], batch, "sum")[:, 0]
    with torch.no_grad():
        constant = model.head.bias if model.head.bias is not None else None
        if constant is not None:
            constant.zero_()
        if name == "physnet":
            model.shift.zero_()
        torch.testing.assert_close(shares, model(batch).prediction[:, 0])


@pytest.mark.parametrize("name", NETWORKS)
def test_frozen_weights_change_nothing(name: str) -> None:
    model, batch = small_model(name), batch_of([molecule("H2O2")])
    free = [attribute(model, batch, method, steps=2) for method in ("grad_cam", "integrated")]
    model.requires_grad_(False)
    frozen = [attribute(model, batch, method, steps=2) for method in ("grad_cam", "integrated")]
    torch.testing.assert_close(frozen, free)


def test_says_what_a_model_does_not_allow() -> None:
    batch = batch_of([molecule("H2O")])
    for name in ("mpnn", "mpnn_transformer", "torchmd_net", "cgcnn"):
        assert not allows_cam(small_model(name), batch)
    with pytest.raises(RunError, match="grad_cam"):
        cam(small_model("mpnn"), batch)
    with pytest.raises(SettingsError, match="saliency"):
        attribute(small_model("schnet"), batch, "saliancy")
    with pytest.raises(SettingsError, match=r"interactions\.1"):
        attribute(small_model("schnet"), batch, "grad_cam", layer="interactions.7")


def test_hooks_leave_nothing_behind() -> None:
    model, batch = small_model("schnet"), batch_of(structures())
    before = model(batch).prediction
    attribute(model, batch, "grad_cam")
    attribute(model, batch, "integrated", steps=2)
    assert torch.equal(before, model(batch).prediction)
    assert all(weights.grad is None for weights in model.parameters())
