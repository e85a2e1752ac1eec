"""Datasets and benchmarks for AI models of molecules, crystals and metal-organic frameworks.

Names are imported when they are first used, so that the command line answers at once.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from molcryst_bench.graphs.single import build_graph
    from molcryst_bench.graphs.store import GraphStore, open_store
    from molcryst_bench.interpret.explain import explain
    from molcryst_bench.interpret.roughness import rogi, rogi_xd
    from molcryst_bench.models.registry import create_model, list_models
    from molcryst_bench.training.predict import Predictor, load_predictor

__version__ = version("molcryst_bench")
__all__ = [
    "GraphStore",
    "Predictor",
    "build_graph",
    "create_model",
    "explain",
    "list_models",
    "load_predictor",
    "open_store",
    "rogi",
    "rogi_xd",
]

_HOMES = {
    "GraphStore": "molcryst_bench.graphs.store",
    "Predictor": "molcryst_bench.training.predict",
    "build_graph": "molcryst_bench.graphs.single",
    "create_model": "molcryst_bench.models.registry",
    "explain": "molcryst_bench.interpret.explain",
    "list_models": "molcryst_bench.models.registry",
    "load_predictor": "molcryst_bench.training.predict",
    "open_store": "molcryst_bench.graphs.store",
    "rogi": "molcryst_bench.interpret.roughness",
    "rogi_xd": "molcryst_bench.interpret.roughness",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'molcryst_bench' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
