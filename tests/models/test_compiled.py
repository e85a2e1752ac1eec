"""Compiled energies and forces against plain ones, which tests of each model hold to the paper."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from ase.build import molecule
from batches import batch_of, structures
from torch import Tensor
from torch._inductor import cpp_builder
from torch._inductor.exc import InvalidCxxCompiler

from molcryst_bench.models.compiled import CompiledEnergyAndForces
from molcryst_bench.models.forces import energy_and_forces
from molcryst_bench.models.interface import GradientModel
from molcryst_bench.models.registry import create_model

SMALL: dict[str, dict[str, Any]] = {
    "torchmd_net": {"width": 16, "layers": 2, "heads": 4, "basis": 8},
    "schnet": {"width": 16, "interactions": 2, "gaussians": 8},
    "physnet": {"width": 16, "modules": 2},
}
TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-4}
molecules = [molecule(name) for name in ("CH3CH2OH", "C6H6", "H2O")]


def small(name: str, dtype: torch.dtype) -> GradientModel:
    torch.manual_seed(0)
    model = create_model(name, **SMALL[name], cutoff=4.0, readout="sum").to(dtype)
    assert isinstance(model, GradientModel)
    for weight in model.parameters():  # some begin as zeros, which would hide errors
        torch.nn.init.normal_(weight, std=0.3)
    return model


def cast(batch: Any, dtype: torch.dtype) -> Any:
    batch.pos = batch.pos.to(dtype)
    if "cell" in batch:
        batch.cell = batch.cell.to(dtype)
    return batch


def assert_close(found: Tensor, wanted: Tensor) -> None:
    tolerance = TOLERANCE[wanted.dtype]
    scale = float(wanted.detach().abs().max())
    torch.testing.assert_close(found, wanted, rtol=tolerance, atol=tolerance * scale)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("name", sorted(SMALL))
def test_compiled_energies_and_forces_are_the_plain_ones(name: str, dtype: torch.dtype) -> None:
    model = small(name, dtype)
    compiled = CompiledEnergyAndForces(model)
    for atoms in (molecules[:2], molecules, structures()):
        batch = cast(batch_of(atoms), dtype)
        for found, wanted in zip(compiled(batch), energy_and_forces(model, batch), strict=True):
            assert not found.requires_grad
            assert_close(found, wanted)
    assert not compiled.fails


@pytest.mark.slow
def test_each_compiled_model_has_its_own_weights_as_they_are_now() -> None:
    models = [small("schnet", torch.float64) for _ in range(2)]
    batch = cast(batch_of(molecules), torch.float64)
    compiled = [CompiledEnergyAndForces(model) for model in models]
    for _ in range(2):
        for model in models:
            for weight in model.parameters():
                torch.nn.init.normal_(weight, std=0.3)
        for model, fast in zip(models, compiled, strict=True):
            assert_close(fast(batch).forces, energy_and_forces(model, batch).forces)
    assert not any(each.fails for each in compiled)


def test_what_cannot_be_compiled_works_as_it_is_after_one_warning() -> None:
    torch.manual_seed(0)
    model = create_model("mpnn", width=8, output_width=8, edge_width=8, cutoff=4.0)
    assert isinstance(model, GradientModel)
    compiled = CompiledEnergyAndForces(model)
    batch = cast(batch_of(molecules), torch.float32)
    with pytest.warns(UserWarning, match="MPNN cannot be compiled"):
        compiled(batch)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = compiled(batch)
    for value, wanted in zip(found, energy_and_forces(model, batch), strict=True):
        torch.testing.assert_close(value, wanted)


def test_without_a_compiler_a_warning_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(cpp_builder, "get_cpp_compiler", _none)
    model = small("schnet", torch.float32)
    compiled = CompiledEnergyAndForces(model)
    batch = cast(batch_of(molecules), torch.float32)
    with pytest.warns(UserWarning, match="C.. compiler is missing"):
        found = compiled(batch)
    for value, wanted in zip(found, energy_and_forces(model, batch), strict=True):
        torch.testing.assert_close(value, wanted)


def _none() -> str:
    raise InvalidCxxCompiler
