r"""How well a model's dynamics of a molecule agree with the truth.

For each class of bond lengths and bond angles there is the first Wasserstein distance :math:`d_c`
of the model's distribution from that of the reference. It counts at least as the noise
:math:`f_c`, the distance of halves of the reference or of the run from one another, so that luck
counts for nothing, and in parts of :math:`g_c`, how far two frames of the reference, drawn at
random, differ in the mean. With the part :math:`s` of its time that a replica lasts in the mean,
the transfer score is

.. math:: S = \frac{s}{1 + G}, \qquad G = \exp \frac{1}{C} \sum_c \ln \frac{\max(d_c, f_c)}{g_c}

It is 1 for exact dynamics that last, 1/2 where distributions are as far from the truth as two
frames from one another, and 0 for a molecule that falls apart at once. It never falls when a
distance or the number of failures does. Torsions do not count, because they take longer to sample
than runs of small molecules last; their distances are told.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms

from molcryst_bench.dynamics.conservation import energy_drift, lifetime, mean_temperature
from molcryst_bench.dynamics.coordinates import CoordinateClass, coordinate_classes
from molcryst_bench.dynamics.record import ClassScore, Curve
from molcryst_bench.dynamics.samples import Histogram, Sample, bins_for, distance, noise
from molcryst_bench.dynamics.trajectory import Trajectory

if TYPE_CHECKING:
    from molcryst_bench.dynamics.reference import Reference

_TURN = 360.0  # degrees


def score_classes(run: Trajectory, start: Atoms, reference: Reference | None) -> list[ClassScore]:
    """Compare all classes of bond lengths, angles and torsions with those of a reference.

    Args:
        run: of one molecule; frames of replicas that have failed are not finite.
        start: the molecule at rest, with its atoms in the order of the run.
        reference: of the same molecule, or nothing.
    """
    others: dict[tuple[str, str], CoordinateClass] = {}
    if reference is not None:
        classes = coordinate_classes(reference.typical(start))
        others = {(each.kind, each.name): each for each in classes}
    found = []
    for each in coordinate_classes(start):
        period = _TURN if each.kind == "torsion" else None
        other = others.get((each.kind, each.name))
        truth = reference.sample(other, period) if reference and other else None
        found.append(_compare(each, _sample(run, each, period), truth))
    return found


def transfer_score(classes: Sequence[ClassScore], survival: float) -> float | None:
    """Return the score, or nothing where there is nothing to compare with.

    A run of which no frame is left has lasted no time: its score is 0.
    """
    if not any(each.scale for each in classes):
        return None
    parts = [max(c.distance or 0.0, c.least) / c.scale for c in classes if c.counts and c.scale]
    return _score(parts, survival) if parts else 0.0


def best_score(classes: Sequence[ClassScore]) -> float | None:
    """Return the score of a run that lasts, with distances that are all noise."""
    parts = [each.least / each.scale for each in classes if each.counts and each.scale]
    return _score(parts, 1.0) if parts else None


def run_facts(run: Trajectory, length: float) -> dict[str, Any]:
    """Return drift, temperature and failures of a run, by the names of a ``TransferScore``."""
    lasted = lifetime(run, length)
    return {
        "replicas": lasted.replicas,
        "length": length,
        "failed": lasted.failed,
        "first_failure": lasted.first,
        "reasons": lasted.reasons,
        "survival": lasted.survival,
        "drift": energy_drift(run),
        "temperature": mean_temperature(run),
    }


def _score(parts: Sequence[float], survival: float) -> float:
    return survival / (1 + float(np.exp(np.log(parts).mean())))


def _sample(run: Trajectory, of: CoordinateClass, period: float | None) -> Sample | None:
    """Return the values of each replica as far as it has come."""
    values = of.values(run.positions)  # (frames, replicas, members)
    units = [values[np.isfinite(values[:, r]).all(1), r].ravel() for r in range(run.replicas)]
    units = [unit for unit in units if unit.size]
    return Sample(tuple(units), period) if units else None


def _compare(of: CoordinateClass, own: Sample | None, truth: Sample | None) -> ClassScore:
    samples = [sample for sample in (own, truth) if sample is not None]
    if not samples:
        return ClassScore(**_named(of), edges=[])
    edges = bins_for(samples)
    return ClassScore(
        **_named(of),
        edges=edges.tolist(),
        **({} if own is None else _of_run(own, edges)),
        **({} if truth is None else _of_reference(truth, edges)),
        **({} if own is None or truth is None else _distances(own, truth)),
    )


def _named(of: CoordinateClass) -> dict[str, Any]:
    return {"name": of.name, "kind": of.kind, "unit": of.unit, "members": len(of.members)}


def _of_run(own: Sample, edges: np.ndarray) -> dict[str, Any]:
    curve = _curve(own.histogram(edges))
    found = {"mean": own.mean, "deviation": own.deviation, "curve": curve}
    return found | ({"own_noise": noise(own)} if len(own.units) > 1 else {})


def _of_reference(truth: Sample, edges: np.ndarray) -> dict[str, Any]:
    return {
        "reference_mean": truth.mean,
        "reference_deviation": truth.deviation,
        "reference_curve": _curve(truth.histogram(edges)),
        "noise": noise(truth),
        "scale": truth.mean_difference(),
    }


def _distances(own: Sample, truth: Sample) -> dict[str, Any]:
    found = distance(own, truth)
    return {"distance": found.value, "distance_low": found.low, "distance_high": found.high}


def _curve(of: Histogram) -> Curve:
    return Curve(density=of.density.tolist(), low=of.low.tolist(), high=of.high.tolist())
