"""Which form of a dataset is used when several could be had."""

from __future__ import annotations

from pathlib import Path

import handmade
import pytest

from molcryst_bench.base.errors import SourceError, UnreachableError
from molcryst_bench.sources.record import Dataset
from molcryst_bench.sources.registry import obtain


def test_the_first_form_is_used_if_it_can_be_had(project: Path, tiny_dataset: Dataset) -> None:
    assert obtain(tiny_dataset, project / "datasets/qm9/raw").source.name == "wheel"


def test_the_next_form_is_used_if_the_first_cannot_be_had(
    project: Path, tiny_dataset: Dataset
) -> None:
    (project / "datasets/qm9/raw" / handmade.WHEEL_NAME).unlink()
    assert obtain(tiny_dataset, project / "datasets/qm9/raw").source.name == "figshare"


def test_a_damaged_file_is_reported_not_passed_over(project: Path, tiny_dataset: Dataset) -> None:
    (project / "datasets/qm9/raw" / handmade.WHEEL_NAME).write_bytes(b"damaged")
    with pytest.raises(SourceError, match=rf"{handmade.WHEEL_NAME} is truncated") as refusal:
        obtain(tiny_dataset, project / "datasets/qm9/raw")
    assert handmade.ARCHIVE_NAME not in str(refusal.value)


def test_when_none_can_be_had_every_file_and_what_to_do_is_named(
    project: Path, tiny_dataset: Dataset
) -> None:
    folder = project / "datasets/qm9/raw"
    for name in (handmade.WHEEL_NAME, handmade.ARCHIVE_NAME):
        (folder / name).unlink()
    with pytest.raises(UnreachableError, match="MOLCRYST_MIRROR") as refusal:
        obtain(tiny_dataset, folder)
    for name in (handmade.WHEEL_NAME, handmade.ARCHIVE_NAME):
        assert f"{name} could not be fetched" in str(refusal.value)
