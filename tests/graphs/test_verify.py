"""A damaged store: every damaged file is found and named, and nothing is taken for zeros."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import crystals
import numpy as np
import pytest
import zarr
from click.testing import CliRunner

from molcryst_bench.base.errors import StoreError
from molcryst_bench.base.executors import InlineExecutor
from molcryst_bench.cli.main import molcryst
from molcryst_bench.graphs import writer
from molcryst_bench.graphs.build import BuildRequest, DatasetSettings, build_store
from molcryst_bench.graphs.layout import array_digest, metadata_digest, store_digest
from molcryst_bench.graphs.neighbors import GraphSpec
from molcryst_bench.graphs.split import Split, load_split, save_split
from molcryst_bench.graphs.store import GraphStore, open_store
from molcryst_bench.graphs.verify import _spec_of

pytestmark = pytest.mark.filterwarnings("ignore:Consolidated metadata")

Damage = Callable[[bytes], bytes | None]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of crystals in many shards of a few chunks each."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "crystals.txt").write_text("made up")
    request = BuildRequest(
        crystals.CARD,
        crystals.CrystalSource(),
        {"crystals.txt": folder / "crystals.txt"},
        DatasetSettings(graph=GraphSpec(cutoff=6.0)),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "CHUNK_BYTES", 400)
        build_store(request, folder / "store.zarr", InlineExecutor(), shard_bytes=1200)
    return folder / "store.zarr"


@pytest.fixture
def store(whole: Path, tmp_path: Path) -> GraphStore:
    shutil.copytree(whole, tmp_path / "store.zarr")
    return open_store(tmp_path / "store.zarr")


def files_of(store: GraphStore) -> list[str]:
    """Names of all files within a store, but for its own metadata."""
    files = (path for path in Path(store.path).rglob("*") if path.is_file())
    names = sorted(str(path.relative_to(store.path)) for path in files)
    return [name for name in names if name != "zarr.json"]


def flipper(generator: random.Random) -> Damage:
    def flip(content: bytes) -> bytes:
        changed = bytearray(content)
        changed[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
        return bytes(changed)

    return flip


def truncator(generator: random.Random) -> Damage:
    return lambda content: content[: generator.randrange(len(content))]


def remover(generator: random.Random) -> Damage:
    return lambda content: None


def report(path: str | Path) -> str:
    with pytest.raises(StoreError) as caught:
        open_store(path).verify()
    return str(caught.value)


def reported_files(message: str) -> list[str]:
    return sorted(line.split(":")[0].strip() for line in message.splitlines()[1:-1])


def is_json(content: bytes) -> bool:
    try:
        json.loads(content)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("damager", [flipper, truncator, remover])
def test_all_damaged_files_are_named_and_no_others(
    store: GraphStore, damager: Callable[[random.Random], Damage]
) -> None:
    store.verify()
    generator = random.Random(0)
    damage, files = damager(generator), files_of(store)
    assert "nodes/position/c/3/0" in files
    assert len([name for name in files if "/c/" in name]) > 40
    for _ in range(15):
        hit = sorted(generator.sample(files, 6))
        contents = {name: Path(store.path, name).read_bytes() for name in hit}
        for name, content in contents.items():
            changed = damage(content)
            if changed is None:
                Path(store.path, name).unlink()
            else:
                Path(store.path, name).write_bytes(changed)
        assert reported_files(report(store.path)) == hit
        for name, content in contents.items():
            Path(store.path, name).write_bytes(content)
    store.verify()


def test_a_wrong_byte_in_the_metadata_of_the_store_is_found_or_harmless(store: GraphStore) -> None:
    path, generator = Path(store.path, "zarr.json"), random.Random(0)
    content, flip = path.read_bytes(), flipper(generator)
    for _ in range(150):
        changed = flip(content)
        path.write_bytes(changed)
        if is_json(changed) and json.loads(changed) == json.loads(content):
            open_store(store.path).verify()
        else:
            assert "zarr.json" in report(store.path) or "schema version" in report(store.path)


def test_a_unit_that_was_changed_by_hand_is_found(store: GraphStore) -> None:
    path = Path(store.path, "zarr.json")
    path.write_text(path.read_text().replace('"unit": "eV"', '"unit": "meV"'))
    assert reported_files(report(store.path)) == ["zarr.json"]


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_bytes(b"")])
@pytest.mark.parametrize("name", ["edges/shift/c/1/0", "nodes/position/c/0/0", "graphs/pbc/c/0/0"])
def test_a_missing_or_empty_shard_is_never_read_as_zeros(
    store: GraphStore, name: str, spoil: Callable[[Path], None]
) -> None:
    spoil(Path(store.path, name))
    array = name.partition("/c/")[0]
    with pytest.raises(StoreError, match=f"{store.path}/{name}: is (missing|empty)"):
        store.read(array)
    with pytest.raises(StoreError, match=f"{name}: is (missing|empty)"):
        store[0]


def test_rows_of_shards_that_are_whole_can_still_be_read(store: GraphStore) -> None:
    before = store.read("nodes/position")
    Path(store.path, "nodes/position/c/1/0").unlink()
    rows = store.array("nodes/position").shards[0]  # type: ignore[index]
    np.testing.assert_array_equal(store.read("nodes/position", 0, rows), before[:rows])
    np.testing.assert_array_equal(store.read("nodes/position", 2 * rows), before[2 * rows :])
    with pytest.raises(StoreError, match="position/c/1/0"):
        store.read("nodes/position", rows - 1, rows + 1)


def test_a_store_of_zeros_has_all_its_shards(tiny_store: GraphStore) -> None:
    """Molecules have neither cells nor shifts; their shards are small, but there."""
    for name in ("graphs/cell", "graphs/pbc", "edges/shift"):
        assert not tiny_store.read(name).any()
        shards = [path for path in Path(tiny_store.path, name, "c").rglob("*") if path.is_file()]
        assert len(shards) == 1
        assert shards[0].stat().st_size < 1000


@pytest.mark.parametrize(
    "name", ["targets/homo", "nodes/position", "nodes/atomic_number", "edges/sender", "graphs/id"]
)
def test_a_value_changed_with_a_valid_checksum_is_found_and_its_array_named(
    tiny_store: GraphStore, name: str
) -> None:
    array = zarr.open_group(tiny_store.path, mode="r+")[name]
    array[0] = array[1] if name == "graphs/id" else array[0] + 1
    assert f"\n  {name}: values changed since it was built\n" in report(tiny_store.path)


def test_a_digest_that_does_not_fit_its_arrays_is_found(tiny_store: GraphStore) -> None:
    metadata = Path(tiny_store.path, "zarr.json")
    metadata.write_text(metadata.read_text().replace(tiny_store.digest, "0" * 64))
    assert "the list of digests" in report(tiny_store.path)


# ------------------------------------------------------------------ rules


def rewrite(store: GraphStore, name: str, values: np.ndarray) -> None:
    """Change an array and all digests, as a builder with a mistake would."""
    group = zarr.open_group(store.path, mode="r+")
    group[name][:] = values
    digests = dict(store.array_digests)
    digests[name] = array_digest(_spec_of(group[name]), [values])
    group.attrs.update({"array_digests": digests, "digest": store_digest(digests)})
    zarr.consolidate_metadata(store.path)
    path = Path(store.path, "zarr.json")
    document = json.loads(path.read_text())
    document["attributes"]["metadata_digest"] = metadata_digest(document)
    path.write_text(json.dumps(document))


def test_a_store_that_was_rewritten_with_the_same_values_is_right(tiny_store: GraphStore) -> None:
    rewrite(tiny_store, "edges/sender", tiny_store.read("edges/sender"))
    open_store(tiny_store.path).verify()


@pytest.mark.parametrize("change", [-1, 1])
def test_offsets_that_fall_or_end_elsewhere_are_found(tiny_store: GraphStore, change: int) -> None:
    for name, flat in (("node", "nodes/position"), ("edge", "edges/receiver")):
        offset = tiny_store.read(f"graphs/{name}_offset")
        falling, ending = offset.copy(), offset.copy()
        falling[7] = falling[6] - 1
        ending[-1] += change
        rewrite(tiny_store, f"graphs/{name}_offset", falling)
        assert f"graphs/{name}_offset: does not rise from 0" in report(tiny_store.path)
        rewrite(tiny_store, f"graphs/{name}_offset", ending)
        assert f"ends at {ending[-1]:,}, {flat} has {offset[-1]:,} rows" in report(tiny_store.path)
        rewrite(tiny_store, f"graphs/{name}_offset", offset)
    open_store(tiny_store.path).verify()


def test_an_edge_that_leaves_its_graph_is_found(tiny_store: GraphStore) -> None:
    sender = tiny_store.read("edges/sender")
    graph = 12
    row = int(tiny_store.read("graphs/edge_offset")[graph])
    atoms = int(np.diff(tiny_store.read("graphs/node_offset"))[graph])
    sender[row] = atoms - 1
    rewrite(tiny_store, "edges/sender", sender)
    open_store(tiny_store.path).verify()
    sender[row] = atoms
    rewrite(tiny_store, "edges/sender", sender)
    expected = f"edges/sender: edge {row:,} leaves its graph, number {graph}"
    assert expected in report(tiny_store.path)


def test_an_id_that_is_there_twice_is_found(tiny_store: GraphStore) -> None:
    ids = tiny_store.read("graphs/id")
    ids[3] = ids[5]
    rewrite(tiny_store, "graphs/id", ids)
    assert "graphs/id: an id is there more than once" in report(tiny_store.path)


def test_splits_beside_the_store_are_checked(tiny_store: GraphStore) -> None:
    tiny_store.verify()
    folder = Path(tiny_store.path).parent / "splits"
    split = load_split(folder / "random.parquet")
    other = Split("other", split.ids[1:], split.subset[1:], "of other records")
    save_split(other, folder / "other.parquet")
    (folder / "broken.parquet").write_bytes(b"PAR1")
    message = report(tiny_store.path)
    assert reported_files(message) == ["../splits/broken.parquet", "../splits/other.parquet"]
    assert "holds what was built, but splits beside it do not fit it" in message
    assert "`molcryst data split`" in message
    Path(tiny_store.path, "targets/homo/c/0").unlink()
    assert "is not what was built" in report(tiny_store.path)


def test_a_shard_of_zeros_is_damaged(tiny_store: GraphStore) -> None:
    """Nothing at all has the checksum 0."""
    shard = Path(tiny_store.path, "targets/homo/c/0")
    for length in (1, 4, 20, shard.stat().st_size):
        shard.write_bytes(bytes(length))
        with pytest.raises(StoreError, match="targets/homo/c/0: is damaged"):
            open_store(tiny_store.path).read("targets/homo")


# ------------------------------------------------------------------ the command


def test_the_command_lists_all_damage_and_says_what_to_do(tiny_store: GraphStore) -> None:
    done = CliRunner().invoke(molcryst, ["data", "verify", "qm9"])
    assert done.exit_code == 0
    assert tiny_store.digest in done.output
    Path(tiny_store.path, "targets/homo/c/0").unlink()
    Path(tiny_store.path, "nodes/position/c/0/0").write_bytes(b"short")
    failed = CliRunner().invoke(molcryst, ["data", "verify", "qm9"])
    assert failed.exit_code == 1
    message = str(failed.exception)
    assert "targets/homo/c/0: is missing" in message
    assert "nodes/position/c/0/0: is damaged" in message
    assert "`dvc pull`" in message
    assert "`molcryst data build`" in message
