from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import crystals
import handmade
import numpy as np
import pytest
import zarr
from handmade import Molecule

from molcryst_bench.base.errors import MolcrystError, SettingsError, StoreError
from molcryst_bench.base.executors import InlineExecutor, local_executor
from molcryst_bench.graphs import build as build_module
from molcryst_bench.graphs import writer
from molcryst_bench.graphs.build import BuildRequest, DatasetSettings, Sample, build_store
from molcryst_bench.graphs.neighbors import GraphSpec
from molcryst_bench.graphs.store import GraphStore, open_store
from molcryst_bench.sources.record import Dataset, Source
from molcryst_bench.sources.registry import get_source

Build = Callable[..., GraphStore]


@pytest.fixture
def raw(project: Path) -> Path:
    return project / "datasets" / "qm9" / "raw"


@pytest.fixture
def wheel(tiny_dataset: Dataset) -> Source:
    return get_source(tiny_dataset, "wheel")


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let 80 molecules make 8 parts, and their arrays many chunks."""
    monkeypatch.setattr(build_module, "PART_RECORDS", 10)
    monkeypatch.setattr(writer, "CHUNK_BYTES", 512)


class CountingExecutor(InlineExecutor):
    """Counts its tasks; dies like a killed process once it has done ``most``."""

    def __init__(self, most: int = 10**6) -> None:
        self.done = 0
        self.most = most

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        if self.done == self.most:
            raise KeyboardInterrupt
        self.done += 1
        return super().submit(fn, *args, **kwargs)


def files_of(store: GraphStore, array: str) -> list[Path]:
    return [path for path in Path(store.path, array, "c").rglob("*") if path.is_file()]


@pytest.mark.parametrize("shard_bytes", [512, 2048, 1 << 20])
def test_the_digest_does_not_depend_on_parts_chunks_and_shards(
    wheel: Source,
    raw: Path,
    build: Build,
    tiny_store: GraphStore,
    tmp_path: Path,
    small_parts: None,
    shard_bytes: int,
) -> None:
    store = build(wheel, raw, tmp_path / "store", shard_bytes=shard_bytes)
    assert (len(files_of(store, "nodes/position")) > 1) == (shard_bytes < 1 << 20)
    assert store.digest == tiny_store.digest
    for name in store.attributes["array_digests"]:
        np.testing.assert_array_equal(store.read(name), tiny_store.read(name))


def test_the_digest_does_not_depend_on_workers(
    wheel: Source, raw: Path, build: Build, tiny_store: GraphStore, tmp_path: Path,
    small_parts: None,
) -> None:  # fmt: skip
    with local_executor(2) as executor:
        store = build(wheel, raw, tmp_path / "store", executor=executor)
    assert store.digest == tiny_store.digest


def test_the_digest_sees_order_ids_and_values(
    raw: Path, build: Build, tiny_store: GraphStore, molecules: list[Molecule], tmp_path: Path
) -> None:
    first, second, *others = molecules
    swapped = [second, first, *others]
    last_digit = first.positions[0][0][:-3] + "999"
    moved = [first.moved(0, 0, last_digit), second, *others]
    digests = {tiny_store.digest}
    for number, changed in enumerate([swapped, moved, molecules[:-1]]):
        path = handmade.write_wheel(tmp_path / str(number) / handmade.WHEEL_NAME, changed)
        source = handmade.wheel_source(path)
        digests.add(build(source, path.parent, tmp_path / str(number) / "store").digest)
    assert len(digests) == 4


def test_an_interrupted_build_goes_on_where_it_was(
    wheel: Source, raw: Path, build: Build, tiny_store: GraphStore, tmp_path: Path,
    small_parts: None,
) -> None:  # fmt: skip
    path = tmp_path / "store"
    with pytest.raises(KeyboardInterrupt):
        build(wheel, raw, path, executor=CountingExecutor(most=3))
    assert not path.exists()
    rest = CountingExecutor()
    assert build(wheel, raw, path, executor=rest).digest == tiny_store.digest
    assert rest.done == 5
    assert [path.name for path in tmp_path.glob(".*")] == [".store.lock"], "no part is left"


def test_parts_of_another_build_are_not_mixed_in(
    wheel: Source, raw: Path, build: Build, tmp_path: Path, small_parts: None
) -> None:
    near = DatasetSettings(graph=GraphSpec(cutoff=2.0))
    with pytest.raises(KeyboardInterrupt):
        build(wheel, raw, tmp_path / "store", executor=CountingExecutor(most=3), settings=near)
    everything = CountingExecutor()
    mixed = build(wheel, raw, tmp_path / "store", executor=everything)
    assert everything.done == 8
    assert mixed.digest == build(wheel, raw, tmp_path / "clean").digest


@pytest.mark.parametrize("moment", ["array", "metadata", "first rename", "second rename"])
def test_a_build_killed_while_the_store_is_put_together_leaves_the_old_one(
    wheel: Source,
    raw: Path,
    build: Build,
    tiny_store: GraphStore,
    monkeypatch: pytest.MonkeyPatch,
    moment: str,
) -> None:
    path = Path(tiny_store.path)
    near = DatasetSettings(graph=GraphSpec(cutoff=2.0))
    with monkeypatch.context() as patch:
        kill_at(moment, patch)
        with pytest.raises(KeyboardInterrupt):
            build(wheel, raw, path, settings=near)
    if moment != "second rename":
        open_store(path).verify()
        assert open_store(path).digest == tiny_store.digest
    without_work = CountingExecutor(most=0)
    assert build(wheel, raw, path, executor=without_work).digest == tiny_store.digest
    rebuilt = build(wheel, raw, path, settings=near, executor=without_work)
    assert rebuilt.digest != tiny_store.digest
    assert [found.name for found in path.parent.glob(".*")] == [".store.zarr.lock"]


def kill_at(moment: str, patch: pytest.MonkeyPatch) -> None:
    def killed(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    rename = Path.replace

    def killed_rename(source: Path, target: Path) -> Path:
        from_store = source.name == "store.zarr" and moment == "first rename"
        to_store = target.name == "store.zarr" and moment == "second rename"
        if from_store or to_store:
            raise KeyboardInterrupt
        return rename(source, target)

    if moment == "array":
        patch.setattr(writer, "_offsets", killed)
    elif moment == "metadata":
        patch.setattr(zarr, "consolidate_metadata", killed)
    else:
        patch.setattr(Path, "replace", killed_rename)


def test_a_built_store_is_not_built_again(
    wheel: Source, raw: Path, build: Build, tmp_path: Path
) -> None:
    path = tmp_path / "store"
    first = build(wheel, raw, path)
    inode = path.stat().st_ino
    second = build(wheel, raw, path, executor=CountingExecutor(most=0))
    assert second.digest == first.digest
    assert path.stat().st_ino == inode


@pytest.mark.parametrize("name", ["targets/homo/c/0", "edges/sender/c/0", "graphs/id/c/0"])
@pytest.mark.parametrize("left", [None, 0, 100])
def test_a_store_with_a_missing_or_truncated_shard_is_built_again(
    wheel: Source, raw: Path, build: Build, tiny_store: GraphStore, name: str, left: int | None
) -> None:
    shard = Path(tiny_store.path, name)
    before = shard.read_bytes()
    if left is None:
        shard.unlink()
    else:
        shard.write_bytes(before[:left])
    built = build(wheel, raw, Path(tiny_store.path))
    assert built.digest == tiny_store.digest
    assert shard.read_bytes() == before


@pytest.mark.parametrize(
    "settings",
    [
        DatasetSettings(graph=GraphSpec(cutoff=3.0)),
        DatasetSettings(graph=GraphSpec(max_neighbors=4)),
        DatasetSettings(sample=Sample(size=20)),
    ],
    ids=["cutoff", "nearest", "sample"],
)
def test_other_settings_build_another_store(
    wheel: Source, raw: Path, build: Build, tmp_path: Path, settings: DatasetSettings
) -> None:
    path = tmp_path / "store"
    before = build(wheel, raw, path)
    after = build(wheel, raw, path, settings=settings)
    assert after.digest != before.digest
    assert after.spec == settings.graph
    assert build(wheel, raw, path).digest == before.digest


def test_another_card_or_raw_file_builds_another_store(
    wheel: Source, raw: Path, build: Build, molecules: list[Molecule], tmp_path: Path
) -> None:
    path = tmp_path / "store"
    before = build(wheel, raw, path)
    card = raw.parent / "card.yaml"
    card.write_text(
        card.read_text().replace("{unit: D, error_unit: D", "{unit: Debye, error_unit: D")
    )
    renamed = build(wheel, raw, path)
    assert renamed.targets["mu"].unit == "Debye"
    assert renamed.digest == before.digest, "a unit is no value"
    other = handmade.write_wheel(raw / handmade.WHEEL_NAME, molecules[:40])
    assert len(build(handmade.wheel_source(other), raw, path)) == 40


def break_version(path: Path) -> None:
    zarr.open_group(path, mode="r+").attrs["schema_version"] = 0
    zarr.consolidate_metadata(path)


def break_metadata(path: Path) -> None:
    (path / "zarr.json").write_text("{")


def break_folder(path: Path) -> None:
    shutil.rmtree(path)
    path.mkdir()


@pytest.mark.filterwarnings("ignore:Consolidated metadata")
@pytest.mark.parametrize("spoil", [break_version, break_metadata, break_folder])
def test_a_store_that_cannot_be_opened_is_built_again(
    wheel: Source, raw: Path, build: Build, tiny_store: GraphStore, spoil: Callable[[Path], None]
) -> None:
    spoil(Path(tiny_store.path))
    with pytest.raises(MolcrystError, match="molcryst data build"):
        open_store(tiny_store.path)
    assert build(wheel, raw, Path(tiny_store.path)).digest == tiny_store.digest


def test_a_sample_is_the_same_every_time_and_in_order(
    wheel: Source, raw: Path, build: Build, tiny_store: GraphStore, tmp_path: Path,
    small_parts: None,
) -> None:  # fmt: skip
    first, again, other = (
        build(wheel, raw, tmp_path / name, settings=DatasetSettings(sample=Sample(size=25, seed=s)))
        for name, s in (("first", 1), ("again", 1), ("other", 2))
    )
    assert first.digest == again.digest != other.digest
    rows = np.flatnonzero(np.isin(tiny_store.ids, first.ids))
    assert len(rows) == len(first) == 25
    assert first.ids.tolist() == tiny_store.ids[rows].tolist()
    np.testing.assert_array_equal(first.read("targets/u0"), tiny_store.read("targets/u0")[rows])
    assert first.population_digest() == tiny_store.population_digest()


def test_a_sample_larger_than_the_dataset_is_refused(
    wheel: Source, raw: Path, build: Build, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match="the dataset has 80"):
        build(wheel, raw, tmp_path / "s", settings=DatasetSettings(sample=Sample(size=81)))


def test_progress_ends_at_the_number_of_records(
    wheel: Source, raw: Path, build: Build, tmp_path: Path, small_parts: None
) -> None:
    seen: list[tuple[int, int]] = []
    build(wheel, raw, tmp_path / "store", progress=lambda done, total: seen.append((done, total)))
    assert seen == [(done, 80) for done in range(10, 81, 10)]


def test_few_records_make_enough_parts_for_all_workers(
    wheel: Source, raw: Path, build: Build, tmp_path: Path
) -> None:
    executor = CountingExecutor()
    build(wheel, raw, tmp_path / "store", executor=executor)
    assert executor.done == 5  # of 16 records


@pytest.mark.parametrize("fails", ["part", "store"])
def test_a_full_disk_is_explained_and_leaves_the_old_store(
    wheel: Source,
    raw: Path,
    build: Build,
    tiny_store: GraphStore,
    monkeypatch: pytest.MonkeyPatch,
    fails: str,
) -> None:
    def full(*arguments: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    near = DatasetSettings(graph=GraphSpec(cutoff=2.0))
    with monkeypatch.context() as patch:
        patch.setattr(
            *{"part": (np, "savez"), "store": (zarr, "consolidate_metadata")}[fails], full
        )
        with pytest.raises(MolcrystError, match="disk is full"):
            build(wheel, raw, Path(tiny_store.path), settings=near)
    open_store(tiny_store.path).verify()
    assert open_store(tiny_store.path).digest == tiny_store.digest
    assert build(wheel, raw, Path(tiny_store.path), settings=near).digest != tiny_store.digest


@pytest.mark.parametrize(
    ("workers", "leave"), [(1, 60_000), (2, 60_000), (1, 300_000)], ids=["part", "worker", "store"]
)
def test_a_disk_that_really_fills_up_leaves_the_old_store(
    small_disk: Path, wheel: Source, raw: Path, build: Build, tiny_store: GraphStore,
    workers: int, leave: int, small_parts: None,
) -> None:  # fmt: skip
    path = small_disk / "store.zarr"
    shutil.copytree(tiny_store.path, path)
    fill(small_disk, leave=leave)
    near = DatasetSettings(graph=GraphSpec(cutoff=2.0))
    with (
        local_executor(workers) as executor,
        pytest.raises(MolcrystError, match="disk is full"),
    ):
        build(wheel, raw, path, settings=near, executor=executor)
    open_store(path).verify()
    assert open_store(path).digest == tiny_store.digest
    (small_disk / "ballast").unlink()
    assert build(wheel, raw, path, settings=near).digest != tiny_store.digest


def test_a_disk_that_is_read_only_is_explained_and_the_old_store_readable(
    small_disk: Path, wheel: Source, raw: Path, build: Build, tiny_store: GraphStore
) -> None:
    path = small_disk / "store.zarr"
    shutil.copytree(tiny_store.path, path)
    near = DatasetSettings(graph=GraphSpec(cutoff=2.0))
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(MolcrystError, match="file system is read-only"):
        build(wheel, raw, path, settings=near)
    open_store(path).verify()
    assert open_store(path).digest == tiny_store.digest
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    assert build(wheel, raw, path, settings=near).digest != tiny_store.digest


def fill(disk: Path, leave: int) -> None:
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    (disk / "ballast").write_bytes(bytes(free - leave))


def test_the_death_of_a_worker_is_explained(project: Path, tmp_path: Path) -> None:
    (tmp_path / "crystals.txt").touch()
    request = BuildRequest(
        crystals.CARD,
        crystals.DeadlySource(),
        {"crystals.txt": tmp_path / "crystals.txt"},
        DatasetSettings(),
    )
    with (
        local_executor(2) as executor,
        pytest.raises(StoreError, match=r"ended abruptly.*fewer workers"),
    ):
        build_store(request, tmp_path / "store", executor)
    assert not (tmp_path / "store").exists()


DRIVER = """
import sys
from pathlib import Path

