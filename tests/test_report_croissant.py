"""Croissant: valid for its own library, and loading through it gives the store's values."""

from __future__ import annotations

import json
from pathlib import Path

import mlcroissant
import numpy as np
import pytest
from click.testing import CliRunner
from report_data import make_project

from molcryst_bench.base.files import checksum_of
from molcryst_bench.cli.main import molcryst
from molcryst_bench.graphs.split import SUBSETS
from molcryst_bench.graphs.store import open_store
from molcryst_bench.report.build import write_report


@pytest.fixture
def leaderboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return make_project(tmp_path, targets=("homo",))


def check(description: Path, root: Path) -> None:
    """Load all records through Croissant's library and compare them with the store."""
    dataset = mlcroissant.Dataset(str(description))
    assert not dataset.metadata.ctx.issues.errors
    records = list(dataset.records("records"))
    store = open_store(root / "datasets" / "qm9" / "store.zarr")
    ids = [record["records/id"].decode() for record in records]
    assert ids == store.ids.tolist()
    named = [name for name, target in store.targets.items() if target.level == "graph"]
    assert len(named) > 10
    for name in named:
        loaded = np.array([record[f"records/{name}"] for record in records])
        assert loaded.dtype == np.float64
        np.testing.assert_array_equal(loaded, store.read(f"targets/{name}"))
    subsets = [record["records/split_random"].decode() for record in records]
    assert subsets == [SUBSETS[subset] for subset in store.split("random").subset]


def test_an_export_gives_the_values_of_the_store(leaderboard: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(molcryst, ["data", "export", "qm9", "out"])
    assert result.exit_code == 0, result.output
    check(tmp_path / "out" / "croissant.json", tmp_path)
    content = json.loads((tmp_path / "out" / "croissant.json").read_text(encoding="utf-8"))
    (file,) = content["distribution"]
    assert file["sha256"] == checksum_of(tmp_path / "out" / "records.parquet")


def test_the_page_of_a_dataset_leads_to_it(leaderboard: Path, tmp_path: Path) -> None:
    site = write_report(leaderboard).site
    page = (site / "datasets" / "qm9.html").read_text(encoding="utf-8")
    assert 'href="../datasets/qm9/croissant.json"' in page
    check(site / "datasets" / "qm9" / "croissant.json", tmp_path)
