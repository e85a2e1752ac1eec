"""MD17 and rMD17 from split files and from the archive."""

from __future__ import annotations

import io
import os
import pickle
import struct
import tracemalloc
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import handmade
import numpy as np
import pyarrow.parquet as pq
import pytest
import trajectories
from trajectories import ETHANOL, IDS, LABELS, SPLIT_FILES, Arrays, npz, paths_of

from molcryst_bench.base.errors import SourceError
from molcryst_bench.graphs.draw import draw_split
from molcryst_bench.graphs.split import SUBSETS, Split, group_of, load_split
from molcryst_bench.sources.card import load_card
from molcryst_bench.sources.fetch import RawFile, verify
from molcryst_bench.sources.md17 import SplitFiles
from molcryst_bench.sources.record import Source
from molcryst_bench.sources.registry import get_dataset, get_source

DATASETS = sorted(LABELS)
TRAIN = "rmd17_ethanol_train_01.npz"
COMMITTED = handmade.REPOSITORY / "datasets"


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = trajectories.make_project(tmp_path / "project")
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def raw(project: Path) -> Path:
    folder = project / "raw"
    folder.mkdir()
    return folder


@pytest.fixture
def mirror() -> Path:
    if "MOLCRYST_MIRROR" not in os.environ:
        pytest.skip("needs the real files: MOLCRYST_MIRROR is not set")
    return Path(os.environ["MOLCRYST_MIRROR"])


def read(source: Source, folder: Path) -> list[str]:
    return [source.parse(r).id for r in source.raw_records(paths_of(source, folder))]


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("form", [trajectories.split_files, trajectories.archive])
def test_each_frame_comes_once_in_order_with_the_numbers_of_the_file(
    raw: Path, dataset: str, form: Callable[..., Source]
) -> None:
    source = form(raw, dataset)
    records = [source.parse(r) for r in source.raw_records(paths_of(source, raw))]
    assert [record.id for record in records] == IDS
    for record in records:
        expected = trajectories.frame_of(record.id)
        np.testing.assert_array_equal(record.atoms.numbers, expected["nuclear_charges"])
        np.testing.assert_array_equal(record.atoms.positions, expected["coords"])
        assert record.targets["energy"] == expected[LABELS[dataset].energy]
        np.testing.assert_array_equal(record.targets["forces"], expected[LABELS[dataset].forces])


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_store_keeps_every_digit_and_both_sources_give_the_same_digest(
    raw: Path, tmp_path: Path, dataset: str
) -> None:
    first = trajectories.build(trajectories.split_files(raw, dataset), raw, tmp_path / "a", dataset)
    other = trajectories.build(trajectories.archive(raw, dataset), raw, tmp_path / "b", dataset)
    expected = [trajectories.frame_of(identity) for identity in IDS]
    energies = [float(frame[LABELS[dataset].energy]) for frame in expected]
    assert first.read("targets/energy").tolist() == energies
    forces = np.concatenate([frame[LABELS[dataset].forces] for frame in expected])
    np.testing.assert_array_equal(first.read("targets/forces"), forces)
    assert other.attributes["provenance"]["source"] == "archive"
    assert other.digest == first.digest


def test_forces_turn_with_the_molecule(raw: Path, tmp_path: Path) -> None:
    """A quarter turn about z, which is exact in floating point."""
    turn = np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1.0]])
    turned = {
        name: npz(arrays | {key: arrays[key] @ turn for key in ("coords", "forces")})
        for name, arrays in SPLIT_FILES.items()
    }
    before = trajectories.build(trajectories.split_files(raw), raw, tmp_path / "a")
    after = trajectories.build(trajectories.split_files(raw, changed=turned), raw, tmp_path / "b")
    for name in ("nodes/position", "targets/forces"):
        np.testing.assert_array_equal(after.read(name), before.read(name) @ turn)
    for name in ("targets/energy", "edges/sender", "edges/receiver"):
        np.testing.assert_array_equal(after.read(name), before.read(name))


