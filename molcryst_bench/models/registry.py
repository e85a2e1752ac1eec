"""The models that this project knows, and those that installed packages add."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from molcryst_bench.base.errors import SettingsError, unknown_name
from molcryst_bench.base.settings import Settings
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


@dataclass(frozen=True)
class Registration:
    """A name for a model, and where its class is."""

    name: str
    value: str  # "module:class"
    package: str = ""  # that adds it, with its version; empty for the models of this project

    @property
    def words(self) -> str:
        """Say which model is meant."""
        return f"the model '{self.name}'" + (f" of the package {self.package}" * bool(self.package))


def list_models() -> list[str]:
    """Return the names of all models."""
    return sorted({each.name for each in registrations()})


def registrations() -> list[Registration]:
    """Return all claims to a name: those of this project, then those of installed packages."""
    built_in = [Registration(name, value) for name, value in _BUILT_IN.items()]
    added = entry_points(group=ENTRY_POINTS)
    return built_in + [Registration(point.name, point.value, _package(point)) for point in added]


def get_model_class(name: str) -> type[Model]:
    """Return the class of a model.

    Raises:
        SettingsError: for a name that is not known, with the nearest one that is, and for the model
            of another package that cannot be used, with the reason.
    """
    known = registrations()
    claims = [each for each in known if each.name == name]
    if not claims:
        raise SettingsError(unknown_name("model", name, {each.name for each in known}))
    return load_registered(claims[0])


def load_registered(claim: Registration) -> type[Model]:
    """Return the class that a registration names.

    Raises:
        SettingsError: if another model has its name, or it is not the class of a model.
    """
    model: type[Model] = _load_added(claim) if claim.package else _load(claim)
    return model


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


def _load(claim: Registration) -> Any:
    return EntryPoint(claim.name, claim.value, ENTRY_POINTS).load()


def _load_added(claim: Registration) -> Any:
    """Load a class that nobody here has tested."""
    _check_rivals(claim)
    try:
        found = _load(claim)
    except Exception as error:  # whatever the code of another package may raise
        reason = f"{type(error).__name__}: {error}"
        raise SettingsError(
            f"{claim.words} cannot be imported from '{claim.value}': {reason}"
        ) from error
    _check_class(found, claim)
    return found


def _check_rivals(claim: Registration) -> None:
    """Let no package take the name of a model of this project, or of another package."""
    rivals = [each for each in registrations() if each.name == claim.name and each != claim]
    if rivals:
        owners = " and ".join(each.package or "this project" for each in rivals)
        raise SettingsError(
            f"{claim.words} has the name of a model of {owners}: rename it in its entry point"
        )


def _check_class(found: Any, claim: Registration) -> None:
    if not (isinstance(found, type) and issubclass(found, Model)):
        raise SettingsError(f"{claim.words} is no subclass of {Model.__module__}.Model")
    if missing := sorted(found.__abstractmethods__):
        raise SettingsError(f"{claim.words} does not define {' and '.join(missing)}")
    settings = getattr(found, "Hyperparameters", None)
    if not (isinstance(settings, type) and issubclass(settings, Settings)):
        base = f"{Settings.__module__}.Settings"
        raise SettingsError(f"{claim.words} has no Hyperparameters, a subclass of {base}")


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else "unknown"
