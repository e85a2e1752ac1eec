"""The worst predictions of a cell, and how their structures are drawn."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.collections import g2
from report_data import make_project

from molcryst_bench.base.theme import INK, dark_twin
from molcryst_bench.report.items.drawing import draw_structure
from molcryst_bench.report.items.shown import SHOWN, drawn_items, show_items, worst_items
from molcryst_bench.report.items.structures import Structures
from molcryst_bench.report.results import Predictions
from molcryst_bench.report.tables import build_tables

SVG = "{http://www.w3.org/2000/svg}"


def test_the_worst_items_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (table,) = build_tables(make_project(tmp_path, targets=("homo",)))
    generator = np.random.default_rng(0)
    target = generator.normal(size=50)
    prediction = target + generator.normal(size=50)
    prediction[7] = np.nan
    ids = np.array([f"gdb_{number}" for number in range(50)])
    nowhere = Structures("qm9", "0" * 64)
    predictions = Predictions(ids, target, prediction)
    found = list(show_items(table, predictions, worst_items(predictions), nowhere))
    sizes = np.abs(prediction - target)
    expected = ["gdb_7", *(f"gdb_{row}" for row in np.argsort(-np.nan_to_num(sizes)))][:SHOWN]
    assert [item.id for item in found] == expected
    assert found[0].error == found[0].prediction == "n/a"
    error = float(found[1].error.replace("\N{MINUS SIGN}", "-").replace(",", ""))
    row = int(found[1].id.removeprefix("gdb_"))
    assert error == pytest.approx(1000 * (prediction - target)[row], abs=0.06)  # meV
    assert all(item.formula is None for item in found)


def test_drawn_items_are_the_same_for_all_models() -> None:
    ids, target = np.arange(50).astype(str), np.zeros(50)
    one, other = (drawn_items(Predictions(ids, target, target + error)) for error in (0.1, 0.2))
    assert len(set(one)) == SHOWN
    np.testing.assert_array_equal(one, other)
    few = Predictions(ids[:3], target[:3], target[:3])
    assert sorted(drawn_items(few)) == [0, 1, 2]


def test_every_molecule_of_g2_can_be_drawn(tmp_path: Path) -> None:
    path = tmp_path / "figures" / "molecule.svg"
    for name in g2.names:
        words = draw_structure(molecule(name), path)
        assert words == f"structural formula of {molecule(name).get_chemical_formula('hill')}"
        ET.parse(path)


def test_hydrogens_are_drawn_where_there_is_nothing_else(tmp_path: Path) -> None:
    draw_structure(molecule("H2"), tmp_path / "hydrogen.svg")
    assert "<path" in (tmp_path / "hydrogen.svg").read_text()


def test_a_crystal_is_drawn_whole_within_its_frame(tmp_path: Path) -> None:
    atoms = bulk("NaCl", "rocksalt", 5.64, cubic=True)
    path = tmp_path / "salt.svg"
    assert draw_structure(atoms, path) == "Cl4Na4: one cell, 8 atoms, seen along a"
    drawn = ET.parse(path).getroot()
    discs = list(drawn.iter(f"{SVG}circle"))
    assert len(discs) == len(atoms) + 2  # one of each element beside its name
    assert len(list(drawn.iter(f"{SVG}line"))) == 12  # edges of the cell
    assert [text.text for text in drawn.iter(f"{SVG}text")] == ["Na", "Cl"]
    width, height = float(drawn.attrib["width"]), float(drawn.attrib["height"])
    for disc in discs:
        x, y, radius = (float(disc.attrib[name]) for name in ("cx", "cy", "r"))
        assert radius <= x <= width - radius
        assert radius <= y <= height - radius


def test_a_frame_of_dynamics_is_drawn_as_it_is(tmp_path: Path) -> None:
    atoms = molecule("C6H6")
    atoms.rotate(40, (1, 2, 3))
    path = tmp_path / "benzene.svg"
    assert "C6H6: atoms and bonds" in draw_structure(atoms, path, flat=False)
    drawn = ET.parse(path).getroot()
    assert len(list(drawn.iter(f"{SVG}line"))) == 12
    discs = list(drawn.iter(f"{SVG}circle"))[: len(atoms)]
    places = np.array([[float(disc.attrib[name]) for name in ("cx", "cy")] for disc in discs])
    # Seen from where it is broadest, a ring is a ring: all distances are those in space.
    found = np.sort(np.linalg.norm(places[:, None] - places, axis=-1).ravel())
    expected = np.sort(atoms.get_all_distances().ravel())
    np.testing.assert_allclose(found / found.max(), expected / expected.max(), atol=0.01)


@pytest.mark.parametrize("atoms", [molecule("CH3CONH2"), bulk("Cu", cubic=True)])
def test_drawings_are_readable_on_dark_screens(atoms: Atoms, tmp_path: Path) -> None:
    path = tmp_path / "structure.svg"
    draw_structure(atoms, path)
    light, dark = path.read_text(), dark_twin(path).read_text()
    assert INK in light
    assert INK not in dark
    assert len(re.findall("#[0-9a-f]{6}", light)) == len(re.findall("#[0-9a-f]{6}", dark))


def test_a_store_gives_back_its_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (found,) = build_tables(make_project(tmp_path, targets=("homo",)))
    structures = Structures("qm9", found.first.store_digest)
    # The records are the molecules of G2, one after the other.
    names = [name for name in g2.names if len(molecule(name)) > 1]
    for number in (0, 17, len(names)):
        expected = molecule(names[number % len(names)])
        atoms = structures.atoms(f"gdb_{number + 1}")
        assert atoms is not None
        np.testing.assert_array_equal(atoms.numbers, expected.numbers)
        np.testing.assert_allclose(atoms.positions, expected.positions, atol=1e-5)
        assert structures.formula(f"gdb_{number + 1}") == expected.get_chemical_formula("hill")
    assert structures.atoms("gdb_0") is None
