"""The command line as people meet it: instant help, clear words, right exit codes."""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import handmade
import pyarrow.parquet as pq
import pytest
import yaml
from ase.build import molecule
from ase.io import write
from bench_project import SETTINGS, write_params
from handmade import Molecule

from molcryst_bench.cli import main
from molcryst_bench.graphs.store import GraphStore, open_store
from molcryst_bench.sources import registry

Call = Callable[..., tuple[int, str]]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Return ``call(*words)``, which gives the exit code and all that was printed."""

    def run(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["molcryst", *words])
        code = 0
        try:
            main.run()
        except SystemExit as end:
            code = int(end.code or 0)
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    return run


@pytest.mark.parametrize(
    "verb",
    ["", "data", "train", "bench", "repro", "predict", "md", "transfer", "interpret", "report"],
)
def test_help_imports_nothing_heavy(verb: str) -> None:
    """What makes it answer at once."""
    words = ["molcryst", *([verb] if verb else []), "--help"]
    code = (
        f"import sys; from molcryst_bench.cli import main; sys.argv = {words}\n"
        "try: main.run()\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'torch', 'zarr', 'ase', 'pydantic', 'gemmi', 'lightning', 'pyarrow'}\n"
        "sys.exit(' '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == 0, f"--help imports {ended.stderr}"
    assert f"Usage: {' '.join(words[:-1])}" in ended.stdout


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        (["dta"], 2, "unknown command 'dta'; did you mean 'data'?"),
        (["data", "build", "qm8"], 1, "unknown dataset 'qm8'; did you mean 'qm9'?"),
        (["data", "fetch", "qm9", "--source", "whel"], 1, "did you mean 'wheel'?"),
        (["train", "qm9/hom", "schnet"], 1, "unknown task 'qm9/hom'; did you mean 'qm9/homo'?"),
        (["train", "qm9/homo", "shnet"], 1, "unknown model 'shnet'; did you mean 'schnet'?"),
        (["train", "qm9/homo", "schnet", "--set", "epoch=1"], 1, "did you mean 'epochs'?"),
        (["train", "qm9/homo", "schnet", "--set", "epochs"], 2, "KEY=VALUE"),
        (["train", "qm9/homo", "schnet", "--set", "epochs=few"], 1, "training: 'epochs' is 'few'"),
        (["train", "qm9/charge", "schnet"], 1, "unknown task 'qm9/charge'"),
        (["profile", "quik"], 1, "unknown profile 'quik'; did you mean 'quick'?"),
        (["predict", "nowhere", "x.xyz"], 1, "nowhere holds no trained model"),
        (["report"], 1, "results.parquet"),
        (["data", "verify", "qm9"], 1, "molcryst data build"),
    ],
)
def test_mistakes_end_with_a_word_and_a_code(
    project: Path, call: Call, words: list[str], code: int, expected: str
) -> None:
    (project / "conf").mkdir()
    (project / "conf" / "quick.yaml").write_text("")
    write_params(project)
    found, text = call(*words)
    assert found == code
    assert expected in " ".join(text.split())
    assert "Traceback" not in text


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"trainin": {}}, "params.yaml: unknown key 'trainin'; did you mean 'training'?"),
        ({"training": {"epoch": 3}}, "unknown key 'epoch'; did you mean 'epochs'? in 'training'"),
        ({"training": {"epochs": "many"}}, "params.yaml: 'training.epochs' is 'many'"),
        ({"training": {"epochs": 0}}, "params.yaml: 'training.epochs' is 0"),
        ({"bench": {"tasks": ["qm9/hmo"], "seeds": [0]}}, "did you mean 'qm9/homo'?"),
        ({"bench": {"tasks": [], "seeds": [0]}}, "params.yaml: 'bench.tasks' is []"),
        ({"bench": {"seeds": [0]}}, "params.yaml: the key 'bench.tasks' is missing"),
        ({"models": {"shcnet": {}}}, "unknown model 'shcnet'; did you mean 'schnet'?"),
        (
            {"models": {"schnet": {"hyperparameters": {"wdth": 2}}}},
            "params.yaml: models.schnet.hyperparameters: unknown key 'wdth'; did you mean 'width'?",
        ),
        (
            {"models": {"schnet": {"training": {"epoch": 2}}}},
            "params.yaml: models.schnet.training: unknown key 'epoch'; did you mean 'epochs'?",
        ),
        ({"datasets": {"qm9": {"graph": {"cutof": 5}}}}, "did you mean 'cutoff'?"),
        ({"datasets": {}}, "the task 'qm9/homo' needs the dataset 'qm9'"),
        ({"datasets": {"qm7": {}}}, "unknown dataset 'qm7'; did you mean 'qm9'?"),
    ],
)
def test_wrong_settings_are_named(
    project: Path, call: Call, changes: dict[str, object], expected: str
) -> None:
    (project / "params.yaml").write_text(yaml.safe_dump({**SETTINGS, **changes}))
    code, text = call("profile")
    assert code == 1
    assert expected in " ".join(text.split())
    assert "Traceback" not in text


@pytest.mark.parametrize("text", ["a: [1, 2", "\tb: 1", "just words", "", "- 1"])
def test_params_that_are_not_settings(project: Path, call: Call, text: str) -> None:
    (project / "params.yaml").write_text(text)
    code, said = call("profile")
    assert code == 1
    assert "params.yaml" in said
    assert "Traceback" not in said


def test_a_wrong_profile_leaves_the_active_one(project: Path, call: Call) -> None:
    write_params(project)
    before = (project / "params.yaml").read_text()
    (project / "conf").mkdir()
    (project / "conf" / "bad.yaml").write_text("profile: bad\n")
    code, text = call("profile", "bad")
    assert code == 1
    assert "bad.yaml: the key 'bench' is missing" in text
    assert (project / "params.yaml").read_text() == before


def test_every_profile_of_the_project_is_valid(
    project: Path, call: Call, pytestconfig: pytest.Config
) -> None:
    (project / "conf").mkdir()
    for card in pytestconfig.rootpath.glob("datasets/*/card.yaml"):
        (project / "datasets" / card.parent.name).mkdir(exist_ok=True)
        shutil.copy(card, project / "datasets" / card.parent.name)
    for path in (pytestconfig.rootpath / "conf").glob("*.yaml"):
        (project / "conf" / path.name).write_bytes(path.read_bytes())
        code, text = call("profile", path.stem)
        assert code == 0, text
        assert f"Profile '{path.stem}'" in text
        assert (project / "params.yaml").read_bytes() == path.read_bytes()


def test_outside_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Call) -> None:
    monkeypatch.chdir(tmp_path)
    code, text = call("bench", "status")
    assert code == 1
    assert "run molcryst inside a clone of the project" in text


def test_build_show_and_verify(project: Path, call: Call) -> None:
    write_params(project, datasets__qm9={"sample": {"size": 40, "seed": 3}})
    code, text = call("data", "build", "qm9", "--workers", "1")
    assert code == 0, text
    assert "datasets/qm9/store.zarr: 40 graphs, digest " in text
    code, text = call("data", "show", "qm9")
    assert code == 0
    assert "40 graphs (a sample of 80, seed 3)" in text
    assert call("data", "verify", "qm9")[0] == 0
    code, text = call("data", "build", "qm9", "--all", "--workers", "1", "--output", "all.zarr")
    assert code == 0, text
    assert len(open_store("all.zarr")) == 80
    assert len(open_store("datasets/qm9/store.zarr")) == 40


@pytest.mark.parametrize(
    ("text", "reason"),
    [("nan", "XYZ_Ang is not finite"), ("", "XYZ_Ang has an empty or unreadable number")],
)
def test_an_unusable_row_is_named_and_good_data_stays(
    project: Path,
    tiny_store: GraphStore,
    molecules: list[Molecule],
    call: Call,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    reason: str,
) -> None:
    write_params(project)
    raw = project / "datasets/qm9/raw"
    spoilt = [*molecules[:7], molecules[7].moved(1, 2, text), *molecules[8:]]
    handmade.write_wheel(raw / handmade.WHEEL_NAME, spoilt)
    dataset = handmade.tiny_dataset(raw)
    monkeypatch.setitem(registry._IMPORTERS, "qm9", lambda: dataset)
    code, said = call("data", "build", "qm9", "--workers", "1")
    assert code == 1
    assert f"qm9pack/data/qm9_part1.csv, {molecules[7].id}: {reason}" in said
    assert "Traceback" not in said
    assert open_store("datasets/qm9/store.zarr").digest == tiny_store.digest
    listing = pq.read_table("datasets/qm9/quarantine.parquet").to_pylist()
    assert [row["id"] for row in listing] == [molecules[7].id]
    code, said = call("data", "build", "qm9", "--workers", "1", "--accept-quarantined")
    assert code == 0, said
    assert len(open_store("datasets/qm9/store.zarr")) == 79


def test_train_then_predict(
    project: Path, tiny_store: GraphStore, call: Call, tmp_path: Path
) -> None:
    write_params(project)
    code, text = call("train", "qm9/homo", "schnet", "--set", "epochs=1", "--set", "width=4")
    assert code == 0, text
    assert " meV over 15 structures (95 % interval " in text
    assert " meV); model in runs/qm9/homo/schnet/0" in text
    assert "schnet is trained as published but for epochs=1, width=4: 1 epoch in " in text
    assert "batches of 32, torch_adam with a rate of 0.0005 (cosine)." in text
    write(tmp_path / "two.xyz", [molecule("CH4"), molecule("H2O")])
    write(tmp_path / "one.extxyz", molecule("CH3OH"))
    files = [str(tmp_path / name) for name in ("two.xyz", "one.extxyz")]
    code, text = call("predict", "runs/qm9/homo/schnet/0", *files)
    assert code == 0, text
    rows = list(csv.DictReader(text.splitlines()))
    assert [row["formula"] for row in rows] == ["CH4", "H2O", "CH4O"]
    assert [row["frame"] for row in rows] == ["0", "1", "0"]
    values = [float(row["homo (eV)"]) for row in rows]
    call("predict", "runs/qm9/homo/schnet/0", *files, "--output", "out.csv")
    with (project / "out.csv").open() as file:
        assert [float(row["homo (eV)"]) for row in csv.DictReader(file)] == values


def test_train_with_the_settings_of_a_profile(
    project: Path, tiny_store: GraphStore, call: Call
) -> None:
    write_params(project)
    (project / "conf").mkdir()
    (project / "conf" / "other.yaml").write_text(
        yaml.safe_dump({**SETTINGS, "profile": "other", "training": {"epochs": 1}})
    )
    code, text = call("train", "qm9/homo", "schnet", "--profile", "other")
    assert code == 0, text
    assert "schnet is trained as in the profile 'other': 1 epoch in batches of 32" in text
    code, text = call("train", "qm9/homo", "schnet", "--profile", "active")
    assert "schnet is trained as in the profile 'test': 2 epochs in batches of 16" in text
    code, text = call("train", "qm9/homo", "schnet", "--profile", "othr")
    assert code == 1
    assert "unknown profile 'othr'; did you mean 'other'?" in " ".join(text.split())


def test_a_file_that_is_no_structure(
    project: Path, tiny_store: GraphStore, call: Call, tmp_path: Path
) -> None:
    write_params(project)
    call("train", "qm9/homo", "mean")
    (tmp_path / "bad.xyz").write_text("two\nnot a structure\n")
    for name, problem in {
        "bad.xyz": "bad.xyz cannot be read as a structure",
        "missing.cif": "missing.cif' is no file or folder",
    }.items():
        code, text = call("predict", "runs/qm9/homo/mean/0", str(tmp_path / name))
        assert code == 1
        assert problem in " ".join(text.split())
        assert "Traceback" not in text
