"""Looking into a network while it works, without changing its code."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from ase.build import molecule
from torch import Tensor, nn

from molcryst_bench.base.errors import RunError
from molcryst_bench.graphs.neighbors import GraphSpec
from molcryst_bench.graphs.single import build_batch
from molcryst_bench.models.interface import Model

_RECURRENT = (nn.GRUCell, nn.LSTMCell, nn.RNNCell)


class Layer(NamedTuple):
    """A layer after which atoms have new features; one that repeats is a layer at each call."""

    module: str
    call: int  # 0 at first

    def __str__(self) -> str:
        return f"{self.module}#{self.call}" if self.call else self.module


def message_layers(model: Model) -> list[Layer]:
    """Return the layers that give one row of numbers for each atom, in the order of their calls.

    They are what stands in the model's lists of modules, and the calls of a recurrent cell: a small
    molecule shows what each of them gives.
    """
    found, calls, batch = [], dict.fromkeys(_candidates(model), 0), _probe(model)

    def watch(name: str) -> Callable[..., None]:
        def note(module: nn.Module, inputs: Any, output: Any) -> None:
            del module, inputs
            if _of_atoms(output, batch):
                found.append(Layer(name, calls[name]))
            calls[name] += 1

        return note

    with _hooked({name: watch(name) for name in calls}, model), torch.no_grad():
        model(batch)
    return found


@contextmanager
def captured(model: Model, layer: Layer) -> Iterator[list[Tensor]]:
    """Yield a list that will hold the features (nodes, width) that a layer gives."""
    held: list[Tensor] = []
    calls = 0

    def keep(module: nn.Module, inputs: Any, output: Any) -> None:
        nonlocal calls
        del module, inputs
        calls += 1
        if calls - 1 != layer.call:
            return
        held.append(_first(output))

    with _hooked({layer.module: keep}, model):
        yield held


@contextmanager
def replaced_inputs(model: Model, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Let ``change`` replace the first features of the atoms, each (nodes, width).

    These are the embeddings of the atoms' elements, of which a model may have several, or what the
    first layer is given where elements have no embeddings of their own.
    """
    embeddings = {n: m for n, m in model.named_modules() if isinstance(m, nn.Embedding)}
    if embeddings:
        hooks = dict.fromkeys(embeddings, lambda module, inputs, output: change(output))
        with _hooked(hooks, model):
            yield
        return
    candidates = _candidates(model)
    if not candidates:
        raise RunError(f"{type(model).__name__} has neither embeddings nor layers to look into")
    first = model.get_submodule(candidates[0])
    handle = first.register_forward_pre_hook(lambda _, inputs: (change(inputs[0]), *inputs[1:]))
    try:
        yield
    finally:
        handle.remove()


def _probe(model: Model) -> Any:
    """Return hydrogen peroxide, which has one graph, four atoms, six pairs and twelve edges."""
    batch = build_batch([molecule("H2O2")], GraphSpec(cutoff=5.0))
    weights = next(model.parameters())
    batch.pos = batch.pos.to(weights.dtype)
    return batch.to(weights.device)


def _candidates(model: Model) -> list[str]:
    """Return the names of what may be a layer, without those within others."""
    lists = [name for name, module in model.named_modules() if isinstance(module, nn.ModuleList)]
    parts = [f"{name}.{i}" for name in lists for i in range(len(model.get_submodule(name)))]  # type: ignore[arg-type]
    cells = [name for name, module in model.named_modules() if isinstance(module, _RECURRENT)]
    names = [name for name, _ in model.named_modules() if name in {*parts, *cells}]
    return [n for n in names if not any(n.startswith(f"{other}.") for other in names)]


def _of_atoms(output: Any, batch: Any) -> bool:
    features = _first(output)
    return isinstance(features, Tensor) and features.ndim == 2 and len(features) == len(batch.z)


def _first(output: Any) -> Any:
    return output[0] if isinstance(output, tuple) else output


@contextmanager
def _hooked(hooks: dict[str, Callable[..., Any]], model: Model) -> Iterator[None]:
    handles = [model.get_submodule(n).register_forward_hook(hook) for n, hook in hooks.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
