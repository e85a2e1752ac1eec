"""Fixtures for all tests: a project folder with a small QM9 in it, and a store built from it.

No test needs the network. ``project`` is a fresh folder for each test, with the current directory
in it; in it the importer of QM9 reads 80 hand-made molecules of 2 to 14 atoms instead of the real
files, which cost too much time for fast tests.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import handmade
import pytest
import torch
from handmade import REPOSITORY, Molecule

from molcryst_bench.base.executors import InlineExecutor
from molcryst_bench.graphs.build import BuildRequest, DatasetSettings, build_store
from molcryst_bench.graphs.draw import random_split
from molcryst_bench.graphs.split import save_split
from molcryst_bench.graphs.store import GraphStore, open_store
from molcryst_bench.sources import registry
from molcryst_bench.sources.card import load_card
from molcryst_bench.sources.record import Dataset, Source

SPLIT_SIZES = (50, 15)  # the other 15 of the 80 molecules are the test set

Build = Callable[..., GraphStore]

os.environ["WANDB_MODE"] = "offline"  # tests of somebody who is logged in stay here, too


@pytest.fixture(autouse=True)
def _denormals() -> Iterator[None]:
    """Keep denormals for the next test: hypothesis draws them, and training here flushes them."""
    yield
    torch.set_flush_denormal(False)


@pytest.fixture(scope="session")
def molecules() -> list[Molecule]:
    """80 molecules with all their numbers as text."""
    return handmade.make_molecules(80)


@pytest.fixture(scope="session")
def built_project(tmp_path_factory: pytest.TempPathFactory, molecules: list[Molecule]) -> Path:
    """A project with raw files, store and random split. Read only: tests get a copy of it."""
    root = tmp_path_factory.mktemp("built") / "project"
    dataset = root / "datasets" / "qm9"
    dataset.mkdir(parents=True)
    (root / "params.yaml").write_text("")
    shutil.copy(REPOSITORY / "datasets" / "qm9" / "card.yaml", dataset)
    handmade.write_wheel(dataset / "raw" / handmade.WHEEL_NAME, molecules)
    handmade.write_archive(dataset / "raw" / handmade.ARCHIVE_NAME, molecules)
    handmade.write_failures(dataset / "raw" / handmade.FAILURES_NAME, [])
    with contextlib.chdir(root):
        source = handmade.tiny_dataset(dataset / "raw").sources[0]
        _build(source, dataset / "raw", dataset / "store.zarr")
    split = random_split([molecule.id for molecule in molecules], SPLIT_SIZES, seed=42)
    save_split(split, dataset / "splits" / "random.parquet")
    return root


@pytest.fixture
def project(built_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a project with an empty ``params.yaml``, the card of QM9 and raw files.

    It has a random split (50 / 15 / 15) and no store yet. Inside this process, ``get_dataset`` has
    a QM9 whose checksums are those of the small files.
    """
    root = tmp_path / "project"
    shutil.copytree(built_project, root, ignore=shutil.ignore_patterns("store.zarr"))
    monkeypatch.chdir(root)
    monkeypatch.delenv("MOLCRYST_MIRROR", raising=False)
    dataset = handmade.tiny_dataset(root / "datasets" / "qm9" / "raw")
    monkeypatch.setitem(registry._IMPORTERS, "qm9", lambda: dataset)
    return root


@pytest.fixture
def tiny_dataset(project: Path) -> Dataset:
    """The importer of the small QM9: its sources are the wheel and figshare."""
    return registry.get_dataset("qm9")


@pytest.fixture
def tiny_store(project: Path, built_project: Path) -> GraphStore:
    """The store of the small QM9, in ``datasets/qm9/store.zarr`` of ``project``: 80 molecules."""
    path = Path("datasets", "qm9", "store.zarr")
    shutil.copytree(built_project / path, project / path)
    return open_store(project / path)


@pytest.fixture
def build(project: Path) -> Build:
    """Return ``build(source, folder, path, **options)``: builds, verifies and opens a store.

    ``folder`` has the raw files of the source; options are ``settings`` and those of
    ``build_store``.
    """
    return _build


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "small", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("a small file system can be mounted by root alone")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _build(
    source: Source,
    folder: Path,
    path: Path,
    settings: DatasetSettings | None = None,
    **options: object,
) -> GraphStore:
    paths = {file.name: folder / file.name for file in source.files}
    request = BuildRequest(load_card("qm9"), source, paths, settings or DatasetSettings())
    options.setdefault("executor", InlineExecutor())
    digest = build_store(request, path, **options)
    store = open_store(path)
    store.verify()
    assert store.digest == digest
    return store
