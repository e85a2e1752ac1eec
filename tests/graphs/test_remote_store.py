"""Stores on other file systems: a real S3 API and HTTP servers on this machine, memory, URLs."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import handmade
import pytest
import torch
from torch_geometric.data import Batch

import molcryst_bench as mb
from molcryst_bench.base.errors import SettingsError, StoreError
from molcryst_bench.base.executors import InlineExecutor
from molcryst_bench.graphs import stream, writer
from molcryst_bench.graphs.build import BuildRequest, DatasetSettings, build_store
from molcryst_bench.graphs.draw import random_split
from molcryst_bench.graphs.split import save_split
from molcryst_bench.graphs.store import GraphStore, open_store
from molcryst_bench.sources.card import load_card

moto = pytest.importorskip("moto.server", reason="moto comes with the extra dev")
pytest.importorskip("s3fs", reason="s3fs comes with the extra s3")

BUCKET = "molecules"
URL = f"s3://{BUCKET}/qm9/store.zarr"


class CountedServer(moto.ThreadedMotoServer):
    """An S3 API that counts what is asked of it."""

    def __init__(self) -> None:
        super().__init__(ip_address="127.0.0.1", port=0, verbose=False)
        self.asked: list[tuple[str, str, str | None]] = []

    def start(self) -> None:
        super().start()
        application = self._server.app

        def counting(environ: dict[str, Any], start_response: Any) -> Any:
            question = environ["REQUEST_METHOD"], environ["PATH_INFO"], environ.get("HTTP_RANGE")
            self.asked.append(question)
            return application(environ, start_response)

        self._server.app = counting

    @property
    def address(self) -> str:
        return "http://{}:{}".format(*self.get_host_and_port())


@pytest.fixture(scope="module")
def server() -> Iterator[CountedServer]:
    server = CountedServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def uploaded(
    server: CountedServer, built_project: Path, many_chunks: Path
) -> Iterator[fsspec.AbstractFileSystem]:
    """A bucket with the small QM9 and its splits, once as it is and once in many chunks."""
    options = {"key": "somebody", "secret": "secret", "endpoint_url": server.address}
    files = fsspec.filesystem("s3", use_listings_cache=False, **options)
    files.mkdir(BUCKET)
    upload(built_project / "datasets/qm9", files, f"{BUCKET}/qm9")
    upload(many_chunks, files, f"{BUCKET}/many")
    yield files
    files.rm(BUCKET, recursive=True)


@pytest.fixture
def s3(
    uploaded: fsspec.AbstractFileSystem, server: CountedServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[fsspec.AbstractFileSystem]:
    """The bucket, with an environment that says how to get there."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.address)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    fsspec.get_filesystem_class("s3").clear_instance_cache()  # it remembers the environment
    server.asked.clear()
    yield uploaded
    fsspec.get_filesystem_class("s3").clear_instance_cache()


