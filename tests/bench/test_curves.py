"""Learning curves as ``dvc plots`` takes them."""

from __future__ import annotations

import csv
from pathlib import Path

from bench_project import Record, write_params

from molcryst_bench.base.executors import InlineExecutor
from molcryst_bench.bench.cell import plan_cells
from molcryst_bench.bench.curves import write_curves
from molcryst_bench.bench.runner import run_bench
from molcryst_bench.graphs.store import GraphStore


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_trained_model_has_a_curve_with_the_unit_of_its_task(
    project: Path, tiny_store: GraphStore
) -> None:
    leaderboard = project / "leaderboard"
    plans = plan_cells(write_params(project))
    done = run_bench(plans, leaderboard, InlineExecutor(), Record())
    curves = leaderboard / "curves"
    files = [path.relative_to(curves).as_posix() for path in sorted(curves.rglob("*.*"))]
    assert files == ["qm9/homo/schnet.csv", "qm9/zpve/schnet.csv"]
    for task in ("qm9/homo", "qm9/zpve"):
        rows = read(curves / f"{task}/schnet.csv")
        assert [(row["seed"], row["epoch"]) for row in rows] == [
            (seed, epoch) for seed in "01" for epoch in "12"
        ]
        assert list(rows[0])[-1] == "validation MAE (meV)"
        for seed in "01":
            history = read(leaderboard / "results" / task / "schnet" / seed / "history.csv")
            own = [row for row in rows if row["seed"] == seed]
            for name, source in {"validation MAE (meV)": "valid_mae", "epoch": "epoch"}.items():
                assert [float(row[name]) for row in own] == [float(row[source]) for row in history]
    write_curves(leaderboard, [row for row in done if row.task == "qm9/zpve"])
    assert [path.name for path in curves.glob("qm9/*")] == ["zpve"]


def test_forces_come_last_where_they_are_learnt(project: Path, tiny_store: GraphStore) -> None:
    leaderboard = project / "leaderboard"
    plan = next(each for each in plan_cells(write_params(project)) if each.trains)
    (result,) = run_bench([plan], leaderboard, InlineExecutor(), Record())
    history = leaderboard / result.folder / "history.csv"
    head, *lines = history.read_text().splitlines()
    assert head.endswith(",valid_forces_mae")
    history.write_text("\n".join([head, *(f"{line}2.5" for line in lines)]) + "\n")
    write_curves(leaderboard, [result.model_copy(update={"forces_unit": "kcal/mol/Å"})])
    rows = read(leaderboard / "curves" / "qm9" / "homo" / "schnet.csv")
    assert list(rows[0])[-1] == "validation MAE of forces (kcal/mol/Å)"
    assert {row["validation MAE of forces (kcal/mol/Å)"] for row in rows} == {"2.5"}
