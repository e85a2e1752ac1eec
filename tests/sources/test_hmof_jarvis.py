"""hMOF in the form of JARVIS: one long list in JSON."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import handmade
import mofs
import numpy as np
import pytest
from mofs import read

from molcryst_bench.base.errors import SourceError
from molcryst_bench.sources.fetch import fetch
from molcryst_bench.sources.hmof import importer
from molcryst_bench.sources.hmof_jarvis import HmofJarvis
from molcryst_bench.sources.registry import get_source


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = mofs.make_project(tmp_path / "project")
    monkeypatch.chdir(root)
    return root


def jarvis(path: Path, content: Any, zipped: bool = False) -> HmofJarvis:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    if zipped:
        handmade.write_zip(path, {"hmof_db_9_18_2021.json": raw})
    else:
        path.write_bytes(raw)
    return HmofJarvis((handmade.raw_file(path),))


@pytest.mark.parametrize("zipped", [True, False])
def test_jarvis_gives_co2_alone(tmp_path: Path, zipped: bool) -> None:
    items = [mofs.jarvis_item("hMOF-1"), mofs.jarvis_item("hMOF-2", size=11)]
    path = tmp_path / "j"
    records, reasons = read(jarvis(path, items, zipped), path)
    assert not reasons
    assert list(records) == ["hMOF-1", "hMOF-2"]
    targets = records["hMOF-1"].targets
    assert (targets["co2_0.1bar"], targets["co2_2.5bar"]) == (0.8, 4.0)
    assert math.isnan(targets["ch4_2.5bar"])
    expected = mofs.framework(11)
    assert str(records["hMOF-2"].atoms.symbols) == str(expected.symbols)
    np.testing.assert_allclose(records["hMOF-2"].atoms.positions, expected.positions)


def test_a_list_longer_than_any_buffer_is_read_item_by_item(tmp_path: Path) -> None:
    path = tmp_path / "j"
    items = [mofs.jarvis_item(f"hMOF-{number}", comment="é" * 9_000) for number in range(200)]
    source = jarvis(path, items)
    assert path.stat().st_size > 4 * (1 << 18)
    assert list(read(source, path)[0]) == [f"hMOF-{number}" for number in range(200)]


def changed_structure(**changes: Any) -> mofs.JsonObject:
    item = mofs.jarvis_item("hMOF-1")
    return item | {"atoms": item["atoms"] | changes}


BAD_ITEMS: dict[str, tuple[Any, str]] = {
    "no structure": (mofs.jarvis_item("hMOF-1", atoms=None), "atoms"),
    "too few elements": (changed_structure(elements=["Zn"]), "differ in number"),
    "ragged cell": (changed_structure(lattice_mat=[[10, 0, 0], [0, 10]]), "differ in number"),
    "flat cell": (changed_structure(lattice_mat=[[10, 0, 0]] * 3), "no finite volume"),
    "unknown element": (changed_structure(elements=["Qq"] * 6), "unknown element 'Qq'"),
    "no element": (changed_structure(elements=["X"] * 6), "unknown element 'X'"),
    "no atoms": (changed_structure(elements=[], coords=[]), "no atoms"),
    "text for a coordinate": (changed_structure(coords=[["0", 0, 0]] * 6), "atoms.coords.0.0"),
    "short isotherm": (mofs.jarvis_item("hMOF-1", co2_absp=[1.0]), "co2_absp is not 5 numbers"),
    "another maximum": (mofs.jarvis_item("hMOF-1", max_co2_adsp=5.0), "is 4, not 5"),
    "pressures out of order": (
        mofs.jarvis_item("hMOF-1", co2_absp=[0.1, 0.8, 4.0, 0.4, 2.0]),
        "falls from 4 at 0.1 bar to 2",
    ),
    "too large a number": (mofs.jarvis_item("hMOF-1", lcd=10**400), "lcd is not a number"),
    "another density": (mofs.jarvis_item("hMOF-1", surface_area_m2g=800.0), "density"),
}


@pytest.mark.parametrize(("item", "reason"), BAD_ITEMS.values(), ids=BAD_ITEMS.keys())
def test_an_item_that_cannot_be_right_is_set_aside(tmp_path: Path, item: Any, reason: str) -> None:
    path = tmp_path / "j"
    records, reasons = read(jarvis(path, [item, mofs.jarvis_item("hMOF-2")]), path)
    assert list(records) == ["hMOF-2"]
    assert reason in reasons["hMOF-1"]


def test_items_without_a_name_or_with_one_that_is_taken_are_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "j"
    items = [mofs.jarvis_item("hMOF-1"), 5, mofs.jarvis_item("a/b"), mofs.jarvis_item("hMOF-1")]
    records, reasons = read(jarvis(path, items), path)
    assert list(records) == ["hMOF-1"]
    assert list(reasons) == ["item 1", "item 2", "hMOF-1 (2)"]


ITEM = json.dumps(mofs.jarvis_item("hMOF-1")).encode()
WRONG_LISTS = {
    "empty": b"",
    "a dictionary": b"{}",
    "cut short": b"[" + ITEM[:-5],
    "without an end": b"[" + ITEM,
    "without a comma": b"[" + ITEM + ITEM + b"]",
    "not UTF-8": b'["\xff"]',
    "too deep": b"[" * 200_000,
    "a number too long": b"[" + b"1" * 5000 + b"]",
}


@pytest.mark.parametrize("content", WRONG_LISTS.values(), ids=WRONG_LISTS.keys())
def test_a_wrong_list_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "jarvis.json"
    with pytest.raises(SourceError, match=r"jarvis\.json is not a complete list in JSON"):
        read(jarvis(path, content), path)


def test_a_file_without_a_published_checksum_is_held_to_that_of_its_first_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, mirror = tmp_path / "hmof" / "raw", tmp_path / "mirror"
    file = get_source(importer(), "jarvis").files[0]
    jarvis(mirror_file := mirror / "hmof" / file.name, [mofs.jarvis_item("hMOF-1")], zipped=True)
    monkeypatch.setenv("MOLCRYST_MIRROR", str(mirror))
    path = fetch(file, folder)
    assert fetch(file, folder).read_bytes() == mirror_file.read_bytes()
    assert list(read(HmofJarvis((file,)), path)[0]) == ["hMOF-1"]
    path.write_bytes(path.read_bytes()[::-1])
    with pytest.raises(SourceError, match="wrong checksum"):
        fetch(file, folder)
    path.unlink()
    jarvis(mirror_file, [mofs.jarvis_item("hMOF-2")], zipped=True)
    with pytest.raises(SourceError, match="what came from there"):
        fetch(file, folder)
    record = path.with_name(f"{file.name}.checksum.json")
    record.write_text("[]")
    with pytest.raises(SourceError, match=r"checksum\.json.* cannot be read: delete both"):
        fetch(file, folder)
    record.unlink()
    assert list(read(HmofJarvis((file,)), fetch(file, folder))[0]) == ["hMOF-2"]
