"""Maps and the numbers beside them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk, molecule
from sklearn.manifold import trustworthiness as of_sklearn

from molcryst_bench.interpret.map_figure import MapPicture, draw_map, write_page
from molcryst_bench.interpret.maps import _neighbors, judge, pca_map, trustworthiness, umap_map


def _points(count: int = 300) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    plane = draw.normal(size=(count, 2))
    points = plane @ draw.normal(size=(2, 10)) + 0.01 * draw.normal(size=(count, 10))
    return points.astype(np.float32), plane[:, 0]


def test_trustworthiness_is_that_of_scikit_learn() -> None:
    points, _ = _points()
    for place in (pca_map(points), np.random.default_rng(1).normal(size=(300, 2))):
        wanted = of_sklearn(points, place, n_neighbors=15)
        assert trustworthiness(points, _neighbors(place)) == pytest.approx(wanted, abs=1e-5)


def test_a_plane_is_kept_by_its_components_and_lost_in_a_random_map() -> None:
    points, values = _points()
    maps = {("PCA", 2): pca_map(points), ("none", 2): np.random.default_rng(1).random((300, 2))}
    everything, kept, lost = judge(points, maps, values)
    assert (everything.trustworthiness, everything.preservation) == (1, 1)
    assert kept.trustworthiness > 0.99
    assert kept.preservation > 0.9
    assert kept.neighbor_correlation > 0.9
    assert lost.trustworthiness < 0.6
    assert lost.preservation < 0.15
    assert abs(lost.neighbor_correlation) < 0.2


def test_values_that_are_not_known_are_left_out() -> None:
    points, values = _points()
    values[::7] = np.nan
    assert judge(points, {("PCA", 2): pca_map(points)}, values)[1].neighbor_correlation > 0.9


def _picture() -> MapPicture:
    points, values = _points(4)
    ids = ["a</script><b>", "b", "c", "d"]
    solid = pca_map(points, 3)
    return MapPicture("x & y", "homo", "eV", ids, values, solid[:, :2], solid, [])


def test_page_holds_all_points_escaped_and_asks_nobody(tmp_path: Path) -> None:
    structures = [molecule("C6H6"), molecule("CH3OH"), bulk("NaCl", "rocksalt", a=5.6)]
    picture = _picture()
    picture.values[3] = np.nan
    write_page(picture, [*structures, molecule("H2")], tmp_path / "map.html")
    page = (tmp_path / "map.html").read_text(encoding="utf-8")
    assert "x &amp; y" in page
    assert "a</script>" not in page
    assert not re.search(r"https?://|src=|@import|url\(", page)
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page)
    assert found
    points = json.loads(found[1])["points"]
    assert [p[6] for p in points] == picture.ids
    assert [p[7] for p in points[:3]] == ["C1=CC=CC=C1", "CO", "ClNa"]
    assert points[3][5] is None
    assert [len(p[8][0]) for p in points] == [6, 2, 2, 2]
    assert len(points[0][8][2]) == 6


@pytest.mark.slow
def test_figures_have_the_formats_of_their_names(tmp_path: Path) -> None:
    starts = {"svg": b"<?xml", "pdf": b"%PDF", "png": b"\x89PNG"}
    draw_map(_picture(), [tmp_path / f"map.{form}" for form in starts])
    for form, start in starts.items():
        assert (tmp_path / f"map.{form}").read_bytes().startswith(start)


@pytest.mark.slow
def test_umap_is_seeded_and_keeps_clusters_apart() -> None:
    draw = np.random.default_rng(0)
    points = np.concatenate([draw.normal(size=(40, 8)), draw.normal(size=(40, 8)) + 10])
    place = umap_map(points, 2, seed=3)
    assert np.array_equal(place, umap_map(points, 2, seed=3))
    assert umap_map(points, 3).shape == (80, 3)
    assert all((row < 40).all() == (number < 40) for number, row in enumerate(_neighbors(place)))
