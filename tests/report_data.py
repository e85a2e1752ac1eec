"""A small leaderboard on disk, as a finished benchmark leaves it: real molecules, seeded errors."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from ase.build import molecule
from ase.collections import g2

from molcryst_bench.base.executors import InlineExecutor
from molcryst_bench.base.files import checksum_of
from molcryst_bench.graphs.build import BuildRequest, DatasetSettings, build_store
from molcryst_bench.graphs.draw import random_split
from molcryst_bench.graphs.split import save_split
from molcryst_bench.graphs.store import GraphStore, open_store
from molcryst_bench.sources.card import Card
from molcryst_bench.sources.record import RawRecord, Record
from molcryst_bench.training.coverage import miscalibration_area
from molcryst_bench.training.metrics import error_terms, intervals_of
from molcryst_bench.training.uncertainty import Calibration, load_calibration, save_calibration

REPOSITORY = Path(__file__).parent.parent
RECORDS = 240
TARGETS = ("homo", "zpve")
SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class FakeModel:
    """How a model's predictions differ from the truth, in the target's unit."""

    noise: float
    seeds_differ: bool = True
    bias: float = 0.0
    epochs: int = 12
    parameters: int = 1000
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)


MODELS = {
    "schnet": FakeModel(
        0.06, parameters=455_809, hyperparameters={"width": 64, "interactions": 3, "cutoff": 5.0}
    ),
    "ridge": FakeModel(0.3, False, epochs=1, parameters=241, hyperparameters={"alpha": 0.01}),
    "mean": FakeModel(0.6, False, epochs=0, parameters=1),
}


class G2Source:
    """Small molecules of the G2 set under QM9's names, with made-up targets."""

    name = "g2"
    files = ()

    def raw_records(self, paths: Mapping[str, Path]) -> Iterator[RawRecord]:
        names = [name for name in g2.names if len(molecule(name)) > 1]
        for number in range(RECORDS):
            yield RawRecord("g2.txt", f"gdb_{number + 1}", names[number % len(names)])

    def parse(self, raw: RawRecord) -> Record:
        atoms = molecule(raw.payload)
        generator = np.random.default_rng(int(raw.id.removeprefix("gdb_")))
        targets: dict[str, Any] = {
            name: generator.normal(-6.5, 0.6) if target.level == "graph" else np.zeros(len(atoms))
            for name, target in _card().targets.items()
        }
        return Record(raw.id, atoms, targets)


def make_project(
    root: Path,
    models: Mapping[str, FakeModel] = MODELS,
    targets: tuple[str, ...] = TARGETS,
    with_store: bool = True,
) -> Path:
    """Write a project with QM9's card, a small store and a leaderboard; return the leaderboard."""
    (root / "params.yaml").write_text("profile: quick\n")
    dataset = root / "datasets" / "qm9"
    dataset.mkdir(parents=True)
    shutil.copy(REPOSITORY / "datasets" / "qm9" / "card.yaml", dataset)
    store = _make_store(dataset)
    leaderboard = root / "leaderboard"
    rows = [
        _make_cell(leaderboard, store, target, name, model, seed)
        for target in targets
        for name, model in models.items()
        for seed in SEEDS
    ]
    write_results(leaderboard, rows)
    if not with_store:
        shutil.rmtree(dataset / "store.zarr")
    return leaderboard


def read_rows(leaderboard: Path) -> list[dict[str, Any]]:
    return pq.read_table(leaderboard / "results.parquet").to_pylist()


def write_results(leaderboard: Path, rows: list[dict[str, Any]]) -> None:
    pq.write_table(pa.Table.from_pylist(rows), leaderboard / "results.parquet")


@cache
def _card() -> Card:
    return Card.load(REPOSITORY / "datasets" / "qm9" / "card.yaml")


def _make_store(dataset: Path) -> GraphStore:
    raw = dataset / "g2.txt"
    raw.write_text("\n".join(g2.names))
    request = BuildRequest(_card(), G2Source(), {"g2.txt": raw}, DatasetSettings())
    build_store(request, dataset / "store.zarr", InlineExecutor())
    ids = [f"gdb_{number + 1}" for number in range(RECORDS)]
    save_split(random_split(ids, (160, 20), seed=42), dataset / "splits" / "random.parquet")
    return open_store(dataset / "store.zarr")


