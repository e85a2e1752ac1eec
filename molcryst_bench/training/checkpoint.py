"""Trained models on disk: safetensors and JSON, so that loading one never runs code from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import Field
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from molcryst_bench.base.errors import RunError
from molcryst_bench.base.files import write_json
from molcryst_bench.graphs.neighbors import GraphSpec
from molcryst_bench.models.registry import create_model
from molcryst_bench.training.domain import Domain
from molcryst_bench.training.regressor import Regressor
from molcryst_bench.training.settings import TrainingSettings

FORMAT_VERSION = 3
# The first one did not say which structures it was trained on, the second not at which distances.
_READABLE = (1, 2, FORMAT_VERSION)
WEIGHTS, CARD = "model.safetensors", "model.json"


class ModelCard(Domain):
    """All that it takes to use a trained model, and where it came from."""

    format_version: int = FORMAT_VERSION
    model: str
    hyperparameters: dict[str, Any]
    task: str
    target: str = Field(default="", description="what is predicted; the task's name by default")
    unit: str = Field(description="of the predictions")
    forces_unit: str | None = Field(
        default=None, description="of the forces, where they were learnt with the energies"
    )
    graph: GraphSpec = Field(description="how structures become adjacency lists")
    seed: int
    training: TrainingSettings
    split: str
    store_digest: str
    split_digest: str

    @property
    def quantity(self) -> str:
        """What is predicted, such as ``homo`` or ``energy``."""
        return self.target or self.task.partition("/")[2]


def save_model(folder: Path, regressor: Regressor, card: ModelCard) -> None:
    """Write ``model.safetensors`` and ``model.json`` into an existing folder."""
    weights = {name: value.contiguous() for name, value in regressor.state_dict().items()}
    (folder / WEIGHTS).write_bytes(save(weights))
    write_json(folder / CARD, card.model_dump(mode="json"))


def load_model(folder: Path) -> tuple[Regressor, ModelCard]:
    """Read a trained model; one of an older version lacks what it did not say.

    Raises:
        RunError: if the folder holds none, or a file of it is damaged; it is named.
        SettingsError: if ``model.json`` has a wrong key or value.
    """
    card = _load_card(folder / CARD)
    regressor = Regressor(create_model(card.model, **card.hyperparameters))
    path = folder / WEIGHTS
    try:
        regressor.load_state_dict(load_file(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise RunError(f"{path} does not hold the weights of this model: {error}") from error
    return regressor.eval(), card


def _load_card(path: Path) -> ModelCard:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunError(f"{path.parent} holds no trained model: {path.name} is missing") from None
    except ValueError as error:
        raise RunError(f"{path} is not valid JSON: {error}") from None
    version = content.get("format_version") if isinstance(content, dict) else None
    if version not in _READABLE:
        readable = f"{_READABLE[0]} to {_READABLE[-1]}"
        raise RunError(f"{path} has format version {version}, this program reads {readable}")
    return ModelCard.parse(content, str(path))
