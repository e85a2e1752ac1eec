"""Whether attributions say something about the model: tests that random ones fail."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from ase import Atoms
from ase.build import bulk, molecule
from scipy import stats
from scipy.spatial.transform import Rotation

from molcryst_bench.base.errors import RunError
from molcryst_bench.interpret.attributions import METHODS, MOST_STEPS, masked_prediction
from molcryst_bench.interpret.explain import graphs_of, values_of
from molcryst_bench.training.predict import Predictor, split_by_structure
from molcryst_bench.training.regressor import Regressor

RANDOM = "random"  # the method that knows nothing: the test of the tests
_STEPS = np.linspace(0, 1, 11)  # of the share of atoms that are taken away
_FEW_STEPS = 16  # of integrals, where what is tested does not depend on them
_SOME_STEPS = 64  # of those of a network that has learnt nothing
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
    most_steps: int = MOST_STEPS,
    progress: Progress = lambda method: None,
) -> list[Faithfulness]:
    """Test every method that the model allows, and random attributions, on structures.

    Args:
        predictor: a trained model, or an ensemble of seeds: then the first of them is tested.
        structures: of its test set, say.
        methods: names as in ``attribute``; ``random`` is tested, too.
        seed: of random orders, weights, rotations and attributions.
        most_steps: of the integrals of ``integrated``, which are left as they are there.
        progress: told which method is being tested.
    """
    tested = _Tested(predictor, structures, seed, most_steps)
    found = []
    for method in [*methods, RANDOM]:
        progress(method)
        try:
            found.append(tested.by(method))
        except RunError:  # CAM, where the readout is not linear
            continue
    return found


@dataclass(frozen=True)
class _Tested:
    """A model, the structures that it is tested on, and the seed of all that is random."""

    predictor: Predictor
    structures: Sequence[Atoms]
    seed: int
    most_steps: int

    @property
    def model(self) -> Regressor:
        return self.predictor.members[0]

    @cached_property
    def integrated(self) -> list[np.ndarray]:
        return self.values(self.model, self.structures, "integrated")

    @cached_property
    def without_knowledge(self) -> Regressor:
        return _with_random_weights(self.model, self.seed)

    @cached_property
    def symmetric(self) -> list[Atoms]:
        return _symmetric(self.structures)

    def by(self, method: str) -> Faithfulness:
        """Put one method to all tests."""
        values = self.integrated
        if method != "integrated":
            values = self.values(self.model, self.structures, method)
        other = self.values(self.without_knowledge, self.structures, method, 1, _SOME_STEPS)
        equivalent = self.values(self.model, self.symmetric, method, steps=_FEW_STEPS)
        deletion, insertion = _curves(
            self.model, self.predictor, self.structures, values, self.seed
        )
        return Faithfulness(
            method,
            deletion,
            insertion,
            _correlation(values, other),
            _spread_of_equivalent(equivalent, self.symmetric),
            self.change_on_rotation(method),
            _correlation(values, self.integrated),
            self.between_seeds(method, values),
        )

    def values(
        self,
        model: Regressor,
        structures: Sequence[Atoms],
        method: str,
        more: int = 0,
        steps: int | None = None,
    ) -> list[np.ndarray]:
        """Return the attributions of each structure, (atoms,); random ones by the seed and more."""
        if method == RANDOM:
            draw = np.random.default_rng(self.seed + more)
            return [draw.normal(size=len(atoms)) for atoms in structures]
        how = {"steps": steps, "most_steps": self.most_steps}
        found = values_of(model, self.predictor, structures, method, **how)  # type: ignore[arg-type]
        return split_by_structure(found, structures)

    def change_on_rotation(self, method: str) -> float:
        """Return the largest change of a value; it does not depend on the steps of an integral."""
        few = list(self.structures[:8])
        turn = Rotation.random(rng=self.seed).as_matrix()
        turned = [atoms.copy() for atoms in few]
        for atoms in turned:
            atoms.positions = atoms.positions @ turn.T
            atoms.cell = atoms.cell.array @ turn.T
        pairs = zip(
            self.values(self.model, few, method, steps=_FEW_STEPS),
            self.values(self.model, turned, method, steps=_FEW_STEPS),
            strict=True,
        )
        return max(float(np.abs(a - b).max() / max(np.abs(a).max(), 1e-12)) for a, b in pairs)

    def between_seeds(self, method: str, values: list[np.ndarray]) -> Mean | None:
        """Return how like the values are to those of the other seeds, of which there may be none.

        Args:
            method: of the attributions.
            values: of the first model.
        """
        others = self.predictor.members[1:]
        if not others:
            return None
        of_members = [values] + [
            self.values(member, self.structures, method, number)
            for number, member in enumerate(others, start=1)
        ]
        return _mean(np.nanmean([_ranks(a, b) for a, b in pairwise(of_members)], 0))


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


def _symmetric(structures: Sequence[Atoms]) -> list[Atoms]:
    """Return structures in which all atoms of an element are equivalent.

    For crystals these have all twelve nearest neighbours at one distance, so that no list of twelve
    cuts through a shell.
    """
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
