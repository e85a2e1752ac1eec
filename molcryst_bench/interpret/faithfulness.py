"""Whether attributions say something about the model: tests that random ones fail."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from ase import Atoms
from ase.build import bulk, molecule
from scipy import stats
from scipy.spatial.transform import Rotation

from molcryst_bench.base.errors import RunError
from molcryst_bench.interpret.attributions import METHODS, masked_prediction
from molcryst_bench.interpret.explain import graphs_of, values_of
from molcryst_bench.training.predict import Predictor, split_by_structure
from molcryst_bench.training.regressor import Regressor

RANDOM = "random"  # the method that knows nothing: the test of the tests
_STEPS = np.linspace(0, 1, 11)  # of the share of atoms that are taken away
_ORDERS = 5  # random ones to compare with, for each structure
_SYMMETRIC = ("CH4", "C6H6", "C2H4", "C2H2", "NH3")  # in these, atoms of an element are equivalent


class Mean(NamedTuple):
    """A mean over structures with 95 % bounds."""

    value: float
    low: float
    high: float


class Faithfulness(NamedTuple):
    """How one method of one model does in each test."""

    method: str
    deletion: Mean  # 0: as random orders; 1: the first tenth of the atoms decides it all
    insertion: Mean  # the same for atoms that are brought back
    with_random_weights: Mean  # rank correlation with attributions of a network of random weights
    equivalent_atoms: float  # largest difference between equivalent atoms over the largest value
    rotation: float  # largest change of a value on rotation over the largest value
    with_integrated: Mean  # rank correlation with integrated gradients
    between_seeds: Mean | None  # rank correlation between the models of an ensemble


Progress = Callable[[str], None]


def check(
    predictor: Predictor,
    structures: Sequence[Atoms],
    methods: Sequence[str] = tuple(METHODS),
    *,
    seed: int = 0,
    progress: Progress = lambda method: None,
) -> list[Faithfulness]:
    """Test every method that the model allows, and random attributions, on structures.

    Args:
        predictor: a trained model, or an ensemble of seeds: then the first of them is tested.
        structures: of its test set, say.
        methods: names as in ``attribute``; ``random`` is tested, too.
        seed: of random orders, weights, rotations and attributions.
        progress: told which method is being tested.
    """
    found = []
    for method in [*methods, RANDOM]:
        progress(method)
        try:
            found.append(_check(predictor, structures, method, seed))
        except RunError:  # CAM, where the readout is not linear
            continue
    return found


def _check(
    predictor: Predictor, structures: Sequence[Atoms], method: str, seed: int
) -> Faithfulness:
    model = predictor.members[0]
    values = _values(model, predictor, structures, method, seed)
    other = _values(_with_random_weights(model, seed), predictor, structures, method, seed + 1)
    integrated = _values(model, predictor, structures, "integrated", seed)
    symmetric = _symmetric(predictor, structures)
    deletion, insertion = _curves(model, predictor, structures, values, seed)
    return Faithfulness(
        method,
        deletion,
        insertion,
        _correlation(values, other),
        _spread_of_equivalent(_values(model, predictor, symmetric, method, seed), symmetric),
        _change_on_rotation(model, predictor, structures, method, seed),
        _correlation(values, integrated),
        _between_seeds(predictor, structures, method, seed),
    )


def _values(
    model: Regressor, predictor: Predictor, structures: Sequence[Atoms], method: str, seed: int
) -> list[np.ndarray]:
    """Return the attributions of each structure, (atoms,)."""
    if method == RANDOM:
        draw = np.random.default_rng(seed)
        return [draw.normal(size=len(atoms)) for atoms in structures]
    return split_by_structure(values_of(model, predictor, structures, method), structures)


def _curves(
    model: Regressor,
    predictor: Predictor,
    structures: Sequence[Atoms],
    values: Sequence[np.ndarray],
    seed: int,
) -> tuple[Mean, Mean]:
    r"""Take away or bring back atoms by the size of their values, and compare with random orders.

    With :math:`D` the mean change of the prediction, :math:`|y_k - y|`, over the share of atoms
    that are gone, scores are :math:`(D - D_\mathrm{random}) / |y - y_0|_\mathrm{mean}` for
    deletion, and the negative of the same for insertion, where the most important come back first.
    """
    draw = np.random.default_rng(seed)
    chance = [[draw.random(len(v)) for v in values] for _ in range(_ORDERS)]
    sizes = [np.abs(v) for v in values]
    scores = []
    for insert in (False, True):
        ours, scale = _area(model, predictor, structures, sizes, insert)
        others = [_area(model, predictor, structures, order, insert)[0] for order in chance]
        gain = (ours - np.mean(others, 0)) / max(float(scale.mean()), 1e-12)
        scores.append(_mean(-gain if insert else gain))
    return scores[0], scores[1]


def _area(
    model: Regressor,
    predictor: Predictor,
    structures: Sequence[Atoms],
    importance: Sequence[np.ndarray],
    insert: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean change of each prediction over the steps, and its change without any atom."""
    batch = graphs_of(predictor, structures)
    rank = np.concatenate([np.argsort(np.argsort(-v)) / len(v) for v in importance])
    dtype = torch.float32
    curves = []
    for share in _STEPS:
        first = torch.from_numpy(rank < share - 1e-9)
        kept = first if insert else ~first
        curves.append(masked_prediction(model.model, batch, kept.to(dtype)))
    table = torch.stack(curves).double().numpy()  # (steps, structures)
    whole, nothing = (table[-1], table[0]) if insert else (table[0], table[-1])
    change = np.abs(table - whole)
    return np.trapezoid(change, _STEPS, axis=0), np.abs(whole - nothing)


