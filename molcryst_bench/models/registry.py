"""The models that this project knows, and those that installed packages add."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from molcryst_bench.base.errors import SettingsError, unknown_name
from molcryst_bench.models.interface import Model

ENTRY_POINTS = "molcryst_bench.models"
_BUILT_IN = {
    "boosted_trees": "molcryst_bench.models.boosted_trees:BoostedTrees",
    "cgcnn": "molcryst_bench.models.cgcnn:CGCNN",
    "cgcnn_matrix": "molcryst_bench.models.cgcnn_matrix:CGCNNMatrix",
    "mean": "molcryst_bench.models.baselines:Mean",
    "mpnn": "molcryst_bench.models.mpnn:MPNN",
    "mpnn_transformer": "molcryst_bench.models.mpnn_transformer:MPNNTransformer",
    "physnet": "molcryst_bench.models.physnet:PhysNet",
    "ridge": "molcryst_bench.models.baselines:CompositionRidge",
    "schnet": "molcryst_bench.models.schnet:SchNet",
    "torchmd_net": "molcryst_bench.models.torchmd_net:TorchMDNet",
}


def list_models() -> list[str]:
    """Return the names of all models."""
    return sorted(_known())


def get_model_class(name: str) -> type[Model]:
    """Return the class of a model.

    Raises:
        SettingsError: for a name that is not known, with the nearest one that is.
    """
    known = _known()
    if name not in known:
        raise SettingsError(unknown_name("model", name, known))
    module, _, attribute = known[name].partition(":")
    found: type[Model] = getattr(import_module(module), attribute)
    return found


def create_model(name: str, **hyperparameters: Any) -> Model:
    """Return a new model with random weights from torch's generator.

    Args:
        name: one of ``list_models()``.
        hyperparameters: those that differ from the defaults.

    Raises:
        SettingsError: for a wrong name, hyperparameter or value.
    """
    model = get_model_class(name)
    return model(model.Hyperparameters.parse(hyperparameters, f"model '{name}'"))


def _known() -> dict[str, str]:
    added = {point.name: point.value for point in entry_points(group=ENTRY_POINTS)}
    return added | _BUILT_IN
