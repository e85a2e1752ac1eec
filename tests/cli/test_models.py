"""The list of models, and models of packages that others wrote, good ones and bad ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench_project import write_params
from click.testing import CliRunner, Result

import molcryst_bench as mb
from molcryst_bench.base.errors import SettingsError
from molcryst_bench.cli.main import molcryst
from molcryst_bench.graphs.store import GraphStore
from molcryst_bench.models.registry import get_model_class
from molcryst_bench.report.catalogue import allowed_values, hyperparameters_of
from molcryst_bench.report.plain import plain_formula

PLUGIN = '''
import torch
from pydantic import Field

from molcryst_bench.base.settings import Settings
from molcryst_bench.models.baselines import Mean
from molcryst_bench.models.components.pooling import pool
from molcryst_bench.models.interface import GradientModel, Output


class TableHyperparameters(Settings):
    """One number for each element."""

    scale: float = Field(default=1.0, gt=0, le=9, description="of the [bold] numbers")


class Table(GradientModel):
    """Table: a number for each element, averaged.

    Reference: Nobody, doi 10.1000/182.
    """

    Hyperparameters = TableHyperparameters

    def __init__(self, hyperparameters):
        super().__init__(hyperparameters)
        self.table = torch.nn.Embedding(100, 1)

    def forward(self, batch):
        nodes = self.table(batch.z) * self.hyperparameters.scale
        graphs = pool(nodes, batch, "mean")
        return Output(graphs, nodes, graphs)


class Bare(GradientModel):
    """Bare: has no hyperparameters."""

    def forward(self, batch):
        return None


class Unfinished(GradientModel):
    """Unfinished: predicts nothing."""

    Hyperparameters = TableHyperparameters


class Failing(Table):
    """Failing: needs what is not there."""

    def __init__(self, hyperparameters):
        raise OSError("no such table")


def function():
    pass
'''
BAD = {
    "absent": ("no_such_module:Model", "cannot be imported from 'no_such_module:Model'"),
    "misspelt": ("element_table_model:Tabel", "has no attribute 'Tabel'"),
    "bare": ("element_table_model:Bare", "has no Hyperparameters"),
    "function": ("element_table_model:function", "is no subclass of molcryst_bench.models"),
    "unfinished": ("element_table_model:Unfinished", "does not define forward"),
    "schnet": ("element_table_model:Table", "has the name of a model of this project"),
}


def install(folder: Path, package: str, points: dict[str, str]) -> None:
    """Put a package and its metadata where pip would."""
    (folder / "element_table_model.py").write_text(PLUGIN)
    metadata = folder / f"{package}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    lines = [f"{name} = {value}\n" for name, value in points.items()]
    (metadata / "entry_points.txt").write_text("".join(["[molcryst_bench.models]\n", *lines]))


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for packages, which this process and its children find."""
    folder = tmp_path / "packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
    yield folder
    sys.modules.pop("element_table_model", None)


def call(*words: str) -> Result:
    return CliRunner().invoke(molcryst, words, catch_exceptions=False)


def test_every_model_is_listed() -> None:
    entries = json.loads(call("models", "--json").output)
    assert [entry["name"] for entry in entries] == mb.list_models()
    kinds = {entry["name"]: entry["kind"] for entry in entries}
    assert {name for name in kinds if kinds[name] == "baseline"} == {
        "boosted_trees",
        "mean",
        "ridge",
    }
    text = call("models").output
    for entry in entries:
        assert entry["name"] in text
        if entry["kind"] == "trained":
            assert f"{entry['parameters']:,}" in text
    weights = sum(weight.numel() for weight in mb.create_model("cgcnn").parameters())
    assert entries[1]["parameters"] == weights


@pytest.mark.parametrize("width", ["80", "140"])
def test_a_model_in_full(width: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("molcryst_bench.cli.console.console.width", int(width))
    text = call("models", "cgcnn").output
    assert max(map(len, text.splitlines())) <= int(width)
    words = " ".join(text.split())
    for expected in ("v_i ← g(v_i", "doi 10.1103/PhysRevLett.120.145301", "sum or mean", "> 0"):
        assert expected in words
    for field, info in get_model_class("cgcnn").Hyperparameters.model_fields.items():
        assert field in text
        assert str(info.default).lower() in text


def test_a_model_in_full_says_how_its_paper_trains_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("molcryst_bench.cli.console.console.width", 120)
    lines = [line.split() for line in call("models", "torchmd_net").output.splitlines()]
    assert ["batch_size", "128", "128", "8", "128"] in lines
    assert ["gradient_clip", *["none"] * 4] in lines
    assert "preset" not in call("models", "mean").output


def test_what_is_allowed_is_what_is_checked() -> None:
    allowed = {name: allowed_values(schema) for name, schema in hyperparameters_of("ridge").items()}
    assert allowed == {"alpha": "> 0", "targets": "> 0"}
    part = hyperparameters_of("boosted_trees")["feature_part"]
    assert allowed_values(part) == "> 0, ≤ 1"
    assert allowed_values({"anyOf": [{"type": "number", "minimum": 2}, {"type": "null"}]}) == (
        "≥ 2 or none"
    )


def test_formulas_without_backslashes() -> None:
    assert plain_formula(r"\tfrac12\,\mathrm{ssp}\Big(\sum_{j} \beta_{ij}\Big)") == (
        "1/2 ssp(Σ_j β_ij)"
    )
    assert plain_formula(r"\varphi \Phi \lambda") == "φ Φ λ"
    assert plain_formula(r"\frac{a}{b} \unheard") == "a/b unheard"


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(SettingsError, match="did you mean 'schnet'"):
        call("models", "shnet")


def test_a_model_of_another_package_is_trained(
    project: Path, tiny_store: GraphStore, packages: Path
) -> None:
    install(packages, "element-table", {"element_table": "element_table_model:Table"})
    write_params(project)
    assert "element_table     Table: a number for each" in call("models").output
    assert "of the [bold] numbers" in " ".join(call("models", "element_table").output.split())
    assert mb.create_model("element_table", scale=2.0).hyperparameters.scale == 2.0
    words = ["train", "qm9/homo", "element_table", "--set", "epochs=1", "--set", "scale=3"]
    code = "from molcryst_bench.cli.main import run; run()"
    ended = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert "model in runs/qm9/homo/element_table/0" in ended.stdout
    assert mb.load_predictor("runs/qm9/homo/element_table/0").unit == "eV"


def test_models_that_cannot_be_used_are_marked_and_break_nothing(
    project: Path, packages: Path
) -> None:
    good = {"element_table": "element_table_model:Table", "failing": "element_table_model:Failing"}
    install(packages, "mixed", {name: value for name, (value, _) in BAD.items()} | good)
    install(packages, "another", {"twice": "element_table_model:Table"})
    install(packages, "third", {"twice": "element_table_model:Table"})
    write_params(project)
    problems = {
        (entry["name"], entry["package"]): entry["problem"]
        for entry in json.loads(call("models", "--json").output)
    }
    for name, (_, word) in BAD.items():
        assert word in problems[name, "mixed 1.0"]
    assert "OSError: no such table" in problems["failing", "mixed 1.0"]
    assert "of a model of third 1.0" in problems["twice", "another 1.0"]
    assert not problems["element_table", "mixed 1.0"]
    assert not problems["schnet", ""]
    assert call("models").output.count("unusable") == len(BAD) + 3
    assert "SchNet" in call("models", "schnet").output
    assert call("profile").exit_code == 0
    for name in ("absent", "bare", "twice"):
        with pytest.raises(SettingsError, match=f"'{name}' of the package"):
            call("train", "qm9/homo", name)
