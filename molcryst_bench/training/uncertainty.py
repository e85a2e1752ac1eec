r"""Intervals that hold the truth as often as they say, from errors on the validation subset.

Split conformal prediction (Vovk, Gammerman, Shafer, *Algorithmic Learning in a Random World*, 2005;
Lei et al., J. Am. Stat. Assoc. 113, 1094 (2018), doi 10.1080/01621459.2017.1307116). With the
absolute errors of :math:`n` records that the model was not trained on, the interval

.. math:: \hat y \pm q, \qquad q = |e|_{(k)}, \qquad k = \lceil (n + 1)\, c \rceil

holds the truth of a new record with a probability of at least :math:`c`, whatever the model and the
distribution, as long as the new record and those :math:`n` are exchangeable. It says nothing about
structures of another kind. The validation subset also chose the epoch whose weights were kept, so
intervals are narrower than they should be by as much as that choice has fitted it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from molcryst_bench.base.errors import RunError, SettingsError

CALIBRATION = "calibration.safetensors"
_RESIDUALS = "residuals"
_ROUNDING = 1e-9  # (n + 1) c may be a whole number but for the last digit


class Coverage(NamedTuple):
    """How good the intervals of one coverage are on a subset."""

    coverage: float  # part of the targets within their interval
    width: float  # mean width of the intervals, in the unit of the target


@dataclass(frozen=True)
class Calibration:
    """Errors of a model on the validation subset, in its order.

    The order matters where models are averaged: the errors of the mean are the means of the errors.
    """

    residuals: np.ndarray  # (records,) prediction - target, float64 in the unit of the target

    @classmethod
    def of_mean(cls, calibrations: Sequence[Calibration]) -> Calibration:
        """Return that of the mean of several models with the same validation subset."""
        return cls(np.mean([each.residuals for each in calibrations], axis=0))

    def half_width(self, coverage: float) -> float:
        """Return half the width of the interval that holds the truth with probability ``coverage``.

        Raises:
            SettingsError: if the coverage is not between 0 and 1.
            RunError: if there are too few validation records to say.
        """
        if not 0 < coverage < 1:
            raise SettingsError(f"the coverage of an interval is between 0 and 1, not {coverage:g}")
        size = len(self.residuals)
        rank = math.ceil((size + 1) * coverage - _ROUNDING)
        if rank > size:
            least = math.ceil(coverage / (1 - coverage) - _ROUNDING)
            message = f"intervals of {100 * coverage:g} % need {least:,} validation records"
            raise RunError(f"{message}, this model has {size:,}: ask for less")
        return float(np.partition(np.abs(self.residuals), rank - 1)[rank - 1])

    def measure(
        self, prediction: np.ndarray, target: np.ndarray, coverage: float
    ) -> Coverage | None:
        """Count how often intervals hold the truth, or nothing with too few validation records.

        Args:
            prediction: (items,) of records that are not in the validation subset.
            target: (items,) their true values.
            coverage: that the intervals promise.
        """
        try:
            half = self.half_width(coverage)
        except RunError:
            return None
        within = np.abs(prediction - target) <= half  # (items,)
        return Coverage(float(within.mean()), 2 * half)

    def levels(self, prediction: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Return from which coverage on the interval of each item holds its true value.

        Intervals of more than :math:`n / (n + 1)` have no bounds, so they hold it in any case.

        Args:
            prediction: (items,) of records that are not in the validation subset.
            target: (items,) their true values.

        Returns:
            (items,) between 0 and 1, for ``coverage_at`` and ``miscalibration_area``.
        """
        sizes = np.sort(np.abs(self.residuals))
        below = np.searchsorted(sizes, np.abs(prediction - target), side="left")
        return np.asarray(below / (len(sizes) + 1))


def save_calibration(folder: Path, calibration: Calibration) -> None:
    """Write ``calibration.safetensors`` into an existing folder."""
    residuals = torch.from_numpy(calibration.residuals)
    (folder / CALIBRATION).write_bytes(save({_RESIDUALS: residuals}))


def load_calibration(folder: Path) -> Calibration | None:
    """Read the calibration of a trained model, or nothing where an older version made it.

    Raises:
        RunError: if the file is damaged.
    """
    path = folder / CALIBRATION
    if not path.exists():
        return None
    try:
        return Calibration(load_file(path)[_RESIDUALS].double().numpy())
    except (OSError, SafetensorError, KeyError) as error:
        raise RunError(f"{path} does not hold errors of a validation subset: {error}") from error