def _with_random_weights(model: Regressor, seed: int) -> Regressor:
    """Return the model with the numbers of each weight in random order (Adebayo et al., 2018).

    Their sizes are as before, what they have learnt is gone (arXiv 1810.03292).
    """
    other = copy.deepcopy(model)
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weights in other.model.parameters():
            order = torch.randperm(weights.numel(), generator=draw)
            weights.copy_(weights.flatten()[order].view_as(weights))
    return other


def _symmetric(predictor: Predictor, structures: Sequence[Atoms]) -> list[Atoms]:
    """Return structures in which all atoms of an element are equivalent.

    For crystals these have all twelve nearest neighbours at one distance, so that no list of twelve
    cuts through a shell.
    """
    del predictor
    if not any(atoms.pbc.any() for atoms in structures):
        return [molecule(name) for name in _SYMMETRIC]
    gold = bulk("Cu", "fcc", a=3.75, cubic=True)
    gold.numbers[0] = 79  # Cu3Au
    iron = bulk("Ni", "fcc", a=3.55, cubic=True)
    iron.numbers[0] = 26  # Ni3Fe
    return [gold, iron]


def _spread_of_equivalent(values: Sequence[np.ndarray], structures: Sequence[Atoms]) -> float:
    largest = 0.0
    for found, atoms in zip(values, structures, strict=True):
        scale = max(float(np.abs(found).max()), 1e-12)
        for element in set(atoms.numbers.tolist()):
            largest = max(largest, float(np.ptp(found[atoms.numbers == element])) / scale)
    return largest


def _change_on_rotation(
    model: Regressor, predictor: Predictor, structures: Sequence[Atoms], method: str, seed: int
) -> float:
    few = list(structures[:8])
    turn = Rotation.random(rng=seed).as_matrix()
    turned = [atoms.copy() for atoms in few]
    for atoms in turned:
        atoms.positions = atoms.positions @ turn.T
        atoms.cell = atoms.cell.array @ turn.T
    pairs = zip(
        _values(model, predictor, few, method, seed),
        _values(model, predictor, turned, method, seed),
        strict=True,
    )
    return max(float(np.abs(a - b).max() / max(np.abs(a).max(), 1e-12)) for a, b in pairs)


def _between_seeds(
    predictor: Predictor, structures: Sequence[Atoms], method: str, seed: int
) -> Mean | None:
    if len(predictor.members) < 2:
        return None
    of_members = [
        _values(member, predictor, structures, method, seed + number)
        for number, member in enumerate(predictor.members)
    ]
    ranks = [_ranks(a, b) for a, b in pairwise(of_members)]
    return _mean(np.nanmean(ranks, 0))


def _correlation(a: Sequence[np.ndarray], b: Sequence[np.ndarray]) -> Mean:
    return _mean(_ranks(a, b))


def _ranks(a: Sequence[np.ndarray], b: Sequence[np.ndarray]) -> np.ndarray:
    """Return Spearman's correlation of the sizes of values for each structure, (structures,)."""

    def one(x: np.ndarray, y: np.ndarray) -> float:
        x, y = np.abs(x).round(12), np.abs(y).round(12)
        constant = len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0
        return np.nan if constant else float(stats.spearmanr(x, y).statistic)

    return np.array([one(x, y) for x, y in zip(a, b, strict=True)])


def _mean(values: np.ndarray) -> Mean:
    known = values[np.isfinite(values)]
    if len(known) < 2:
        return Mean(*[float("nan")] * 3)
    half = float(stats.t.ppf(0.975, len(known) - 1) * stats.sem(known))
    return Mean(float(known.mean()), float(known.mean()) - half, float(known.mean()) + half)
