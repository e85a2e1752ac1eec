"""The moving average of the weights against a plain loop."""

from __future__ import annotations

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from molcryst_bench.training.averaging import MovingAverage

DECAY, STEPS = 0.9, 300


def test_it_forgets_the_beginning_and_then_decays() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)).double()
    averaged = AveragedModel(model, use_buffers=True, **MovingAverage(DECAY)._kwargs)
    seen, expected = [], torch.empty(0)
    for step in range(STEPS):
        for weight in model.parameters():
            nn.init.normal_(weight)
        model[1].num_batches_tracked += 1
        averaged.update_parameters(model)
        now = model[0].weight.detach().clone()
        seen.append(now)
        share = 1.0 if step == 0 else 1 - min(DECAY, (1 + step) / (10 + step))
        expected = now if step == 0 else expected + share * (now - expected)
    found = averaged.module[0].weight
    torch.testing.assert_close(found, expected)
    assert int(averaged.module[1].num_batches_tracked) == STEPS
    last = sum((1 - DECAY) * DECAY**age * old for age, old in enumerate(reversed(seen)))
    torch.testing.assert_close(found, last, atol=1e-8, rtol=0)