@pytest.fixture(scope="module")
def many_chunks(built_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the small QM9 in shards of two chunks, of which the last are not full."""
    folder, raw = tmp_path_factory.mktemp("many"), built_project / "datasets/qm9/raw"
    shutil.copytree(raw.parent / "splits", folder / "splits")
    source = handmade.tiny_dataset(raw).sources[0]
    paths = {file.name: raw / file.name for file in source.files}
    with contextlib.chdir(built_project), pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "CHUNK_BYTES", 512)
        request = BuildRequest(load_card("qm9"), source, paths, DatasetSettings())
        build_store(request, folder / "store.zarr", InlineExecutor(), shard_bytes=1024)
    return folder


@contextlib.contextmanager
def changed(files: fsspec.AbstractFileSystem, path: str, content: bytes | None) -> Iterator[None]:
    """Change or remove a file for a while."""
    before = files.cat_file(path)
    if content is None:
        files.rm(path)
    else:
        files.pipe_file(path, content)
    yield
    files.pipe_file(path, before)


def upload(local: Path, files: fsspec.AbstractFileSystem, folder: str) -> None:
    files.put(f"{local}/store.zarr/", f"{folder}/store.zarr/", recursive=True)
    files.put(f"{local}/splits/", f"{folder}/splits/", recursive=True)


def check_same_batches(store: GraphStore, local: GraphStore) -> None:
    options: dict[str, Any] = {"subset": "train", "batch_size": 7, "shuffle": True, "seed": 3}
    for more in ({}, {"targets": ["homo", "charge"], "stream": True}):
        loaders = [each.loader(**options, **more) for each in (store, local)]
        for batch, expected in zip(*loaders, strict=True):
            check_same(batch, expected)


def check_same(batch: Batch, expected: Batch) -> None:
    for name in ("z", "pos", "edge_index", "batch"):
        assert torch.equal(batch[name], expected[name]), name
    assert list(batch.targets) == list(expected.targets)
    for name, values in expected.targets.items():
        torch.testing.assert_close(batch.targets[name], values, rtol=0, atol=0, equal_nan=True)


def test_batches_from_s3_are_those_from_disk(
    s3: fsspec.AbstractFileSystem, tiny_store: GraphStore
) -> None:
    store = mb.open_store(URL)
    store.verify()
    assert store.digest == tiny_store.digest
    assert store.split().digest == tiny_store.split().digest
    check_same_batches(store, tiny_store)


def test_a_store_of_many_chunks_streams_the_same_from_s3(
    s3: fsspec.AbstractFileSystem, many_chunks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "_BLOCK_BYTES", 30_000)
    local = open_store(many_chunks / "store.zarr")
    check_same_batches(open_store(f"s3://{BUCKET}/many/store.zarr"), local)


def test_a_full_read_asks_once_for_each_shard(
    s3: fsspec.AbstractFileSystem, server: CountedServer, many_chunks: Path
) -> None:
    store = open_store(f"s3://{BUCKET}/many/store.zarr")
    assert [path for _, path, _ in server.asked] == [f"/{BUCKET}/many/store.zarr/zarr.json"]
    assert len(store.graphs) == 80
    store.split()
    counts = Counter(path for _, path, _ in server.asked)
    shards = {path for path in counts if "/c/" in path}
    assert len(shards) > len(store.array_digests), "some arrays have more than one"
    assert len(counts) == len(shards) + 2, "one metadata file and one split beside the shards"
    assert counts.most_common(1)[0][1] == 1, counts.most_common(3)
    assert {method for method, _, _ in server.asked} == {"GET"}


def test_a_few_rows_do_not_fetch_whole_shards(
    s3: fsspec.AbstractFileSystem, server: CountedServer, many_chunks: Path
) -> None:
    store = open_store(f"s3://{BUCKET}/many/store.zarr")
    server.asked.clear()
    rows = store.read("nodes/position", 3, 7)
    assert (rows == open_store(many_chunks / "store.zarr").read("nodes/position")[3:7]).all()
    assert [bool(part) for _, _, part in server.asked] == [True, True], "its index, then a chunk"


def test_options_can_be_given_in_place_of_the_environment(
    s3: fsspec.AbstractFileSystem, server: CountedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    options = {"key": "somebody", "secret": "secret", "endpoint_url": server.address}
    store = open_store(URL, storage_options=options)
    assert len(store.split().rows("train")) == 50
    assert store[3].num_nodes > 0


def test_fsspec_configuration_is_heard(
    s3: fsspec.AbstractFileSystem, server: CountedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    settings = {"key": "somebody", "secret": "secret", "endpoint_url": server.address}
    monkeypatch.setitem(fsspec.config.conf, "s3", settings)
    assert open_store(URL).split().digest


# ------------------------------------------------------------------ what goes wrong


def test_a_wrong_bucket_or_key_is_told(s3: fsspec.AbstractFileSystem) -> None:
    with pytest.raises(StoreError, match=r"bucket does not exist.*check its address"):
        open_store("s3://atoms/qm9/store.zarr")
    with pytest.raises(StoreError, match=r"qm8/store\.zarr.*zarr\.json.*key does not exist"):
        open_store(f"s3://{BUCKET}/qm8/store.zarr")


def test_missing_credentials_are_told(
    s3: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    with pytest.raises(StoreError, match=r"Unable to locate credentials.*your access to it"):
        open_store(URL)


def test_a_server_that_does_not_answer_is_told(s3: fsspec.AbstractFileSystem) -> None:
    options = {
        "endpoint_url": "http://127.0.0.1:9",
        "config_kwargs": {"retries": {"max_attempts": 0}},
    }
    with pytest.raises(StoreError, match="Could not connect to the endpoint"):
        open_store(URL, options)


def test_an_unknown_kind_of_address_is_told() -> None:
    with pytest.raises(StoreError, match="Protocol not known: s4"):
        open_store("s4://bucket/store.zarr")


def test_without_s3fs_it_says_what_to_install() -> None:
    program = (
        "import sys; sys.modules['s3fs'] = None\n"
        "from molcryst_bench.graphs.store import open_store\n"
        f"open_store({URL!r})\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "StoreError" in done.stderr.splitlines()[-1]
    assert "Install s3fs" in done.stderr.splitlines()[-1]


def test_a_store_that_is_half_uploaded_is_not_read_as_zeros(
    s3: fsspec.AbstractFileSystem, tiny_store: GraphStore
) -> None:
    store = open_store(URL)
    with changed(s3, f"{BUCKET}/qm9/store.zarr/targets/homo/c/0", None):
        with pytest.raises(StoreError, match=r"targets/homo/c/0: cannot be read .*does not exist"):
            store.read("targets/homo")
        assert (store.read("targets/zpve") == tiny_store.read("targets/zpve")).all()
        with pytest.raises(StoreError, match="targets/homo/c/0"):
            store.loader(stream=False)
        with pytest.raises(StoreError, match="targets/homo/c/0"):
            list(store.loader(stream=True))
        with pytest.raises(StoreError, match=r"\n  targets/homo/c/0: .*does not exist.*\n.*dvc"):
            store.verify()
    with (
        changed(s3, f"{BUCKET}/qm9/store.zarr/zarr.json", None),
        pytest.raises(StoreError, match=r"zarr\.json: .*key does not exist"),
    ):
        open_store(URL)


def test_missing_splits_are_told_with_their_address(s3: fsspec.AbstractFileSystem) -> None:
    store = open_store(URL)
    with pytest.raises(SettingsError, match="unknown split 'randon'; did you mean 'random'"):
        store.split("randon")
    with (
        changed(s3, f"{BUCKET}/qm9/splits/random.parquet", None),
        pytest.raises(SettingsError, match=f"s3://{BUCKET}/qm9/splits/random.parquet is not there"),
    ):
        store.loader()


def test_a_remote_split_of_other_records_is_refused(
    s3: fsspec.AbstractFileSystem, project: Path, tmp_path: Path
) -> None:
    other = random_split(["a", "b", "c"], (1, 1), seed=0)
    save_split(other, tmp_path / "other.parquet")
    path = f"{BUCKET}/qm9/splits/random.parquet"
    with changed(s3, path, (tmp_path / "other.parquet").read_bytes()):
        with pytest.raises(StoreError, match="made for other records"):
            open_store(URL).split()
        with pytest.raises(StoreError, match=r"\.\./splits/random\.parquet: .*other records"):
            open_store(URL).verify()
    with (
        changed(s3, path, b"PAR1"),
        pytest.raises(StoreError, match=f"s3://{path} is not a split"),
    ):
        open_store(URL).split()


# ------------------------------------------------------------------ other addresses


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files; lists folders only where that is allowed."""

    lists: ClassVar[bool] = True

    def list_directory(self, path: Any) -> Any:
        return super().list_directory(path) if self.lists else self.send_error(403)

    def log_message(self, *arguments: object) -> None:
        """Keep the output of the tests clean."""


@pytest.fixture
def web(tiny_store: GraphStore) -> Iterator[str]:
    """The address of a web server for the folder of the small QM9."""
    handler = partial(QuietHandler, directory=str(Path(tiny_store.path).parent))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("lists", [True, False])
def test_a_store_on_a_web_server_reads_the_same(
    web: str, tiny_store: GraphStore, monkeypatch: pytest.MonkeyPatch, lists: bool
) -> None:
    monkeypatch.setattr(QuietHandler, "lists", lists)
    store = open_store(f"{web}/store.zarr")
    store.verify()
    check_same_batches(store, tiny_store)
    with pytest.raises(SettingsError, match=f"{web}/splits/other.parquet"):
        store.split("other")
    with pytest.raises(StoreError, match=r"no\.zarr.*zarr\.json"):
        open_store(f"{web}/no.zarr")


@pytest.fixture
def memory(tiny_store: GraphStore) -> Iterator[str]:
    files = fsspec.filesystem("memory")
    upload(Path(tiny_store.path).parent, files, "/bucket")
    yield "memory://bucket/store.zarr"
    files.rm("/bucket", recursive=True)


def test_a_store_in_memory_reads_the_same(memory: str, tiny_store: GraphStore) -> None:
    store = open_store(memory)
    store.verify()
    check_same_batches(store, tiny_store)
    cached = open_store(f"simplecache::{memory}")
    check_same_batches(cached, tiny_store)


def test_a_store_can_be_opened_by_address_and_moved(tiny_store: GraphStore, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    shutil.move(Path(tiny_store.path).parent, moved)
    path = moved / "store.zarr"
    for address in (path, str(path), f"{path}/", f"file://{path}", f"local://{path}"):
        store = open_store(address)
        store.verify()
        assert store.digest == tiny_store.digest
        assert len(store.split().rows("test")) == 15


def test_every_file_system_counts_its_metadata_as_damage(memory: str) -> None:
    files = fsspec.filesystem("memory")
    name = "/bucket/store.zarr/zarr.json"
    document = json.loads(files.cat_file(name))
    document["attributes"]["targets"]["homo"]["unit"] = "meV"
    files.pipe_file(name, json.dumps(document).encode())
    with pytest.raises(StoreError, match=r"\n  zarr.json: changed since it was built"):
        open_store(memory).verify()