def test_published_splits_are_those_of_the_file_names(raw: Path) -> None:
    source = trajectories.split_files(raw)
    splits = source.published_splits(paths_of(source, raw))
    assert splits.keys() == {"01", "02"}
    assert splits["02"] == {
        **dict.fromkeys(["ethanol/001500", "ethanol/001600", "ethanol/000100"], "train"),
        **dict.fromkeys(["ethanol/000300", "ethanol/002800"], "test"),
    }
    assert [splits["01"][i] for i in ("benzene/002000", "benzene/000300")] == ["train", "test"]
    assert len(splits["01"]) == 16


def test_a_frame_to_train_and_to_test_on_is_refused(raw: Path) -> None:
    source = trajectories.split_files(raw, changed={TRAIN: npz(ETHANOL.at([0, 900]))})
    with pytest.raises(SourceError, match=r"ethanol_t.*frame 900 is in the training .* test set"):
        source.published_splits(paths_of(source, raw))


def test_a_badly_named_file_is_refused(raw: Path) -> None:
    source = trajectories.split_files(raw, changed={"rmd17_ethanol.npz": npz(ETHANOL.arrays)})
    with pytest.raises(SourceError, match=r"rmd17_ethanol.npz is not named like"):
        read(source, raw)


@pytest.mark.parametrize("key", ["coords", "energies", "forces"])
def test_copies_that_disagree_are_set_aside(raw: Path, tmp_path: Path, key: str) -> None:
    arrays = {name: array.copy() for name, array in ETHANOL.at([1500, 1600, 100]).items()}
    arrays[key][0] = np.nextafter(arrays[key][0], np.inf)
    source = trajectories.split_files(raw, changed={"rmd17_ethanol_train_02.npz": npz(arrays)})
    store = trajectories.build(source, raw, tmp_path / "store.zarr")
    assert store.ids.tolist() == [identity for identity in IDS if identity != "ethanol/001500"]
    (row,) = pq.read_table(tmp_path / "quarantine.parquet").to_pylist()
    assert row == {
        "file": "rmd17_ethanol_test_01.npz",
        "id": "ethanol/001500",
        "reason": "rmd17_ethanol_train_02.npz has other numbers for this frame",
    }


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("coords", "a coordinate is not finite"),
        ("energies", "energy is not finite"),
        ("forces", "forces is not finite"),
    ],
)
def test_a_frame_that_is_not_finite_is_set_aside(
    raw: Path, tmp_path: Path, key: str, reason: str, value: float
) -> None:
    arrays = {name: array.copy() for name, array in SPLIT_FILES[TRAIN].items()}
    arrays[key].reshape(6, -1)[1, 0] = value  # frame 0
    store = trajectories.build(
        trajectories.split_files(raw, changed={TRAIN: npz(arrays)}), raw, tmp_path / "store.zarr"
    )
    assert len(store) == len(IDS) - 1
    (row,) = pq.read_table(tmp_path / "quarantine.parquet").to_pylist()
    assert (row["file"], row["id"]) == (TRAIN, "ethanol/000000")
    assert reason in row["reason"]


def test_two_copies_without_a_number_agree_on_that(raw: Path, tmp_path: Path) -> None:
    files = ["rmd17_ethanol_test_01.npz", "rmd17_ethanol_train_02.npz"]
    contents = {name: {k: v.copy() for k, v in SPLIT_FILES[name].items()} for name in files}
    for arrays in contents.values():
        arrays["forces"][arrays["old_indices"] == 1500, 2] = np.nan
    changes = {name: npz(arrays) for name, arrays in contents.items()}
    trajectories.build(trajectories.split_files(raw, changed=changes), raw, tmp_path / "store.zarr")
    (row,) = pq.read_table(tmp_path / "quarantine.parquet").to_pylist()
    assert (row["id"], row["reason"]) == ("ethanol/001500", "forces is not finite")


def changed(**arrays: object) -> bytes:
    """Return the training file with some arrays replaced, or left out where None."""
    merged = {**SPLIT_FILES[TRAIN], **arrays}
    return npz({key: array for key, array in merged.items() if array is not None})  # type: ignore[misc]