def _make_cell(
    leaderboard: Path, store: GraphStore, target: str, name: str, model: FakeModel, seed: int
) -> dict[str, Any]:
    # Names are hostile in some tests; folders are the runner's and plain.
    folder = f"results/qm9/{target}/{digest('folder', name)[:8]}/{seed}"
    files = leaderboard / folder
    files.mkdir(parents=True)
    _write_predictions(files, store, target, name, model, seed)
    _write_history(files, model, seed)
    (files / "model.json").write_text(json.dumps({"model": name}))
    (files / "model.safetensors").write_bytes(f"{name} {seed}".encode())
    split = store.split("random")
    _calibrate(files, len(split.rows("valid")), target, name, model)
    metrics = measured(files, target)
    (files / "metrics.json").write_text(json.dumps(metrics))
    return {
        "task": f"qm9/{target}",
        "dataset": "qm9",
        "target": target,
        "split": "random",
        "model": name,
        "seed": seed,
        "unit": "eV",
        "error_unit": "meV",
        **metrics,
        "valid_mae": metrics["mae"] * 1.05,
        "n_train": len(split.rows("train")),
        "n_valid": len(split.rows("valid")),
        "parameters": model.parameters,
        "epochs": model.epochs,
        "best_epoch": max(model.epochs - 2, 0),
        "train_seconds": 0.02 + 6.5 * model.epochs + seed,
        "graphs_per_second": 5432.1 + seed,
        "peak_memory_mb": 512.5,
        "hyperparameters": json.dumps(dict(model.hyperparameters)),
        "training": json.dumps({"optimizer": {"name": "torch_adam", "lr": 1e-3}, "epochs": 12}),
        "key": digest("key", target, name, seed),
        "store_digest": store.digest,
        "split_digest": split.digest,
        "code_digest": digest("code", name),
        "weights_sha256": checksum_of(files / "model.safetensors"),
        "machine": "test machine, 2 cores",
        "torch_version": "2.13.0",
        "finished": f"2026-03-0{seed + 1}T12:00:00Z",
        "folder": folder,
        "profile": "quick",
    }


def _write_predictions(
    files: Path, store: GraphStore, target: str, name: str, model: FakeModel, seed: int
) -> None:
    rows = store.split("random").rows("test").numpy()
    truth = store.read(f"targets/{target}")[rows]
    key = digest(name, target, seed if model.seeds_differ else 0)
    noise = np.random.default_rng(int(key[:8], 16)).normal(0, model.noise, len(rows))
    prediction = truth + model.bias + noise
    table = pa.table({"id": store.ids[rows].tolist(), "target": truth, "prediction": prediction})
    pq.write_table(table, files / "predictions.parquet")


def _calibrate(files: Path, size: int, target: str, name: str, model: FakeModel) -> None:
    """Leave errors of a validation subset that are like those of the test subset."""
    generator = np.random.default_rng(int(digest("valid", name)[:8], 16))
    save_calibration(files, Calibration(generator.normal(model.bias, model.noise, size)))


def measured(files: Path, target: str) -> dict[str, Any]:
    """Return the columns that follow from the predictions in a cell's folder."""
    table = pq.read_table(files / "predictions.parquet")
    order = np.argsort(table["id"].to_numpy().astype(str), kind="stable")
    pair = tuple(table[name].to_numpy()[order] for name in ("prediction", "target"))
    errors = 1000 * (pair[0] - pair[1])
    spread = 1000 * (pair[1] - pair[1].mean())
    bounds = intervals_of(error_terms(*pair), _card().targets[target])
    calibration = load_calibration(files)
    found = None if calibration is None else calibration.measure(*pair, 0.9)
    return {
        "mae": float(np.abs(errors).mean()),
        "rmse": float(np.sqrt((errors**2).mean())),
        "r2": float(1 - (errors**2).sum() / (spread**2).sum()),
        **{f"{error}_low": low for error, (low, _) in bounds.items()},
        **{f"{error}_high": high for error, (_, high) in bounds.items()},
        "coverage_90": None if found is None else found.coverage,
        "interval_90": None if found is None else 1000 * found.width,
        "miscalibration": calibration and miscalibration_area(calibration.levels(*pair)),
        "n_test": len(table),
        "predictions_sha256": checksum_of(files / "predictions.parquet"),
    }


def _write_history(files: Path, model: FakeModel, seed: int) -> None:
    lines = ["epoch,train_loss,valid_mae,learning_rate,seconds"]
    for epoch in range(model.epochs):
        error = 1000 * model.noise * (1 + 5 * (0.7 - 0.1 * seed) ** epoch) + seed
        lines.append(f"{epoch},{0.5 * 0.8**epoch},{error},0.001,6.5")
    (files / "history.csv").write_text("\n".join(lines) + "\n")


def digest(*parts: object) -> str:
    return hashlib.sha256(" ".join(map(str, parts)).encode()).hexdigest()
