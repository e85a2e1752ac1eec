"""Schedules of the learning rate, by hand and against torch."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from molcryst_bench.training.optimizers import create_optimizer, learning_rate
from molcryst_bench.training.settings import TrainingSettings

STEPS = 50


def rates(errors: list[float] | None = None, **settings: Any) -> list[float]:
    chosen = TrainingSettings(**{"warmup": 0.2, **settings})
    return [learning_rate(chosen, step, STEPS, errors or []) for step in range(STEPS)]


@pytest.mark.parametrize("schedule", ["constant", "cosine", "plateau"])
def test_the_rate_rises_in_equal_steps_to_its_largest_value(schedule: str) -> None:
    found = rates(schedule=schedule)
    assert found[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert max(found) == found[10] == 1.0


def test_cosine_is_half_way_down_in_the_middle_and_ends_near_zero() -> None:
    found = rates(schedule="cosine")
    assert found[30] == pytest.approx(0.5)
    assert found[-1] < 0.01
    assert found[10:] == sorted(found[10:], reverse=True)


def test_one_cycle_is_that_of_torch() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    reference = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=1.0, total_steps=STEPS, pct_start=0.2, cycle_momentum=False
    )
    expected = []
    for _ in range(STEPS):
        expected.append(reference.get_last_lr()[0])
        optimizer.step()
        if len(expected) < STEPS:
            reference.step()
    found = rates(schedule="one_cycle", warmup=(0.2 * STEPS - 1) / STEPS)
    assert found == pytest.approx(expected, abs=1e-12)


def test_plateau_halves_the_rate_whenever_patience_ends() -> None:
    settings = {"schedule": "plateau", "plateau_patience": 2, "warmup": 0.0}
    for errors, rate in [
        ([3.0, 2.0, 1.0], 1.0),
        ([3.0, 2.0, 2.5, 2.1], 0.5),
        ([3.0, 2.0, 2.5, 1.0, 1.5, 1.2], 0.5),
        ([1.0, 2.0, 2.0, 2.0, 2.0], 0.25),
    ]:
        assert rates(errors, **settings)[0] == rate


@pytest.mark.parametrize("name", ["sgd", "torch_adam", "torch_adamw", "lamb"])
def test_optimisers_take_rate_and_decay_and_fall_on_a_bowl(name: str) -> None:
    weights = torch.nn.Parameter(torch.tensor([3.0, -2.0]))
    settings = TrainingSettings(optimizer=name, learning_rate=0.05, weight_decay=0.01)
    optimizer = create_optimizer([weights], settings)
    group = optimizer.param_groups[0]
    assert (group["lr"], group["weight_decay"]) == (0.05, 0.01)
    for _ in range(100):
        optimizer.zero_grad()
        weights.square().sum().backward()
        optimizer.step()
    assert weights.square().sum().item() < 1.0


@pytest.mark.parametrize("name", ["sgd", "torch_adam", "torch_adamw"])
def test_the_fused_optimiser_takes_the_steps_of_the_plain_one(name: str) -> None:
    generator, results = torch.Generator().manual_seed(0), []
    start, pull = torch.randn(2, 20, generator=generator, dtype=torch.float64)
    for precision in ("64-true", "16-mixed"):  # fused and not
        weights = torch.nn.Parameter(start.clone())
        settings = TrainingSettings(optimizer=name, precision=precision, weight_decay=0.1)
        optimizer = create_optimizer([weights], settings)
        assert bool(optimizer.param_groups[0]["fused"]) == (precision == "64-true")
        for _ in range(20):
            weights.grad = weights.detach() - pull
            optimizer.step()
        results.append(weights.detach())
    torch.testing.assert_close(*results, rtol=1e-12, atol=1e-12)
