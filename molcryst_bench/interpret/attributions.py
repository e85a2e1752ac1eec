r"""How much each atom has to do with a prediction of a graph network.

===================== ==========================================================================
``saliency``          :math:`\lVert \partial y / \partial x_i \rVert`, where :math:`x_i` are the
                      first features of atom :math:`i`, those of its element (Simonyan et al.,
                      arXiv 1312.6034)
``integrated``        integrated gradients along the line from zero to these features, with the
                      geometry as it is; they add up to :math:`y - y_0` (Sundararajan et al., arXiv
                      1703.01365, eq. 1)
``grad_cam``          :math:`\sum_k \alpha_k h_{ik}`: the features that a layer gives, weighted by
                      the mean gradient of each, :math:`\alpha_k = \frac1N \sum_i \partial y /
                      \partial h_{ik}` (Pope et al., CVPR 2019, doi 10.1109/CVPR.2019.01103,
                      without their last ReLU: signs say whether an atom raises or lowers :math:`y`)
``cam``               :math:`\sum_k \partial y / \partial f_{ik}\,f_{ik}` of the last features of
                      atoms that a linear readout adds up: what the atom itself contributes
===================== ==========================================================================

All are in the unit of what the network predicts.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from molcryst_bench.base.errors import RunError, SettingsError, unknown_name
from molcryst_bench.interpret.hooks import Layer, captured, message_layers, replaced_inputs
from molcryst_bench.models.components.pooling import pool
from molcryst_bench.models.interface import Model

_STEPS, MOST_STEPS = 16, 512  # of the integral
_GAP = 0.005  # of what integrated gradients should add up to


def attribute(
    model: Model,
    batch: Any,
    method: str = "integrated",
    *,
    layer: str | None = None,
    steps: int | None = None,
    most_steps: int = MOST_STEPS,
) -> Tensor:
    """Return the share of each atom in the first target, (nodes,).

    Args:
        model: a graph network; its weights are not changed.
        batch: of graphs, each of which is explained for itself.
        method: ``saliency``, ``integrated``, ``grad_cam`` or ``cam``.
        layer: for ``grad_cam``, one of ``message_layers``; the last by default.
        steps: of the integral of ``integrated``; as many as it needs by default.
        most_steps: at which the integral is left as it is.

    Raises:
        RunError: if the model does not allow this method.
        SettingsError: for an unknown method or layer, with the nearest one that is known.
    """
    model.eval()
    if method == "integrated":
        return integrated_gradients(model, batch, steps, most_steps)
    if method == "grad_cam":
        return grad_cam(model, batch, layer)
    if method not in METHODS:
        raise SettingsError(unknown_name("method", method, METHODS))
    return METHODS[method](model, batch)


def saliency(model: Model, batch: Any) -> Tensor:
    """Return the length of the gradient by the first features of each atom, (nodes,)."""
    _, gradients = _at(model, batch, 1.0)
    lengths: Tensor = torch.linalg.vector_norm(torch.cat(gradients, 1), dim=1)
    return lengths


def integrated_gradients(
    model: Model, batch: Any, steps: int | None = None, most_steps: int = MOST_STEPS
) -> Tensor:
    """Return the integral of the gradient along the line from no features, (nodes,).

    Steps are doubled until the parts of each graph add up to what they should within half a per
    cent, 16 to ``most_steps``, where their number is not given.
    """
    if steps is not None:
        return _integral(model, batch, steps)
    nothing = masked_prediction(model, batch, torch.zeros(len(batch.z)))
    whole = masked_prediction(model, batch, torch.ones(len(batch.z))) - nothing  # (graphs,)
    steps = min(_STEPS, most_steps)
    while True:
        found = _integral(model, batch, steps)
        gap = (pool(found[:, None], batch, "sum")[:, 0] - whole).abs()
        if steps >= most_steps or bool((gap <= _GAP * whole.abs()).all()):
            return found
        steps = min(2 * steps, most_steps)


def _integral(model: Model, batch: Any, steps: int) -> Tensor:
    """Integrate by Gauss and Legendre in the cube root of the place on the line.

    Layers that normalise change fast near the zero, where steps are short in this way.
    """
    total = torch.zeros(len(batch.z), device=batch.z.device)
    for root, share in zip(*_gauss(steps), strict=True):
        features, gradients = _at(model, batch, root**3)
        parts = [(f / root * g).sum(1) for f, g in zip(features, gradients, strict=True)]
        total = total + 3 * share * torch.stack(parts).sum(0)
    return total


def grad_cam(model: Model, batch: Any, layer: str | None = None) -> Tensor:
    """Return the features of a layer weighted by the mean gradient of each, (nodes,)."""
    with torch.enable_grad(), _free(model), captured(model, _layer(model, layer)) as held:
        prediction = model(batch).prediction[:, 0].sum()
        (gradient,) = torch.autograd.grad(prediction, held)
    of_graph = pool(gradient, batch, "mean").to(gradient.dtype)  # (graphs, width)
    weight = of_graph if batch.batch is None else of_graph[batch.batch]
    heat: Tensor = (weight * held[0]).sum(1).detach()
    return heat


def cam(model: Model, batch: Any) -> Tensor:
    """Return what each atom adds to a linear readout, without constants, (nodes,)."""
    rows = []
    head = getattr(model, "head", None)
    if isinstance(head, nn.Linear):
        handle = head.register_forward_pre_hook(lambda _, inputs: rows.append(len(inputs[0])))
    with torch.enable_grad(), _free(model):
        output = model(batch)
    if isinstance(head, nn.Linear):
        handle.remove()
    if rows != [len(batch.z)] or not output.node_features.requires_grad:
        name = type(model).__name__
        problem = f"{name} does not add up its atoms by a linear layer, which CAM needs"
        raise RunError(f"{problem}: take grad_cam, integrated or saliency")
    prediction = output.prediction[:, 0].sum()
    (gradient,) = torch.autograd.grad(prediction, [output.node_features])
    shares: Tensor = (gradient * output.node_features).sum(1).detach()
    return shares


METHODS: dict[str, Callable[[Model, Any], Tensor]] = {
    "integrated": integrated_gradients,
    "grad_cam": grad_cam,
    "saliency": saliency,
    "cam": cam,
}


def allows_cam(model: Model, batch: Any) -> bool:
    """Return whether atoms add up to the prediction by a linear layer."""
    try:
        cam(model, batch)
    except RunError:
        return False
    return True


@torch.no_grad()
def masked_prediction(model: Model, batch: Any, kept: Tensor) -> Tensor:
    """Return predictions (graphs,) when atoms have no features but those of them that are kept.

    Args:
        model: a graph network.
        batch: of graphs.
        kept: (nodes,) 1 or 0; anything between shortens the features.
    """
    with replaced_inputs(model, lambda features: features * kept[:, None].to(features.dtype)):
        prediction: Tensor = model(batch).prediction[:, 0]
    return prediction


def _free(model: Model) -> AbstractContextManager[None]:
    """Let gradients reach all features of atoms, whether or not those of weights are wanted."""
    return replaced_inputs(model, lambda features: features.detach().requires_grad_())


def _at(model: Model, batch: Any, factor: float) -> tuple[list[Tensor], list[Tensor]]:
    """Return the first features, shortened, and the gradients by them, each (nodes, width)."""
    held: list[Tensor] = []

    def shorten(features: Tensor) -> Tensor:
        held.append((features.detach() * factor).requires_grad_())
        return held[-1]

    with torch.enable_grad(), replaced_inputs(model, shorten):
        prediction = model(batch).prediction[:, 0].sum()
        gradients = torch.autograd.grad(prediction, held)
    return [each.detach() for each in held], list(gradients)


def _layer(model: Model, name: str | None) -> Layer:
    layers = {str(each): each for each in message_layers(model)}
    if not layers:
        raise RunError(f"{type(model).__name__} has no message-passing layers")
    if name is not None and name not in layers:
        raise SettingsError(unknown_name("layer", name, layers))
    return layers[name] if name is not None else list(layers.values())[-1]


def _gauss(steps: int) -> tuple[list[float], list[float]]:
    """Return places between 0 and 1 and weights that add up to 1."""
    place, weight = np.polynomial.legendre.leggauss(steps)
    return ((place + 1) / 2).tolist(), (weight / 2).tolist()
