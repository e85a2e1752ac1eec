"""Explanations from a trained model: drawings, sums, embeddings, their tests, commands."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import trained
from ase import Atoms
from ase.build import bulk, molecule
from click.testing import CliRunner

import molcryst_bench as mb
from molcryst_bench.base.errors import SettingsError, StoreError
from molcryst_bench.cli.main import molcryst
from molcryst_bench.interpret.embeddings import Embeddings, chosen_rows, embed
from molcryst_bench.interpret.explain import Explanation
from molcryst_bench.interpret.faithfulness import RANDOM, check
from molcryst_bench.interpret.groups import shares_of_elements, shares_of_groups
from molcryst_bench.interpret.raw import composition, distances, fingerprint, structures_of
from molcryst_bench.interpret.roughness_figure import Roughness, draw_roughness, rank_correlation
from molcryst_bench.sources.smiles import embed_smiles
from molcryst_bench.training.predict import Predictor


@pytest.fixture(scope="module")
def cells(built_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained.train_on_qm9(built_project, tmp_path_factory.mktemp("explained") / "project")


@pytest.fixture(scope="module")
def predictor(cells: Path) -> Predictor:
    return mb.load_predictor(cells / "0")


ALCOHOLS = [molecule("CH3OH"), molecule("CH3CH2OH"), molecule("C6H6"), molecule("CH3CONH2")]


def test_explanations_are_in_the_unit_and_add_up(predictor: Predictor) -> None:
    found = mb.explain(predictor, ALCOHOLS)
    assert [len(each.values) for each in found] == [len(atoms) for atoms in ALCOHOLS]
    assert found[0].unit == predictor.unit
    shares = mb.explain(predictor, ALCOHOLS, method="cam")
    scale = float(predictor.regressor.scaler.scale)
    bias = float(predictor.regressor.model.head.bias.detach())
    constant = scale * bias + float(predictor.regressor.scaler.mean)
    for each in shares:  # the mean over atoms, of a target that does not grow with their number
        assert each.values.sum() + constant == pytest.approx(each.prediction, abs=1e-4)


def test_an_ensemble_gives_the_mean_of_its_models(cells: Path) -> None:
    both = mb.explain(cells, ALCOHOLS[:1])[0].values
    alone = [mb.explain(cells / seed, ALCOHOLS[:1])[0].values for seed in ("0", "1")]
    np.testing.assert_allclose(both, np.mean(alone, 0))


SALT = bulk("NaCl", "rocksalt", a=5.6) * (3, 3, 3)


@pytest.mark.parametrize("atoms", [molecule("CH3CONH2"), SALT])
def test_drawings_have_the_formats_of_their_names(atoms: Atoms, tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=len(atoms))
    explanation = Explanation(atoms, values, -6.5, "homo", "eV", "grad_cam")
    paths = [tmp_path / f"one.{form}" for form in ("svg", "pdf", "png")]
    explanation.draw(*paths)
    svg = paths[0].read_text()
    assert "predicted as -6.5 eV" in svg
    assert "share of the atom in homo (eV)" in svg
    assert paths[1].read_bytes().startswith(b"%PDF")
    assert paths[2].read_bytes().startswith(b"\x89PNG")


def test_sums_are_those_of_atoms_that_were_planted() -> None:
    draw = np.random.default_rng(0)
    names = ("CO", "CCO", "CC(N)=O", "CN", "CC(=O)O", "c1ccccc1", "CC#N")
    structures = [embed_smiles(name).atoms for name in names] * 5
    found = [
        Explanation(
            a, 2.0 * (a.numbers == 7) + 0.01 * draw.normal(size=len(a)), 0, "y", "eV", "cam"
        )
        for a in structures
    ]
    first, *others = shares_of_elements(found)
    assert first.kind == "N"
    assert first.low < 2 < first.high or first.per_atom == pytest.approx(2, abs=0.02)
    assert all(abs(each.per_atom) < 0.05 for each in others)
    groups = {share.kind: share for share in shares_of_groups(found)}
    assert groups["amine"].atoms == 5 * 3  # nitrogen with its hydrogens
    assert groups["amine"].per_atom == pytest.approx(2 / 3, abs=0.02)
    assert groups["nitrile"].per_atom == pytest.approx(1, abs=0.02)
    assert groups["alcohol"].atoms == 5 * 2 * 2
    assert {"amide", "carboxylic acid or ester", "aromatic ring"} <= groups.keys()


def test_what_knows_nothing_scores_as_nothing(predictor: Predictor, cells: Path) -> None:
    structures = structures_of(_store(cells), np.arange(24))
    table = {row.method: row for row in check(predictor, structures, ("integrated", "cam"))}
    nothing = table[RANDOM]
    assert nothing.deletion.low < 0 < nothing.deletion.high
    assert nothing.insertion.low < 0 < nothing.insertion.high
    assert nothing.with_integrated.low < 0 < nothing.with_integrated.high
    assert nothing.equivalent_atoms > 0.1
    for method in ("integrated", "cam"):
        assert table[method].equivalent_atoms < 1e-3
        assert table[method].rotation < 1e-3
    assert table["integrated"].with_integrated.value == pytest.approx(1)
    assert table["integrated"].between_seeds is None


def test_embeddings_are_those_of_the_model_and_come_back(
    predictor: Predictor, cells: Path, tmp_path: Path
) -> None:
    store = _store(cells)
    found = embed(predictor, store, np.arange(10))
    predicted = predictor(structures_of(store, np.arange(10)))
    np.testing.assert_allclose(found.predictions, predicted, atol=1e-5)
    assert found.ids.tolist() == store.ids[:10].tolist()
    found.save(tmp_path / "e.parquet")
    again = Embeddings.load(tmp_path / "e.parquet")
    assert np.array_equal(again.features, found.features)
    assert np.array_equal(again.values, found.values)
    assert again.facts == found.facts
    assert again.error == pytest.approx(float(np.abs(predicted - found.values).mean()), abs=1e-5)
    (tmp_path / "no.parquet").write_text("no")
    with pytest.raises(SettingsError, match="molcryst embed"):
        Embeddings.load(tmp_path / "no.parquet")


def test_embedding_wants_the_graphs_of_the_model(predictor: Predictor, cells: Path) -> None:
    store = _store(cells)
    store.spec = store.spec.model_copy(update={"cutoff": 3.0})
    with pytest.raises(StoreError, match="cutoff"):
        embed(predictor, store, np.arange(3))


def test_random_rows_are_seeded_and_of_the_subset(cells: Path) -> None:
    store = _store(cells)
    test = set(store.split("random").rows("test").tolist())
    rows = chosen_rows(store, 5, 0, "random", "test")
    assert set(rows.tolist()) <= test
    assert np.array_equal(rows, chosen_rows(store, 5, 0, "random", "test"))
    assert len(chosen_rows(store, None, 0, "random", "all")) == len(store)


def test_raw_representations() -> None:
    structures = [molecule("H2O"), molecule("CH3OH"), molecule("H2O")]
    np.testing.assert_allclose(composition(structures)[0], [2 / 3, 0, 1 / 3])
    spread = distances(structures)
    assert spread.shape == (3, 64)
    assert np.array_equal(spread[0], spread[2])
    bits = fingerprint(structures)
    assert set(np.unique(bits)) == {0, 1}
    assert not np.array_equal(bits[0], bits[1])
    with pytest.raises(SettingsError, match="molecules"):
        fingerprint([bulk("Cu")])


def test_correlation_of_roughness_and_error(tmp_path: Path) -> None:
    rising = [Roughness("qm9/homo", f"m{i}", i / 10, (i / 10) ** 2) for i in range(8)]
    found = draw_roughness(rising, [tmp_path / "nine.svg"])
    assert found.value == pytest.approx(1)
    assert found.low == pytest.approx(1)
    assert "m3" in (tmp_path / "nine.svg").read_text()
    assert "Rank correlation" in (tmp_path / "nine.svg").read_text()
    draw_roughness(rising[:1], [tmp_path / "one.svg"])
    assert "Rank correlation" not in (tmp_path / "one.svg").read_text()
    draw = np.random.default_rng(0)
    noise = [Roughness("a", str(i), *draw.random(2)) for i in range(12)]
    assert rank_correlation(noise).low < 0 < rank_correlation(noise).high


def test_commands(cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(cells.parents[3])
    output = _run("explain", cells / "0", "CCO", "O", "--sums", "--draw", "1", "--output", tmp_path)
    assert "2 structures explained" in output
    folder = tmp_path / "qm9" / "homo" / "schnet"
    assert sorted(path.suffix for path in folder.glob("001.*")) == [".pdf", ".png", ".svg"]
    with (folder / "atoms.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 9 + 3
    assert {row["unit"] for row in rows} == {"eV"}
    assert json.loads((folder / "sums.json").read_text())["group"]
    output = _run(
        "explain", cells / "0", "--test", "4", "--check", "--draw", "0", "--output", tmp_path
    )
    assert "random" in output
    assert len(json.loads((folder / "faithfulness.json").read_text())) == 5
    _run("embed", cells / "0", "--output", tmp_path)
    _run("embed", "qm9/homo", "--raw", "fingerprint", "--output", tmp_path)
    tables = [
        tmp_path / "qm9" / "homo" / m / "embeddings.parquet" for m in ("schnet", "fingerprint")
    ]
    output = _run("rogi", *tables, "--figure", tmp_path / "nine.svg", "--resamples", "3")
    assert "tanimoto" in output
    assert "ROGI-XD" in output
    assert "Rank correlation" in output
    output = _run("rogi", *tables, "--width", "2")
    assert output.count("2 features, euclidean") == 2  # components of bits are no bits


def _run(*words: object) -> str:
    result = CliRunner().invoke(molcryst, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def _store(cells: Path) -> mb.GraphStore:
    return mb.open_store(cells.parents[3] / "datasets" / "qm9" / "store.zarr")
