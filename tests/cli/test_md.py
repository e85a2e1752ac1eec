"""``molcryst md``: runs that go on, what it says, and what it refuses."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import trained
from ase import Atoms
from ase.build import molecule
from click.testing import CliRunner, Result

from molcryst_bench.cli.main import molcryst
from molcryst_bench.dynamics.trajectory import read_trajectory


def run(*words: object) -> Result:
    return CliRunner().invoke(molcryst, ["md", *map(str, words)])


def files_in(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def on_springs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained.train_on_springs(tmp_path_factory.mktemp("springs") / "project")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, outside of any project."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def structure(folder: Path) -> Path:
    """Return the file of a molecule in the current folder."""
    molecule("CH3CH2OH").write("mine.xyz")
    return Path("mine.xyz")


def test_it_runs_replicas_and_says_how_it_went(on_springs: Path, structure: Path) -> None:
    words = ["--steps", 40, "--replicas", 3, "--equilibration", 20, "--out", "md"]
    result = run(on_springs / "0", structure, "CCO", *words)
    assert result.exit_code == 0, result.output
    assert "mine.xyz: 3 of 3 replicas went to the end; " in result.output
    assert "K on average; energy drift" in result.output
    found = read_trajectory("md/rmd17/ethanol/schnet/mine")
    assert found.positions.shape == (5, 3, 9, 3)
    assert np.isfinite(found.positions).all()
    assert len(read_trajectory("md/rmd17/ethanol/schnet/CCO").time) == 5


def test_the_same_command_does_nothing_more(on_springs: Path, structure: Path) -> None:
    words = [on_springs, structure, "--steps", 20, "--out", "md"]
    assert run(*words).exit_code == 0
    before = files_in(Path("md"))
    assert run(*words).exit_code == 0
    assert files_in(Path("md")) == before
    result = run(*words, "--seed", 1)
    assert result.exit_code != 0
    assert "holds a run with other settings" in str(result.exception)


@pytest.mark.parametrize(
    ("atoms", "said"),
    [
        (Atoms("CCO", [[0, 0, 0], [0.05, 0, 0], [0, 0, 1.4]]), "0.05 Å apart"),
        (Atoms("CO", [[0, 0, 0], [0, 0, float("nan")]]), "coordinate that is not finite"),
        (Atoms("FeO", [[0, 0, 0], [0, 0, 1.6]]), "has Fe, and this schnet has only seen"),
    ],
    ids=["overlap", "nan", "element"],
)
def test_bad_structures_are_refused(
    on_springs: Path, folder: Path, atoms: Atoms, said: str
) -> None:
    atoms.write("bad.xyz")
    result = run(on_springs / "0", "bad.xyz", "--steps", 10, "--out", "md")
    assert result.exit_code != 0
    assert said in str(result.exception)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere.xyz"], "'nowhere.xyz' is no file"),
        (["CCO", "--steps", "-1"], "steps"),
        (["CCO", "--time-step", "0"], "time_step"),
        (["CCO", "--replicas", "0"], "replicas"),
        (["CCO", "--temperature", "-5"], "temperature"),
    ],
)
def test_bad_words_are_refused(on_springs: Path, folder: Path, words: list[str], said: str) -> None:
    result = run(on_springs / "0", *words, "--out", "md")
    assert result.exit_code != 0
    assert said in str(result.exception)
    assert not list(Path().rglob("chunk_*"))


def test_a_model_without_forces_is_refused(
    built_project: Path, tmp_path_factory: pytest.TempPathFactory, structure: Path
) -> None:
    cells = trained.train_on_qm9(built_project, tmp_path_factory.mktemp("qm9") / "project")
    result = run(cells / "0", structure, "--steps", 10)
    assert result.exit_code != 0
    assert "was not trained with forces" in str(result.exception)
