"""Scores of the transfer benchmark as runs leave them, made by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from molcryst_bench.base.files import write_json
from molcryst_bench.dynamics.record import (
    ClassScore,
    Curve,
    ForceErrors,
    TransferScore,
    write_score,
)
from molcryst_bench.dynamics.transfer_plan import DYNAMICS
from molcryst_bench.dynamics.transfers import INDEX


def of_class(name: str, shift: float) -> ClassScore:
    edges = np.linspace(1.3, 1.7, 21)
    middle = (edges[1:] + edges[:-1]) / 2
    return ClassScore(
        name=name,
        kind="length",
        unit="Å",
        members=1,
        edges=edges.tolist(),
        mean=1.5 + shift,
        deviation=0.03,
        curve=around(middle, 1.5 + shift),
        reference_mean=1.5,
        reference_deviation=0.03,
        reference_curve=around(middle, 1.5),
        distance=abs(shift),
        distance_low=abs(shift) / 2,
        distance_high=2 * abs(shift),
        noise=0.001,
        own_noise=0.001,
        scale=0.03,
    )


def around(middle: np.ndarray, mean: float) -> Curve:
    density = np.exp(-(((middle - mean) / 0.03) ** 2) / 2) / (0.03 * np.sqrt(2 * np.pi))
    return Curve(
        density=density.tolist(), low=(0.9 * density).tolist(), high=(1.1 * density).tolist()
    )


def score_of(model: str, molecule: str, shift: float) -> TransferScore:
    return TransferScore(
        task="xtb/ethanol",
        model=model,
        seed=0,
        molecule=molecule,
        key="0",
        replicas=8,
        length=1000,
        time_step=0.5,
        survival=1.0,
        drift=(0.1, 0.05, 0.15),
        temperature=(480, 470, 490),
        forces=ForceErrors(unit="kcal/mol/Å", mae=0.5 + shift, size=15.0, frames=100),
        reference="GFN2-xTB",
        reference_frames=300,
        classes=(of_class("C-C <near O>", shift), of_class("C-O", shift / 2)),
        score=abs(shift) / 0.03,
        best=0.03,
    )


def failed(model: str, molecule: str) -> TransferScore:
    nothing = {"drift": None, "temperature": None, "forces": None, "classes": (), "score": None}
    end = {"failed": 8, "first_failure": 12.5, "reasons": ("the bond <b>C-C</b> broke",)}
    return score_of(model, molecule, 0.1).model_copy(update={**nothing, **end, "survival": 0.02})


def put_transfers(leaderboard: Path) -> None:
    """Give a leaderboard runs of two models, one of which fails away from home."""
    scores = [
        score_of("schnet", "ethanol", 0.002),
        score_of("schnet", "n-propanol", 0.02),
        score_of("ridge", "ethanol", 0.01),
        failed("ridge", "n-propanol"),
    ]
    folder = leaderboard / DYNAMICS
    for score in scores:
        write_score(folder / score.name, score)
    write_json(folder / INDEX, sorted(score.name for score in scores))