def lying_header() -> bytes:
    """Return a file whose energies claim to be a trillion numbers."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(changed())) as whole, zipfile.ZipFile(file, "w") as archive:
        for name in whole.namelist():
            content = whole.read(name)
            if name == "energies.npy":
                head = {"descr": "<f8", "fortran_order": False, "shape": (10**12,)}
                lie = io.BytesIO()
                np.lib.format.write_array_header_1_0(lie, head)
                content = lie.getvalue() + content[-48:]
            archive.writestr(name, content)
    return file.getvalue()


def bomb() -> bytes:
    """Return a file of some 40 kB, whose forces are 40 MB of zeros."""
    file = io.BytesIO()
    forces = np.zeros((6, 9 * 31 * 1000, 3))
    np.savez_compressed(file, **{**SPLIT_FILES[TRAIN], "forces": forces})
    return file.getvalue()


FRAMES = SPLIT_FILES[TRAIN]
WRONG_FILES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "not a complete npz"),
    "truncated in the middle": (changed()[: len(changed()) // 2], "not a complete npz"),
    "truncated at the end": (changed()[:-30], "not a complete npz"),
    "a pickle": (pickle.dumps(FRAMES), "not a complete npz"),
    "one array": (changed()[60:], "not a complete npz"),
    "a pickled array": (changed(coords=np.array([FRAMES], object)), "coords holds Python objects"),
    "no forces": (changed(forces=None), "lacks the array forces"),
    "no frame numbers": (changed(old_indices=None), "lacks the array old_indices"),
    "an energy too few": (changed(energies=FRAMES["energies"][1:]), r"energies has .* \(5,\)"),
    "a force too few": (changed(forces=FRAMES["forces"][:, 1:]), r"instead of \(6, 9, 3\)"),
    "flat coordinates": (changed(coords=FRAMES["coords"].reshape(6, 27)), r"\(6, 27\)"),
    "an element too many": (changed(nuclear_charges=np.ones(10, int)), r"of \(6, 10, 3\)"),
    "single precision": (changed(energies=FRAMES["energies"].astype("f4")), "energies is float32"),
    "text": (changed(energies=FRAMES["energies"].astype(str)), "energies is <U"),
    "unknown element": (changed(nuclear_charges=np.full(9, 200)), "nuclear_charges is not from 1"),
    "no element": (changed(nuclear_charges=np.zeros(9, int)), "nuclear_charges is not from 1"),
    "no atoms": (changed(nuclear_charges=np.zeros(0, int)), "nuclear_charges is not a list"),
    "fractional frames": (changed(old_indices=np.arange(6.0)), "old_indices is not a list of int"),
    "negative frame": (changed(old_indices=np.arange(6) - 1), "old_indices is not from 0"),
    "seven digits": (changed(old_indices=np.arange(6) + 999_999), "not from 0 to 999,999"),
    "lying header": (lying_header(), "energies is not as long as its header says"),
    "bomb": (bomb(), r"claims to unpack 40,\d+,\d+ bytes from"),
}


@pytest.mark.parametrize("wrong", WRONG_FILES)
def test_a_wrong_file_is_refused_by_name_before_it_takes_memory(raw: Path, wrong: str) -> None:
    content, reason = WRONG_FILES[wrong]
    source = trajectories.split_files(raw, changed={TRAIN: content})
    tracemalloc.start()
    try:
        with pytest.raises(SourceError, match=rf"{TRAIN}.*{reason}"):
            read(source, raw)
        assert tracemalloc.get_traced_memory()[1] < 5e6
    finally:
        tracemalloc.stop()


def test_no_changed_byte_is_a_traceback_or_another_number(raw: Path) -> None:
    """Directory, headers and every eleventh byte of the data; the checksums of zip find them."""
    whole = changed()
    directory = whole.index(b"PK\x01\x02")
    places = [*range(200), *range(200, directory, 11), *range(directory, len(whole))]
    source = SplitFiles(LABELS["rmd17"], (RawFile(TRAIN, "", 0, ()),))
    (raw / TRAIN).write_bytes(whole)
    expected = numbers(source, raw)
    problems = []
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        (raw / TRAIN).write_bytes(damaged)
        try:
            assert numbers(source, raw) == expected, f"byte {place}"
        except SourceError as error:
            problems.append(str(error))
    assert all(TRAIN in problem for problem in problems)
    assert len(problems) > len(places) / 2


def numbers(source: Source, folder: Path) -> list[object]:
    """Return all that the records of a source hold, for exact comparison."""
    raws = source.raw_records(paths_of(source, folder))
    return [(r.file, r.id, *(np.asarray(v).tobytes() for v in r.payload)) for r in raws]


def test_files_with_different_elements_are_refused(raw: Path) -> None:
    other = changed(nuclear_charges=FRAMES["nuclear_charges"][::-1])
    source = trajectories.split_files(raw, changed={TRAIN: other})
    with pytest.raises(SourceError, match=rf"{TRAIN} and .*test_01.npz have different elements"):
        read(source, raw)


def with_ethanol(content: bytes) -> dict[str, bytes]:
    return trajectories.archive_members() | {"rmd17/npz_data/rmd17_ethanol.npz": content}


def test_an_archive_without_a_frame_of_the_splits_is_refused(raw: Path) -> None:
    kept = [time for time in range(0, 3000, 100) if time not in (1500, 2800)]
    source = trajectories.archive(raw, members=with_ethanol(npz(ETHANOL.at(kept))))
    with pytest.raises(SourceError, match=r"lacks 2 frames .* first is ethanol/001500"):
        read(source, raw)


def test_an_archive_without_a_molecule_is_refused(raw: Path) -> None:
    members = trajectories.archive_members()
    del members["rmd17/npz_data/rmd17_benzene.npz"]
    with pytest.raises(SourceError, match=r"lacks 7 frames .* first is benzene/000100"):
        read(trajectories.archive(raw, members=members), raw)


def test_a_wrong_member_of_the_archive_is_refused_by_name(raw: Path) -> None:
    source = trajectories.archive(raw, members=with_ethanol(bomb()))
    with pytest.raises(SourceError, match=r"rmd17_ethanol.npz .*claims to unpack"):
        read(source, raw)


def test_a_second_copy_in_the_archive_must_agree(raw: Path, tmp_path: Path) -> None:
    arrays: Arrays = {name: array.copy() for name, array in ETHANOL.at([0, 100]).items()}
    arrays["energies"][1] += 1e-9
    members = trajectories.archive_members() | {"elsewhere/rmd17_ethanol.npz": npz(arrays)}
    store = trajectories.build(trajectories.archive(raw, members=members), raw, tmp_path / "store")
    assert store.ids.tolist() == [identity for identity in IDS if identity != "ethanol/000100"]


@pytest.mark.parametrize("fraction", [0.0, 0.3, 0.99])
def test_a_truncated_archive_is_refused(raw: Path, fraction: float) -> None:
    source = trajectories.archive(raw)
    path = raw / "rmd17.tar.bz2"
    path.write_bytes(path.read_bytes()[: int(fraction * path.stat().st_size)])
    with pytest.raises(SourceError, match=r"rmd17.tar.bz2 is not a complete archive"):
        read(source, raw)


def test_a_giant_in_the_archive_is_refused_before_it_is_read(
    raw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("molcryst_bench.sources.md17._LARGEST_MEMBER", 10_000)
    with pytest.raises(SourceError, match=r"rmd17_ethanol.npz claims to have \d\d,\d+ bytes"):
        read(trajectories.archive(raw), raw)


@pytest.mark.parametrize("content", [None, b"", b"ethanol/000001", struct.pack("<16d", *range(16))])
def test_the_archive_says_that_it_needs_the_list_of_frames(
    raw: Path, content: bytes | None
) -> None:
    source = trajectories.archive(raw)
    source.listing.unlink() if content is None else source.listing.write_bytes(content)
    with pytest.raises(SourceError, match=r"01.parquet does not say which frames .* from git"):
        read(source, raw)


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_importer_knows_36_files_and_the_archive(dataset: str) -> None:
    splits, archive = get_dataset(dataset).sources
    assert len({file.checksum for file in splits.files}) == 36
    molecules = Counter(file.name.split("_")[1] for file in splits.files)
    assert molecules.pop("ethanol") == molecules.pop("uracil") == 10
    assert list(molecules.values()) == [2] * 8
    assert archive.files[0].name == "rmd17.tar.bz2"
    assert {file.mirror for file in splits.files} == {f"rmd17/{f.name}" for f in splits.files}


@pytest.mark.parametrize("dataset", DATASETS)
def test_committed_published_splits_have_the_sizes_of_the_literature(dataset: str) -> None:
    for name in ("01", "02", "03", "04", "05"):
        split = load_split(COMMITTED / dataset / "splits" / f"{name}.parquet")
        groups = np.array([group_of(identity) for identity in split.ids.tolist()])
        molecules = set(groups.tolist()) if name == "01" else {"ethanol", "uracil"}
        assert len(set(groups.tolist())) == 10
        for molecule in set(groups.tolist()):
            counts = [len(_frames(split, subset, molecule)) for subset in SUBSETS]
            assert counts == ([950, 50, 1000] if molecule in molecules else [0, 0, 0]), molecule


@pytest.mark.parametrize("dataset", DATASETS)
def test_committed_time_blocks_are_two_thousand_frames_apart(dataset: str) -> None:
    split = load_split(COMMITTED / dataset / "splits" / "time_block.parquet")
    for molecule in {group_of(identity) for identity in split.ids.tolist()}:
        train, valid, test = (_frames(split, subset, molecule) for subset in SUBSETS)
        assert min(valid) - max(train) >= 2000
        assert min(test) - max(valid) >= 2000
        assert min(map(len, (train, valid, test))) > 250


@pytest.mark.parametrize("dataset", DATASETS)
def test_committed_splits_are_those_of_the_real_files(mirror: Path, dataset: str) -> None:
    source = get_source(get_dataset(dataset), "npz")
    paths = {file.name: mirror / file.mirror for file in source.files}
    for file in source.files:
        verify(file, paths[file.name])
    ids = [raw.id for raw in source.raw_records(paths)]
    published = source.published_splits(paths)  # type: ignore[attr-defined]
    assert len(ids) == load_card(dataset).records
    for name, recipe in load_card(dataset).splits.items():
        committed = load_split(COMMITTED / dataset / "splits" / f"{name}.parquet")
        assert draw_split(name, recipe, ids, published.get(name, {})).digest == committed.digest


@pytest.mark.slow
@pytest.mark.parametrize("dataset", DATASETS)
def test_the_store_of_the_real_files_holds_all_their_numbers(
    mirror: Path, tmp_path: Path, dataset: str
) -> None:
    source = get_source(get_dataset(dataset), "npz")
    folder = mirror / "rmd17"
    store = trajectories.build(source, folder, tmp_path / "store.zarr", dataset)
    assert not pq.read_table(tmp_path / "quarantine.parquet").num_rows
    row_of = {identity: row for row, identity in enumerate(store.ids.tolist())}
    energies, forces, positions, offset = (
        store.read(name)
        for name in ("targets/energy", "targets/forces", "nodes/position", "graphs/node_offset")
    )
    seen = set()
    for file in source.files:
        with np.load(folder / file.name, allow_pickle=False) as arrays:
            times = arrays["old_indices"]
            rows = np.array([row_of[f"{file.name.split('_')[1]}/{time:06d}"] for time in times])
            nodes = offset[rows][:, None] + np.arange(len(arrays["nuclear_charges"]))
            found = energies[rows], forces[nodes], positions[nodes]
            labels = [arrays[key] for key in LABELS[dataset]]
            for values, expected in zip(found[:2], labels, strict=True):
                np.testing.assert_array_equal(values, expected)
            np.testing.assert_array_equal(found[2], arrays["coords"].astype(np.float32))
            seen.update(rows.tolist())
    assert len(seen) == len(store) == load_card(dataset).records


def _frames(split: Split, subset: str, molecule: str) -> list[int]:
    ids = split.ids[split.rows(subset).numpy()].tolist()
    return [int(i.rpartition("/")[2]) for i in ids if group_of(i) == molecule]
