"""``molcryst data audit`` and splits of families, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from alike import crystal, disguised, supercell
from ase.io import write
from bench_project import write_params
from click.testing import CliRunner

from molcryst_bench.base.errors import MolcrystError
from molcryst_bench.cli.main import molcryst
from molcryst_bench.graphs.split import load_split
from molcryst_bench.graphs.store import open_store

CLUSTER = {"method": "cluster", "train": 0.3, "valid": 0.35, "seed": 0, "description": "made"}
METALS = ["Zn", "Cd", "Mg", "Be", "Ca", "Sr", "Ba", "Ni", "Co", "Fe", "Mn", "Cu", "Pb", "Sn", "Hg"]


def run(*words: str) -> str:
    result = CliRunner().invoke(molcryst, ["data", *words], env={"COLUMNS": "160"})
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def crystals(project: Path) -> Path:
    """A dataset of one's own: fifteen crystals, and a copy of each in another cell."""
    write_params(project)
    lines = ["name,gap"]
    (project / "structures").mkdir()
    for number, metal in enumerate(METALS):
        atoms = crystal(metal, 5.0 + 0.1 * number, seed=number)
        copy = disguised(supercell(atoms, [[1, 0, 0], [0, 2, 0], [0, 0, 1]]), number)
        for name, structure in ((f"{metal}1.vasp", atoms), (f"{metal}2.vasp", copy)):
            write(project / "structures" / name, structure, sort=True, format="vasp")
            lines.append(f"{name},{number}")
    (project / "labels.csv").write_text("\n".join(lines) + "\n")
    run("new", "mine", "structures", "--labels", "labels.csv", "--target", "gap:eV")
    return project / "datasets" / "mine"


def test_a_cluster_split_of_ones_own_data_parts_no_copies(crystals: Path) -> None:
    card = yaml.safe_load((crystals / "card.yaml").read_text())
    card["splits"]["cluster"] = CLUSTER
    (crystals / "card.yaml").write_text(yaml.safe_dump(card))
    assert "cluster.parquet written" in run("split", "mine", "--workers", "1")
    assert "cluster.parquet is as drawn" in run("split", "mine", "--workers", "1")
    run("audit", "mine", "--workers", "1")
    found = json.loads((crystals / "audit.json").read_text())["splits"]
    totals = {
        name: sum(f["found"] for kind in split["kinds"] for f in kind["findings"])
        for name, split in found.items()
    }
    assert totals["random"] > 0
    assert totals["cluster"] == 0
    run("build", "mine", "--workers", "1")
    store = open_store("datasets/mine/store.zarr")
    batches = store.loader(split="cluster", subset="test", batch_size=4)
    assert sum(batch.num_graphs for batch in batches) == 10


def test_auditing_one_split_keeps_the_findings_of_others(crystals: Path) -> None:
    shown = run("audit", "mine", "--workers", "1")
    assert "Split 'random': 30 records" in shown
    assert "same geometry" in shown
    before = json.loads((crystals / "audit.json").read_text())
    run("audit", "mine", "--workers", "1", "--split", "random")
    assert json.loads((crystals / "audit.json").read_text()) == before


def test_molecules_are_audited_as_molecules(project: Path) -> None:
    write_params(project)
    shown = run("audit", "qm9", "--workers", "1", "--split", "random")
    for kind in ("same geometry", "same constitution", "stereoisomer", "same scaffold"):
        assert kind in shown
    split = load_split(project / "datasets" / "qm9" / "splits" / "random.parquet")
    found = json.loads((project / "datasets" / "qm9" / "audit.json").read_text())
    assert found["splits"]["random"]["digest"] == split.digest


@pytest.mark.slow
def test_worker_processes_find_the_same(crystals: Path) -> None:
    run("audit", "mine", "--workers", "1")
    alone = (crystals / "audit.json").read_bytes()
    run("audit", "mine", "--workers", "2")
    assert (crystals / "audit.json").read_bytes() == alone


def test_mistakes_are_answered_with_the_nearest_name(project: Path) -> None:
    write_params(project)
    with pytest.raises(MolcrystError, match="unknown split of qm9 'randm'; did you mean 'random'"):
        run("audit", "qm9", "--workers", "1", "--split", "randm")
    with pytest.raises(MolcrystError, match="unknown split 'scaffold'"):
        run("audit", "qm9", "--workers", "1")
