"""The elements as CGCNN sees them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase.data import covalent_radii
from element_source import build_table

from molcryst_bench.models.components.element_features import element_features
from molcryst_bench.models.components.element_table import TABLE

SIZES = (19, 7, 10, 10, 12, 10, 10, 4, 10)


def categories(number: int) -> list[int | None]:
    """The category of each property."""
    parts = element_features()[number].split(SIZES)
    return [int(part.argmax()) if part.any() else None for part in parts]


def test_the_table_is_that_of_pymatgen() -> None:
    assert build_table() == TABLE


def test_radii_agree_with_those_of_ase() -> None:
    """Both are from Cordero et al.; pymatgen averages over the states of four elements."""
    radii = {int(row[0]): row[5] for row in map(str.split, TABLE.splitlines())}
    for number in set(range(1, 97)) - {6, 25, 26, 27}:
        assert int(radii[number]) == np.rint(100 * covalent_radii[number])


def test_shape() -> None:
    features = element_features()
    assert features.shape == (119, 92)
    assert set(features.unique().tolist()) == {0.0, 1.0}
    assert not features[0].any()
    for part in features.split(SIZES, dim=1):
        assert (part.sum(1) <= 1).all()


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        # Those of lithium and carbon are as in the authors' published vectors.
        (3, [1, 1, 1, 4, 0, 1, 5, 0, 3]),
        (6, [14, 1, 5, 2, 3, 5, 6, 1, 0]),
        # Helium has no electronegativity, and its electrons are in an s shell.
        (2, [18, 0, None, 0, 1, 9, 3, 0, 5]),
        (30, [12, 3, 3, 4, 11, 4, 3, 2, 2]),
        # Ytterbium has no group; 16 valence electrons count as 12.
        (70, [0, 5, 1, 7, 11, 2, 4, 3, 6]),
        (118, [18, 6, None, None, 7, None, 4, 1, None]),
    ],
)
def test_values_by_hand(number: int, expected: list[int | None]) -> None:
    assert categories(number) == expected


def test_no_two_elements_of_the_first_five_periods_look_alike() -> None:
    assert len(torch.unique(element_features()[1:55], dim=0)) == 54
