"""``molcryst predict`` on files, folders, patterns and SMILES strings; ``train --seeds``."""

from __future__ import annotations

import csv
import json
import shutil
import statistics
from pathlib import Path

import ase.io
import numpy as np
import pyarrow.parquet as pq
import pytest
import springs
import trained
from ase import Atoms
from ase.build import bulk, molecule
from bench_project import write_params
from click.testing import CliRunner, Result

import molcryst_bench as mb
from molcryst_bench.base.errors import RunError, SettingsError, SourceError
from molcryst_bench.bench.result import read_result
from molcryst_bench.cli.main import molcryst
from molcryst_bench.graphs.store import GraphStore
from molcryst_bench.sources.smiles import embed_smiles


@pytest.fixture(scope="module")
def on_qm9(built_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained.train_on_qm9(built_project, tmp_path_factory.mktemp("qm9") / "project")


@pytest.fixture(scope="module")
def on_springs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained.train_on_springs(tmp_path_factory.mktemp("springs") / "project")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, outside of any project, with structures."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in" / "deep").mkdir(parents=True)
    ase.io.write("in/two.xyz", [molecule("CH4"), molecule("H2O")])
    ase.io.write("in/deep/one.extxyz", molecule("CH3OH"))
    ase.io.write("in/gold.cif", bulk("Au") * (3, 1, 1))
    Path("in/labels.csv").write_text("not,a\nstructure,file\n")
    return tmp_path


def predict(*words: str | Path) -> Result:
    """Run it; an error for people is in ``result.exception``."""
    return CliRunner().invoke(molcryst, ["predict", *map(str, words)])


def rows(result: Result) -> list[dict[str, str]]:
    return list(csv.DictReader(result.stdout.splitlines()))


def formulas(result: Result) -> list[str]:
    assert result.exit_code == 0, result.output
    return [row["formula"] for row in rows(result)]


def test_folders_patterns_and_files(on_qm9: Path, folder: Path) -> None:
    cell = on_qm9 / "0"
    assert formulas(predict(cell, "in")) == ["CH4O", "Au3", "CH4", "H2O"]
    assert formulas(predict(cell, "in/*.xyz", "in/gold.cif")) == ["CH4", "H2O", "Au3"]
    assert formulas(predict(cell, folder / "in" / "**" / "*.*xyz")) == ["CH4O", "CH4", "H2O"]


def test_values_are_those_of_the_predictor(on_qm9: Path, folder: Path) -> None:
    found = rows(predict(on_qm9 / "0", "in/two.xyz"))
    expected = mb.load_predictor(on_qm9 / "0")([molecule("CH4"), molecule("H2O")])
    assert [float(row["homo (eV)"]) for row in found] == pytest.approx(expected, abs=1e-5)
    assert [row["frame"] for row in found] == ["0", "1"]
    assert {row["geometry"] for row in found} == {"file"}


def test_what_the_training_set_had_not_is_said_once_with_counts(on_qm9: Path, folder: Path) -> None:
    for number in range(70):  # more than are predicted at once
        shutil.copy("in/gold.cif", f"in/gold{number}.cif")
    result = predict(on_qm9 / "0", "in")
    assert result.exit_code == 0
    for problem in ("element Au not in the training set", "periodic, while the training set holds"):
        assert result.stderr.count(problem) == 1
    assert "element Au not in the training set: 71 of 74 structures" in result.stderr
    assert "Warning" not in result.stdout
    assert "Warning" not in predict(on_qm9 / "0", "in/two.xyz").stderr


def test_smiles_become_the_same_geometry_every_time(on_qm9: Path, folder: Path) -> None:
    Path("in/some.smi").write_text("CCO ethanol\n\nC#N\n")
    found = rows(predict(on_qm9 / "0", "in/some.smi", "CCO"))
    assert [row["file"] for row in found] == ["in/some.smi:1", "in/some.smi:3", "CCO"]
    assert [row["formula"] for row in found] == ["C2H6O", "CHN", "C2H6O"]
    assert found[0]["homo (eV)"] == found[2]["homo (eV)"]
    assert {row["geometry"] for row in found} == {"MMFF94 force field"}
    expected = mb.load_predictor(on_qm9 / "0")([embed_smiles("CCO").atoms])
    assert float(found[2]["homo (eV)"]) == pytest.approx(expected[0], abs=1e-5)
    assert "the geometry of 3 of 3 structures" in predict(on_qm9 / "0", "in/some.smi", "CCO").stderr


