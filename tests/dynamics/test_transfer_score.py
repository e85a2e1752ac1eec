"""The transfer score: one for the truth, less for what is further from it or does not last."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from handmade_runs import canonical_frames, run_of

from molcryst_bench.base.errors import StoreError
from molcryst_bench.dynamics.molecules import known_molecules
from molcryst_bench.dynamics.record import ClassScore
from molcryst_bench.dynamics.reference import Reference
from molcryst_bench.dynamics.score import best_score, score_classes, transfer_score
from molcryst_bench.dynamics.trajectory import Trajectory

ETHANOL = known_molecules()["ethanol"]


def reference_of(atoms: Atoms, frames: int = 400, seed: int = 9) -> Reference:
    positions = canonical_frames(atoms, frames, 1, seed=seed)[:, 0]
    unseen = np.ones(frames, bool)
    return Reference(atoms.numbers, positions, np.zeros_like(positions), unseen, "frames of a test")


def classes_of(run: Trajectory, reference: Reference | None) -> dict[str, ClassScore]:
    return {each.name: each for each in score_classes(run, ETHANOL, reference)}


def stretched(by: float) -> np.ndarray:
    """Return frames of an ethanol whose bond from carbon to oxygen is longer."""
    start = ETHANOL.copy()
    start.set_distance(1, 2, start.get_distance(1, 2) + by, fix=0, indices=[2, 3])
    return canonical_frames(start, 100, 8)


def test_the_truth_scores_as_well_as_noise_allows() -> None:
    classes = list(classes_of(run_of(ETHANOL, stretched(0.0)), reference_of(ETHANOL)).values())
    score, best = transfer_score(classes, 1.0), best_score(classes)
    assert score is not None
    assert best is not None
    assert 0.85 < score <= best < 1
    assert score == pytest.approx(best, abs=0.03)


def test_a_longer_bond_has_the_distance_that_it_is_longer_by() -> None:
    classes = classes_of(run_of(ETHANOL, stretched(0.05)), reference_of(ETHANOL))
    bond = classes["C-O"]
    assert bond.unit == "Å"
    assert bond.distance == pytest.approx(0.05, abs=0.004)
    assert bond.distance_low is not None
    assert bond.distance_high is not None
    assert bond.distance_low < 0.05 < bond.distance_high
    untouched = classes["C-H"]
    assert untouched.distance is not None
    assert untouched.distance < 2 * untouched.least


def test_the_score_falls_with_distance_and_with_failures() -> None:
    reference = reference_of(ETHANOL)
    runs = [run_of(ETHANOL, stretched(by)) for by in (0.0, 0.05, 0.1, 0.3)]
    classes = [list(classes_of(run, reference).values()) for run in runs]
    scores = [transfer_score(each, 1.0) for each in classes]
    assert scores == sorted(scores, reverse=True)  # type: ignore[type-var]
    assert len(set(scores)) == 4
    whole = scores[0]
    assert whole is not None
    assert transfer_score(classes[0], 0.25) == pytest.approx(whole / 4)


def test_torsions_are_told_but_do_not_count() -> None:
    classes = classes_of(run_of(ETHANOL, stretched(0.0)), reference_of(ETHANOL))
    torsion = classes["C-C-O-H"]
    assert torsion.distance is not None
    assert not torsion.counts
    assert sum(each.counts for each in classes.values()) == 9


def test_frames_after_a_failure_do_not_count() -> None:
    positions = stretched(0.0)
    positions[50:, 3] = np.nan
    classes = classes_of(run_of(ETHANOL, positions), reference_of(ETHANOL))
    assert classes["C-O"].distance is not None
    assert np.isfinite(classes["C-O"].distance)


def test_a_molecule_that_falls_apart_at_once_scores_zero() -> None:
    nothing = np.full((0, 8, len(ETHANOL), 3), np.nan)
    classes = list(classes_of(run_of(ETHANOL, nothing), reference_of(ETHANOL)).values())
    assert all(each.distance is None and each.mean is None for each in classes)
    assert transfer_score(classes, 0.0) == 0


def test_without_a_reference_there_are_distributions_but_no_score() -> None:
    classes = list(classes_of(run_of(ETHANOL, stretched(0.0)), None).values())
    assert transfer_score(classes, 1.0) is None
    assert best_score(classes) is None
    assert all(each.curve is not None and each.distance is None for each in classes)


def test_atoms_of_the_reference_may_be_in_another_order() -> None:
    order = [8, 2, 5, 0, 1, 7, 3, 4, 6]
    same = classes_of(run_of(ETHANOL, stretched(0.05)), reference_of(ETHANOL[order]))
    assert same["C-O"].distance == pytest.approx(0.05, abs=0.004)


def test_another_molecule_is_no_reference() -> None:
    other = reference_of(known_molecules()["n-propanol"], 5)
    with pytest.raises(StoreError, match="C2H6O"):
        classes_of(run_of(ETHANOL, stretched(0.0)), other)
