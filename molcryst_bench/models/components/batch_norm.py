"""Batch normalisation that leaves out padding."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from molcryst_bench.models.components.over_ranks import ranks, sum_over_ranks

_MOMENTUM = 0.1


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation over all dimensions but the last, of what a mask does not leave out.

    It has the parameters and the running statistics of PyTorch's. A batch of fewer than two values
    has no spread: it is normalised by the running statistics in training too. Where several ranks
    share a batch, mean and variance are those of all of it, on any device.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, features: int) -> None:
        super().__init__(features, momentum=_MOMENTUM)

    def forward(
        self, values: Tensor, count: int | None = None, mask: Tensor | None = None
    ) -> Tensor:
        """Normalise each feature.

        Args:
            values: (..., features).
            count: how many values of a feature are no padding.
            mask: (...) which values are no padding; all of them by default.
        """
        count = len(values) if count is None else count
        if self.training and ranks() > 1:
            return self._over_ranks(values, count, mask)
        if not self.training or count < 2:
            return self._normalised(values, self.running_mean, self.running_var)
        if mask is None:
            return super().forward(values)
        values = values.to(torch.promote_types(values.dtype, torch.float32))
        weight = mask.unsqueeze(-1).to(values.dtype) / count  # (..., 1)
        others = list(range(values.dim() - 1))
        mean = (values * weight).sum(others)  # (features,)
        variance = ((values - mean).square() * weight).sum(others)
        self.follow(mean, variance, count)
        return self._normalised(values, mean, variance)

    def _over_ranks(self, values: Tensor, count: int, mask: Tensor | None) -> Tensor:
        values = values.to(torch.promote_types(values.dtype, torch.float32))
        weight = 1.0 if mask is None else mask.unsqueeze(-1).to(values.dtype)  # (..., 1)
        others = list(range(values.dim() - 1))
        sums = (values * weight).sum(others)  # (features,)
        counted = torch.cat([sums, sums.new_full((1,), count)])  # (features + 1,)
        sums, total = sum_over_ranks(counted).tensor_split([len(sums)])
        mean = sums / total
        squares = ((values - mean).square() * weight).sum(others)
        variance = sum_over_ranks(squares) / total
        has_spread = total >= 2  # asked on the device, which is not to be waited for
        mean = torch.where(has_spread, mean, self.running_mean)
        variance = torch.where(has_spread, variance, self.running_var)
        self.follow(mean, variance, total)
        return self._normalised(values, mean, variance)

    @torch.no_grad()
    def follow(self, mean: Tensor, variance: Tensor, count: Tensor | int) -> None:
        """Bring the running statistics closer to those of a batch.

        Args:
            mean: (features,) of the batch.
            variance: (features,) around it.
            count: of values of a feature, which makes the variance one without bias.
        """
        rest = count - 1 if isinstance(count, int) else (count - 1).clamp(min=1)
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean, _MOMENTUM)
        self.running_var.lerp_(variance * (count / rest), _MOMENTUM)

    def _normalised(self, values: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        scale = self.weight * torch.rsqrt(variance + self.eps)  # (features,)
        return values * scale + (self.bias - mean * scale)
