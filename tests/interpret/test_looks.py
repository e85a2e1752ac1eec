"""The stage that looks into models: what is done is not done again, and what fails is named."""

from __future__ import annotations

import contextlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from trained import train_on_qm9

import molcryst_bench as mb
from molcryst_bench.base.errors import RunError, SettingsError
from molcryst_bench.base.executors import InlineExecutor
from molcryst_bench.bench.params import load_params
from molcryst_bench.interpret.embeddings import Embeddings
from molcryst_bench.interpret.faithfulness import RANDOM
from molcryst_bench.interpret.looks.plan import LookPlan, plan_looks
from molcryst_bench.interpret.looks.record import Look, read_look
from molcryst_bench.interpret.looks.stage import do_look, finished_look, read_looks, run_looks

SMALL = {"explained": 3, "drawn": 1, "checked": 3, "steps": 16, "embedded": 30, "width": 3}


@pytest.fixture(scope="module")
def root(built_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with two seeds of a small model, as a finished benchmark leaves it."""
    root = tmp_path_factory.mktemp("looks") / "project"
    train_on_qm9(built_project, root)
    (root / "leaderboard").mkdir()
    (root / "results").rename(root / "leaderboard" / "results")
    return root


def planned(root: Path, **changes: object) -> list[LookPlan]:
    settings = yaml.safe_load((root / "params.yaml").read_text())
    settings["interpret"] = {"tasks": ["qm9/homo"], **SMALL, **changes}
    path = root / "looks.yaml"
    path.write_text(yaml.safe_dump(settings))
    with contextlib.chdir(root):
        return plan_looks(load_params(path), root / "leaderboard").plans


def raw_plans(root: Path) -> list[LookPlan]:
    return [plan for plan in planned(root) if not plan.models]


def test_what_is_done_is_not_done_again(root: Path) -> None:
    plans, told = raw_plans(root), []
    names = ["composition", "distances", "fingerprint"]
    assert [plan.name for plan in plans] == [f"qm9/homo/raw/{name}" for name in names]
    with contextlib.chdir(root):
        for _ in range(2):
            run_looks(
                plans,
                root / "leaderboard",
                InlineExecutor(),
                lambda plan, look, reason: told.append(plan.name),
            )
        shutil.rmtree(plans[1].folder)
        assert finished_look(plans[1]) is None
    assert sorted(told) == [plan.name for plan in plans]  # those done come in any order
    looks = read_looks(root / "leaderboard")
    assert [look.representation for look in looks] == [names[0], names[2]]
    assert not any(look.trained for look in looks)


def test_roughness_is_that_of_the_embeddings_beside_it(root: Path) -> None:
    plan = raw_plans(root)[1]
    with contextlib.chdir(root):
        look = do_look(plan)
    found = Embeddings.load(plan.folder / "embeddings.parquet")
    assert look.roughness is not None
    assert len(found.ids) == look.embedded == look.roughness.points == 30
    value, low, high = look.roughness.rogi_xd
    assert value == pytest.approx(mb.rogi_xd(found.features, found.values), abs=1e-9)
    assert low <= value <= high
    assert look.roughness.narrow_width == 3


def test_other_settings_and_weights_are_other_looks(root: Path) -> None:
    keys = {plan.key for seed in (0, 1) for plan in planned(root, seed=seed)}
    assert len(keys) == 8
    assert planned(root)[0].cells[0].name == "qm9/homo/schnet/0"
    assert len(planned(root)[0].models) == 2


def test_an_unknown_task_is_named(root: Path) -> None:
    with pytest.raises(SettingsError, match=r"interpret\.tasks: .*did you mean 'qm9/homo'"):
        planned(root, tasks=["qm9/hom"])


def test_what_cannot_be_done_is_named_after_the_others_are(root: Path, tmp_path: Path) -> None:
    plans = [replace(plan, folder=tmp_path / plan.representation) for plan in raw_plans(root)]

    def work(plan: LookPlan) -> Look:
        if plan.representation == "composition":
            raise RunError("the disk is full")
        return do_look(plan)

    with (
        contextlib.chdir(root),
        pytest.raises(RunError, match=r"1 of 3 looks[\s\S]*composition: the disk is full"),
    ):
        run_looks(plans, tmp_path, InlineExecutor(), lambda *_: None, work)
    assert read_look(tmp_path / "distances") is not None


def test_models_without_a_result_are_named(root: Path, tmp_path: Path) -> None:
    planned(root)
    with contextlib.chdir(root):
        found = plan_looks(load_params(root / "looks.yaml"), tmp_path)
    assert found.untrained == ["qm9/homo/schnet"]
    assert found.plans == []


@pytest.mark.slow  # UMAP compiles itself
def test_a_model_is_looked_into(root: Path) -> None:
    plan = planned(root)[0]
    with contextlib.chdir(root):
        look = do_look(plan)
    assert look.seeds == 2
    assert {row.method for row in look.faithfulness} >= {"integrated", "grad_cam", RANDOM}
    assert all(row.between_seeds for row in look.faithfulness if row.method == "saliency")
    assert sum(row.atoms for row in look.elements) == sum(row.atoms for row in look.groups)
    assert [(row.method, row.dimensions) for row in look.maps[1:]] == [
        ("UMAP", 2),
        ("UMAP", 3),
        ("PCA", 2),
        ("PCA", 3),
    ]
    table = pq.read_table(plan.models[0] / "predictions.parquet")
    target, prediction = (table[name].to_numpy() for name in ("target", "prediction"))
    assert look.mae == pytest.approx(np.abs(target - prediction).mean())
    assert look.relative_error == pytest.approx(look.mae / np.abs(target - target.mean()).mean())
    files = {path.name for path in plan.folder.iterdir()}
    drawn = {"atoms-01.svg", "atoms-01-dark.svg", "map.svg", "map-dark.svg", "map.html"}
    assert files == drawn | {"look.json", "embeddings.parquet"}
    json.loads((plan.folder / "look.json").read_text(), parse_constant=pytest.fail)  # no NaN
