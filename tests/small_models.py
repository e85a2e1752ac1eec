"""Small graph networks in float64 with random weights."""

from __future__ import annotations

from typing import Any

import torch

from molcryst_bench.models.interface import Model
from molcryst_bench.models.registry import create_model

_CUTOFF = 4.0  # Å
_MPNN = {
    "width": 16,
    "steps": 2,
    "gaussians": 12,
    "edge_width": 8,
    "edge_layers": 1,
    "readings": 3,
    "output_width": 12,
    "cutoff": _CUTOFF,
}
_CGCNN = {"width": 16, "convolutions": 2, "hidden_width": 12, "cutoff": _CUTOFF, "step": 0.4}
NETWORKS: dict[str, dict[str, Any]] = {
    "cgcnn": _CGCNN,
    "cgcnn_matrix": _CGCNN,
    "mpnn": _MPNN,
    "mpnn_transformer": {**_MPNN, "layers": 2, "heads": 2, "feedforward": 20},
    "physnet": {"width": 16, "modules": 2, "radial_functions": 12, "cutoff": _CUTOFF},
    "schnet": {"width": 16, "interactions": 2, "gaussians": 12, "cutoff": _CUTOFF},
    "torchmd_net": {"width": 16, "layers": 2, "heads": 2, "basis": 12, "cutoff": _CUTOFF},
}


def small_model(name: str, **more: Any) -> Model:
    """Return a network whose weights are all at random; biases begin at zero, which hides much."""
    torch.manual_seed(0)
    model = create_model(name, **{**NETWORKS[name], **more}).double()
    for weights in model.parameters():
        torch.nn.init.normal_(weights, std=0.3)
    return model.eval()