def test_embedded_geometries_have_bonds_of_the_right_length() -> None:
    atoms, geometry = embed_smiles("C")
    assert geometry == "MMFF94 force field"
    np.testing.assert_allclose(atoms.get_distances(0, [1, 2, 3, 4]), 1.09, atol=0.01)
    assert embed_smiles("[SiH3][SeH]").geometry == "ETKDG embedding"  # MMFF94 has no selenium


def test_a_bad_input_costs_only_itself(on_qm9: Path, folder: Path) -> None:
    Path("in/broken.cif").write_text("data_broken\n_cell_length_a 3\n")
    Path("in/text.xyz").write_text("two\nnot a structure\n")
    Path("in/bad.smi").write_text("CC\nC(C)(C)(C)(C)C\nN.O\n")
    flat = Atoms("Cu", cell=[[1, 0, 0], [2, 0, 0], [0, 0, 1]], pbc=True)
    ase.io.write("in/flat.extxyz", [molecule("NH3"), flat, molecule("H2")])
    result = predict(on_qm9 / "0", "in", "missing.xyz", "--output", "out.csv")
    assert isinstance(result.exception, SourceError)
    assert "6 of what was given failed" in str(result.exception)
    for reason in (
        "in/broken.cif cannot be read as a structure: ",
        "in/text.xyz cannot be read as a structure: ",
        "in/bad.smi:2 is not a SMILES string",
        "in/bad.smi:3 holds several molecules",
        "in/flat.extxyz, structure 1: the periodic cell vectors",
        "'missing.xyz' is no file",
    ):
        assert result.stderr.count(reason) == 1
    with Path("out.csv").open() as file:
        found = [row["formula"] for row in csv.DictReader(file)]
    assert found == ["C2H6", "CH4O", "H3N", "H2", "Au3", "CH4", "H2O"]


def test_nothing_is_written_when_nothing_is_predicted(on_qm9: Path, folder: Path) -> None:
    (folder / "empty").mkdir()
    result = predict(on_qm9 / "0", "empty", "--output", "out.csv")
    assert isinstance(result.exception, SourceError)
    assert "empty holds no structure file" in result.stderr
    assert not Path("out.csv").exists()


def test_intervals_and_deviations_are_columns(on_qm9: Path, folder: Path) -> None:
    result = predict(on_qm9, "in/two.xyz", "--interval", "0.8")
    ensemble = mb.load_predictor(on_qm9)
    structures = [molecule("CH4"), molecule("H2O")]
    lower, upper = ensemble.interval(structures, 0.8)
    mean, deviation = ensemble.predict_with_deviation(structures)
    for header, expected in {
        "homo (eV)": mean,
        "homo deviation (eV)": deviation,
        "homo lower 80 % (eV)": lower,
        "homo upper 80 % (eV)": upper,
    }.items():
        assert [float(row[header]) for row in rows(result)] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        (["--interval", "0.99"], RunError, "need 99 validation records"),
        (["--interval", "90"], SettingsError, "between 0 and 1"),
        (["--forces"], RunError, "was not trained with forces"),
        (["--output", "out.parqet"], SettingsError, "did you mean '.parquet'?"),
        (["--format", "parquet"], SystemExit, ""),
    ],
)
def test_what_cannot_be_done_is_refused_before_work(
    on_qm9: Path, folder: Path, words: list[str], error: type[Exception], message: str
) -> None:
    result = predict(on_qm9 / "0", "in/two.xyz", *words)
    assert isinstance(result.exception, error)
    assert message in str(result.exception)
    assert result.stdout == ""
    assert not list(Path().glob("out*"))


