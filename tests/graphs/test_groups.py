"""One group of a dataset, such as one molecule of rMD17, through splits and loaders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import trajectories
from trajectories import RECIPE, paths_of

from molcryst_bench.base.errors import SettingsError
from molcryst_bench.graphs.draw import draw_split
from molcryst_bench.graphs.split import SUBSETS, save_split
from molcryst_bench.graphs.store import GraphStore


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GraphStore:
    """A small rMD17 with its published splits 01 (two molecules) and 02 (ethanol)."""
    root = trajectories.make_project(tmp_path / "project")
    monkeypatch.chdir(root)
    dataset = root / "datasets" / "rmd17"
    source = trajectories.split_files(dataset / "raw")
    published = source.published_splits(paths_of(source, dataset / "raw"))
    for name in ("01", "02"):
        split = draw_split(name, RECIPE, trajectories.IDS, published[name])
        save_split(split, dataset / "splits" / f"{name}.parquet")
    return trajectories.build(source, dataset / "raw", dataset / "store.zarr")


def test_a_group_has_its_records_of_each_subset(store: GraphStore) -> None:
    whole, sizes = store.split("01"), {}
    for group in ("benzene", "ethanol"):
        part = whole.of_group(group)
        for subset in SUBSETS:
            ids = store.ids[part.rows(subset).numpy()].tolist()
            expected = store.ids[whole.rows(subset).numpy()].tolist()
            assert ids == [identity for identity in expected if identity.startswith(group)]
            sizes[group, subset] = len(ids)
    assert list(sizes.values()) == [3, 2, 2, 4, 2, 3]
    assert whole.of_group("ethanol").digest != whole.digest


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("shuffle", [False, True])
def test_batches_of_a_molecule_hold_the_numbers_of_the_file(
    store: GraphStore, stream: bool, shuffle: bool
) -> None:
    loader = store.loader("01", "train", 3, shuffle, group="ethanol", stream=stream)
    rows = store.split("01").of_group("ethanol").rows("train").numpy()
    frames = [trajectories.frame_of(identity) for identity in store.ids[rows]]
    by_energy = {float(frame["energies"]): frame for frame in frames}
    batches = list(loader)
    assert [batch.num_graphs for batch in batches] == [3, 1]
    energies = torch.cat([batch.targets["energy"] for batch in batches])
    assert energies.dtype == torch.float64
    assert sorted(energies.tolist()) == sorted(by_energy)
    for batch in batches:
        assert batch.targets["forces"].dtype == torch.float64
        for number, energy in enumerate(batch.targets["energy"].tolist()):
            nodes = (batch.batch == number).numpy()
            frame = by_energy[energy]
            np.testing.assert_array_equal(batch.targets["forces"].numpy()[nodes], frame["forces"])
            np.testing.assert_array_equal(batch.z.numpy()[nodes], frame["nuclear_charges"])
            positions = frame["coords"].astype(np.float32)
            np.testing.assert_array_equal(batch.pos.numpy()[nodes], positions)


def test_without_a_group_all_molecules_come_with_forces_by_atom(store: GraphStore) -> None:
    (batch,) = store.loader(split="01", subset="test")
    rows = store.split("01").rows("test").numpy()
    frames = [trajectories.frame_of(identity) for identity in store.ids[rows]]
    forces = np.concatenate([frame["forces"] for frame in frames])
    np.testing.assert_array_equal(batch.targets["forces"].numpy(), forces)
    for graph, frame in zip(batch.to_data_list(), frames, strict=True):
        np.testing.assert_array_equal(graph.targets["forces"].numpy(), frame["forces"])


def test_an_unknown_group_is_answered_with_the_nearest(store: GraphStore) -> None:
    with pytest.raises(SettingsError, match="'01': unknown group 'etanol'; did you mean 'ethanol'"):
        store.loader(split="01", group="etanol")


def test_a_group_that_a_split_does_not_use_is_refused(store: GraphStore) -> None:
    with pytest.raises(SettingsError, match="'02': unknown group 'benzene'; known: ethanol"):
        store.loader(split="02", group="benzene")


def test_a_dataset_without_groups_says_so(tiny_store: GraphStore) -> None:
    with pytest.raises(SettingsError, match="'random': its records have no groups"):
        tiny_store.loader(group="ethanol")
