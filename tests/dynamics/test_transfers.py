"""The transfer benchmark: what is done is not done again, and what fails is named."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

import pytest
from trained import train_on_springs

from molcryst_bench.base.errors import RunError, SettingsError
from molcryst_bench.base.executors import InlineExecutor
from molcryst_bench.bench.params import load_params
from molcryst_bench.bench.transfer_settings import DynamicsSettings
from molcryst_bench.dynamics.record import TransferScore, read_score
from molcryst_bench.dynamics.transfer_plan import TransferPlan, plan_transfers
from molcryst_bench.dynamics.transfers import read_transfers, run_transfers

SHORT = {"steps": 20, "time_step": 0.5, "equilibration": 10, "replicas": 2, "every": 5}
MOLECULES = {"ethanol": ["ethanol", "n-propanol"]}


def settings_of(**changes: object) -> DynamicsSettings:
    return DynamicsSettings.model_validate({**SHORT, "molecules": MOLECULES, **changes})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a small model of springs between the atoms of ethanol."""
    root = tmp_path_factory.mktemp("transfer") / "project"
    train_on_springs(root)
    (root / "leaderboard").mkdir()
    (root / "results").rename(root / "leaderboard" / "results")
    return root


def planned(root: Path, **changes: object) -> list[TransferPlan]:
    with contextlib.chdir(root):
        params = load_params().model_copy(update={"dynamics": settings_of(**changes)})
        return plan_transfers(params, root / "leaderboard").plans


def test_models_run_molecules_once_and_are_scored_where_there_is_a_reference(trained: Path) -> None:
    plans, leaderboard = planned(trained), trained / "leaderboard"
    assert [plan.name for plan in plans] == [
        "rmd17/ethanol/schnet/0/n-propanol",
        "rmd17/ethanol/schnet/0/ethanol",
    ]
    told: list[str] = []
    with contextlib.chdir(trained):
        for _ in range(2):
            run_transfers(
                plans,
                leaderboard,
                InlineExecutor(),
                lambda plan, score, reason: told.append(plan.name),
            )
    assert sorted(told) == sorted(plan.name for plan in plans)  # those done come in any order
    home, away = read_transfers(leaderboard)
    assert home.at_home
    assert not away.at_home
    assert home.forces is not None
    assert home.forces.frames == 12  # of the test subset alone
    assert home.score is not None
    assert away.score is None
    assert not away.reference
    assert not list(plans[0].folder.glob("frames-*"))


def test_what_cannot_be_done_is_named_after_the_others_are(trained: Path, tmp_path: Path) -> None:
    plans = [replace(plan, folder=tmp_path / plan.molecule) for plan in planned(trained)]

    def work(plan: TransferPlan) -> TransferScore:
        if plan.molecule == "n-propanol":
            raise RunError("the disk is full")
        return _written(plan)

    with pytest.raises(RunError, match=r"1 of 2 runs[\s\S]*n-propanol: the disk is full"):
        run_transfers(plans, tmp_path, InlineExecutor(), lambda *_: None, work)
    assert read_score(tmp_path / "ethanol") is not None


def test_other_settings_are_another_run(trained: Path) -> None:
    keys = {plan.key for steps in (20, 40) for plan in planned(trained, steps=steps)}
    assert len(keys) == 4


def test_an_unknown_molecule_is_named(trained: Path) -> None:
    with pytest.raises(SettingsError, match="did you mean 'ethanol'"):
        planned(trained, molecules={"ethanol": ["ethanal"]})


def _written(plan: TransferPlan) -> TransferScore:
    from molcryst_bench.dynamics.record import write_score

    score = TransferScore(
        task=plan.task.name,
        model=plan.cell.model,
        seed=plan.cell.seed,
        molecule=plan.molecule,
        key=plan.key,
    )
    write_score(plan.folder, score)
    return score