def test_parquet_has_numbers_and_forces(on_springs: Path, folder: Path) -> None:
    ase.io.write("ethanol.xyz", springs.REST)
    result = predict(on_springs / "0", "ethanol.xyz", "--forces", "--output", "out.parquet")
    assert result.exit_code == 0, result.output
    table = pq.read_table("out.parquet")
    energies, forces = mb.load_predictor(on_springs / "0").energies_and_forces([springs.REST])
    assert table["energy (kcal/mol)"].to_pylist() == pytest.approx(energies, abs=1e-2)
    found = np.array(table["forces (kcal/mol/Å)"].to_pylist()[0])
    np.testing.assert_allclose(found, forces[0], atol=1e-3)
    assert table.schema.metadata == {b"model": b"schnet", b"task": b"rmd17/ethanol"}
    as_text = rows(predict(on_springs / "0", "ethanol.xyz", "--forces"))[0]
    np.testing.assert_allclose(json.loads(as_text["forces (kcal/mol/Å)"]), found, rtol=1e-9)


def test_extended_xyz_has_values_forces_and_units(on_springs: Path, folder: Path) -> None:
    moved = springs.REST.copy()
    moved.rattle(0.05, seed=1)
    ase.io.write("ethanol.xyz", [springs.REST, moved])
    words = ("ethanol.xyz", "--forces", "--interval", "0.5", "--output", "out.extxyz")
    result = predict(on_springs, *words)
    assert result.exit_code == 0, result.output
    frames = ase.io.read("out.extxyz", index=":")
    given = ase.io.read("ethanol.xyz", index=":")
    ensemble = mb.load_predictor(on_springs)
    energies, forces = ensemble.energies_and_forces(given)
    for frame, atoms, energy, force in zip(frames, given, energies, forces, strict=True):
        np.testing.assert_allclose(frame.positions, atoms.positions, atol=1e-7)
        np.testing.assert_allclose(frame.arrays["predicted_forces"], force, atol=1e-3)
        assert frame.info["predicted_energy"] == pytest.approx(energy, abs=1e-2)
        assert frame.info["predicted_energy_unit"] == "kcal/mol"
        assert frame.info["predicted_forces_unit"] == "kcal/mol/Å"
        width = frame.info["predicted_energy_upper"] - frame.info["predicted_energy_lower"]
        assert width == pytest.approx(2 * ensemble.half_width(0.5), abs=1e-6)
        assert frame.info["predicted_coverage"] == 0.5
        assert frame.info["predicted_energy_deviation"] > 0
        assert frame.calc is None  # nothing that ASE takes for eV and eV/Å


def test_several_seeds_are_trained_and_summarised(project: Path, tiny_store: GraphStore) -> None:
    write_params(project)
    words = ["train", "qm9/homo", "schnet", "--set", "epochs=1", "--set", "width=4", "--seeds", "3"]
    result = CliRunner().invoke(molcryst, words)
    assert result.exit_code == 0, result.output
    folder = Path("runs/qm9/homo/schnet")
    errors = [found.mae for seed in range(3) if (found := read_result(folder / str(seed)))]
    mean, deviation = statistics.mean(errors), statistics.stdev(errors)
    assert deviation > 0
    assert f"{mean:.4g} ± {deviation:.2g} meV" in result.output.splitlines()[-1]
    assert len(mb.load_predictor(folder).members) == 3
    before = [(folder / str(seed) / "cell.json").stat().st_mtime_ns for seed in range(3)]
    again = CliRunner().invoke(molcryst, [*words, "--resume"])
    trained = [line for line in result.output.splitlines() if ": epoch " not in line]
    assert again.output.splitlines() == trained
    assert [(folder / str(s) / "cell.json").stat().st_mtime_ns for s in range(3)] == before


@pytest.mark.parametrize("options", [["--seed", "0", "--seeds", "3"], ["--seeds", "1"]])
def test_one_seed_and_several_exclude_each_other(project: Path, options: list[str]) -> None:
    result = CliRunner().invoke(molcryst, ["train", "qm9/homo", "mean", *options])
    assert result.exit_code == 2
    assert "--seeds" in result.output
