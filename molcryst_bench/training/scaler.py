"""Targets as models like them: centred, of unit spread, without what the elements alone explain."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from molcryst_bench.models.components.composition import ELEMENTS, element_counts

_NO_SPREAD = 1e-12


class Scaler(nn.Module):
    r"""The affine map :math:`y = s\,\hat y + m + \sum_i r_{z_i}` from model outputs to a target.

    For an intensive target :math:`m` is the mean over the training set. For an extensive one
    :math:`m = 0` and :math:`r` are references per element, the least-squares fit of the target on
    the numbers of atoms. :math:`s` is the standard deviation of what remains, or, where forces are
    learnt with energies, the root mean square of the components of the forces, which are by far
    the more numbers. Everything is in float64 and in the unit of the target: total energies lose
    what matters in float32.
    """

    mean: Tensor
    scale: Tensor
    references: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros((), dtype=torch.float64))
        self.register_buffer("scale", torch.ones((), dtype=torch.float64))
        self.register_buffer("references", torch.zeros(ELEMENTS, dtype=torch.float64))

    def fit(
        self,
        batches: Iterable[Any],
        targets: Tensor,
        use_references: bool,
        forces: Tensor | None = None,
    ) -> None:
        """Set mean, references and scale.

        Args:
            batches: of all training graphs, in order.
            targets: (graphs,) values in the same order.
            use_references: whether the target grows with the number of atoms.
            forces: (nodes, 3) minus the gradient of the targets, if it is learnt, too.
        """
        targets = targets.double()
        if use_references:
            counts = torch.cat([element_counts(batch) for batch in batches])  # (graphs, elements)
            # The divide-and-conquer driver copes with elements that no graph has.
            solution = torch.linalg.lstsq(counts, targets[:, None], driver="gelsd").solution
            self.references.copy_(solution[:, 0])
            remainder = targets - counts @ self.references
        else:
            self.mean.copy_(targets.mean())
            remainder = targets - self.mean
        self.scale.copy_(_spread(remainder) if forces is None else _size(forces.double()))

    def normalise(self, targets: Tensor, batch: Any) -> Tensor:
        """Return targets (graphs,) as the model should predict them."""
        return (targets - self._baseline(batch)) / self.scale

    def restore(self, outputs: Tensor, batch: Any) -> Tensor:
        """Return model outputs (graphs,) in the unit of the target, in float64."""
        return outputs.double() * self.scale + self._baseline(batch)

    def _baseline(self, batch: Any) -> Tensor:
        return element_counts(batch) @ self.references + self.mean


def _size(values: Tensor) -> Tensor:
    """Return the root mean square; values that are all zero are left unscaled."""
    size = values.square().mean().sqrt()
    return torch.where(size > _NO_SPREAD, size, torch.ones_like(size))


def _spread(values: Tensor) -> Tensor:
    """Return the standard deviation; a constant target is left unscaled."""
    spread = values.std(correction=0)
    return torch.where(spread > _NO_SPREAD, spread, torch.ones_like(spread))