sys.path.insert(0, sys.argv[1])
import handmade
from molcryst_bench.base.executors import local_executor
from molcryst_bench.graphs import build, writer
from molcryst_bench.sources.card import load_card

build.PART_RECORDS = 100
writer.CHUNK_BYTES = 4096

if __name__ == "__main__":
    wheel, path = Path(sys.argv[2]), Path(sys.argv[3])
    source = handmade.wheel_source(wheel)
    request = build.BuildRequest(
        load_card("qm9"), source, {wheel.name: wheel}, build.DatasetSettings()
    )
    with local_executor(int(sys.argv[4])) as executor:
        print(build.build_store(request, path, executor, shard_bytes=65536))
"""


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_build_killed_at_any_moment_ends_with_the_same_digest(
    project: Path, tmp_path: Path, workers: int
) -> None:
    generator = random.Random(workers)
    many = [
        molecule.numbered(index)
        for index, molecule in enumerate(handmade.make_molecules(80) * 50, start=1)
    ]
    wheel = handmade.write_wheel(tmp_path / "raw" / handmade.WHEEL_NAME, many)
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    command = [sys.executable, str(script), str(Path(__file__).parent.parent), str(wheel)]

    def run(path: Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*command, str(path), str(workers)], stdout=subprocess.PIPE, text=True
        )

    start = time.monotonic()
    expected, _ = run(tmp_path / "clean").communicate()
    whole = time.monotonic() - start
    path, kept = tmp_path / "killed", 0
    for attempt in range(10):
        process = run(path)
        time.sleep(generator.uniform(0.3, 0.9) * whole)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        parts = len(list((tmp_path / ".killed.building").glob("part-*.npz")))
        assert parts >= kept or path.exists(), f"attempt {attempt} lost parts"
        kept = parts
        if path.exists():
            open_store(path).verify()
    assert run(path).communicate()[0] == expected
    open_store(path).verify()
    assert open_store(path).digest == expected.strip()
    assert len(open_store(path)) == 4000
