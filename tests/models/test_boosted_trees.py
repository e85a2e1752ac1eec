"""Boosted trees against scikit-learn's, their descriptors, and what a checkpoint keeps."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from ase.collections import g2
from batches import batch_of, structures
from scipy.spatial.transform import Rotation
from sklearn.ensemble import HistGradientBoostingRegressor

from molcryst_bench.models.components.descriptors import Descriptors, describe
from molcryst_bench.models.components.forest import Forest
from molcryst_bench.models.components.linear_fit import fit_linear
from molcryst_bench.models.registry import create_model


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Threads that wait for each other on a busy machine take most of the time of small fits."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def molecules() -> list[Atoms]:
    return [g2[name] for name in g2.names if len(g2[name]) > 1]


def same(a: Descriptors, b: Descriptors, factor: float = 1.0) -> None:
    torch.testing.assert_close(a.sums, factor * b.sums, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(a.shape, b.shape, rtol=1e-7, atol=1e-7, equal_nan=True)


@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_a_forest_predicts_what_scikit_learn_predicts(missing: float) -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(500, 6))
    y = np.stack([np.sin(x[:, 0]) + x[:, 1] * x[:, 2], x[:, 3] ** 2], axis=1)
    x[random.random(x.shape) < missing] = np.nan
    fitted = [
        HistGradientBoostingRegressor(max_iter=30, max_depth=5, max_features=0.5, random_state=1)
        for _ in range(2)
    ]
    forest = Forest(outputs=2, depth=5)
    forest.plant([model.fit(x, column) for model, column in zip(fitted, y.T, strict=True)])
    unseen = np.concatenate([random.normal(size=(300, 6)) * 2, np.full((1, 6), np.nan)])
    expected = np.stack([model.predict(unseen) for model in fitted], axis=1)
    assert forest(torch.from_numpy(unseen)).numpy() == pytest.approx(expected, abs=1e-12)
    single = unseen.astype(np.float32)
    expected = np.stack([model.predict(single) for model in fitted], axis=1)
    assert forest(torch.from_numpy(single)).numpy() == pytest.approx(expected, abs=1e-12)


def test_residuals_are_those_of_fits_without_each_row() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(40, 3, generator=generator, dtype=torch.float64)
    y = x @ torch.tensor([[1.0], [2.0], [-1.0]]).double() + 5 + 0.1 * x[:, :1] ** 2
    x[0, 1] = torch.nan
    fit = fit_linear(x, y)
    filled = torch.where(x.isnan(), fit.typical, x)
    scaled = (filled - filled.mean(0)) / filled.std(0, correction=0)
    design = torch.cat([scaled, torch.ones(40, 1).double()], dim=1)

    def without(row: int, alpha: float) -> torch.Tensor:
        others = torch.arange(40) != row
        normal = design[others].T @ design[others]
        penalty = alpha * torch.diag(torch.tensor([1.0, 1.0, 1.0, 0.0]).double())
        return y[row] - design[row] @ torch.linalg.solve(
            normal + penalty, design[others].T @ y[others]
        )

    candidates = [
        torch.stack([without(row, 10.0**power) for row in range(40)]) for power in range(-4, 7)
    ]
    best = min(candidates, key=lambda residual: residual.square().sum().item())
    torch.testing.assert_close(fit.residual, best, rtol=0, atol=1e-9)


def test_descriptors_do_not_change_with_rotation_numbering_or_cell() -> None:
    rotation = Rotation.random(rng=0).as_matrix()
    moved, repeated = [], []
    for atoms in structures():
        other = atoms[np.random.default_rng(1).permutation(len(atoms))]
        other.positions = other.positions @ rotation.T + 1.0
        other.cell = other.cell.array @ rotation.T
        moved.append(other)
        repeated.append(atoms.repeat((2, 1, 2)) if atoms.pbc.all() else atoms)
    found = describe(batch_of(structures()))
    same(describe(batch_of(moved)), found)
    crystals = slice(3, 6)
    large = describe(batch_of(repeated[crystals]))
    same(large, Descriptors(*(each[crystals] for each in found)), factor=4)


def test_descriptors_of_water() -> None:
    found = describe(batch_of([molecule("H2O")]))
    assert found.sums[0, [1, 8]].tolist() == [2.0, 1.0]
    assert found.atoms.item() == 3
    assert not found.periodic.item()
    offset = molecule("H2O").positions - molecule("H2O").positions.mean(0)
    radii = np.sqrt(np.clip(np.linalg.eigvalsh(offset.T @ offset / 3), 0, None))
    assert found.shape[0, 2:].numpy() == pytest.approx(radii, abs=1e-7)
    rocksalt = describe(batch_of(structures()[3:4]))
    assert rocksalt.shape[0, 0].item() == pytest.approx(4 * 58.4428 * 1.6605391 / 125, rel=1e-4)


@pytest.mark.parametrize("readout", ["sum", "mean"])
def test_they_learn_geometry_and_a_copy_predicts_the_same(readout: str) -> None:
    batch = batch_of(molecules())
    target = (
        describe(batch).shape[:, 2:].sum(1, keepdim=True)
    )  # extent: no table of elements has it
    models = []
    for _ in range(2):
        torch.manual_seed(3)
        models.append(create_model("boosted_trees", readout=readout, trees=15, learning_rate=0.2))
        models[-1].fit([batch], target)
    prediction = models[0](batch).prediction
    assert torch.equal(prediction, models[1](batch).prediction)
    assert (prediction - target).abs().mean() < 0.3 * (target - target.mean()).abs().mean()
    copy = create_model("boosted_trees", readout=readout, trees=15, learning_rate=0.2)
    copy.load_state_dict(models[0].state_dict())
    assert torch.equal(copy(batch).prediction, prediction)


def test_known_features_count_and_may_be_missing() -> None:
    batch = batch_of(molecules())
    generator = torch.Generator().manual_seed(0)
    batch.features = torch.randn(batch.num_graphs, 2, generator=generator, dtype=torch.float64)
    batch.features[::7, 1] = torch.nan
    target = batch.features[:, :1].sign()
    torch.manual_seed(0)
    model = create_model("boosted_trees", trees=15, learning_rate=0.2)
    model.fit([batch], target)
    assert (model(batch).prediction.sign() == target).double().mean() > 0.95
    del batch.features
    assert torch.isfinite(model(batch).prediction).all()
