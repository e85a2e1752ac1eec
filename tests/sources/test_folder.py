"""Structure files of the user: what is read, what is not, and what each message names."""

from __future__ import annotations

import shutil
from pathlib import Path

import own_data
import pyarrow.parquet as pq
import pytest
from ase.build import bulk
from ase.io import write
from click.testing import CliRunner

from molcryst_bench.base.errors import SettingsError, SourceError
from molcryst_bench.cli.main import molcryst
from molcryst_bench.graphs.store import open_store
from molcryst_bench.sources.folder import read_structure
from molcryst_bench.sources.record import BadRecordError
from molcryst_bench.sources.registry import get_dataset, obtain

PARAMS = "profile: test\ndatasets: {}\nbench: {tasks: [qm9/homo], seeds: [0]}\nmodels: {mean: {}}\n"


@pytest.fixture
def folder(project: Path) -> Path:
    """The folder of structures of a dataset "mine"."""
    (project / "params.yaml").write_text(PARAMS)
    table = own_data.make(project / "structures")
    command = ["data", "new", "mine", "structures", "--labels", table.name, "--target", "gap:eV"]
    assert CliRunner().invoke(molcryst, command).exit_code == 0
    return project / "structures"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("s0.cif", b"", "the CIF cannot be parsed"),
        ("s0.cif", b"data_x\n_cell_length_a 1\n", "the CIF has no"),
        ("s0.cif", b"\xff\xfe\x00", "can't decode byte"),
        ("s0.xyz", b"", "holds 0 structures instead of one"),
        ("s0.xyz", b"3\n\nO 0 0 0\n", "cannot be read"),
        ("s0.xyz", b"1\n\nQq 0 0 0\n", "cannot be read"),
        ("s0.xyz", b"1\n\nX 0 0 0\n", "unknown element"),
        ("s0.xyz", b"1\n\nO 0 0 zero\n", "cannot be read"),
        ("s0.xyz", b"1\n\nO 0 0 0\n1\n\nO 0 0 1\n", "holds 2 structures instead of one"),
        ("POSCAR", b"comment\n", "cannot be read"),
        ("s0.vasp", b"Cu\n1.0\n1 0\n", "cannot be read"),
        ("s0.pdb", b"END\n", "has no atoms"),
        ("s0.sdf", b"nothing\n", "cannot be read"),
        ("s0.xsf", b"CRYSTAL\n", "cannot be read"),
    ],
)
def test_a_bad_structure_names_its_file(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(BadRecordError) as error:
        read_structure(path)
    assert message in str(error.value)
    assert str(path) in str(error.value)


def test_only_geometry_is_taken_from_a_file(tmp_path: Path) -> None:
    crystal = bulk("Cu", cubic=True)
    crystal.info["secret"], crystal.arrays["tag"] = 1, crystal.numbers
    write(tmp_path / "a.extxyz", crystal)
    atoms = read_structure(tmp_path / "a.extxyz")
    assert set(atoms.arrays) == {"numbers", "positions"}
    assert not atoms.info
    assert atoms.pbc.all()


def test_a_structure_spoilt_later_is_set_aside(folder: Path) -> None:
    (folder / "s0.cif").write_text("nothing")
    (folder / "s1.extxyz").unlink()
    command = ["data", "build", "mine", "--workers", "1", "--accept-quarantined"]
    assert CliRunner().invoke(molcryst, command).exit_code == 0
    rows = pq.read_table("datasets/mine/quarantine.parquet").to_pylist()
    assert [row["file"] for row in rows] == ["labels.csv", "labels.csv"]
    assert "labels.csv line 2: " in rows[0]["reason"]
    assert "s0.cif" in rows[0]["reason"]
    assert "labels.csv line 3: no file named 's1.extxyz'" in rows[1]["reason"]
    assert len(open_store("datasets/mine/store.zarr")) == 10


def test_hidden_files_do_not_count(folder: Path) -> None:
    obtained = obtain(get_dataset("mine"), folder.parent / "raw")
    shutil.copy(folder / "s0.cif", folder / ".s0.cif")
    (folder / ".cache").mkdir()
    shutil.copy(folder / "s0.cif", folder / ".cache" / "s0.cif")
    records = list(obtained.source.raw_records(obtained.paths))
    assert [record.id for record in records][:2] == ["s0", "s1.extxyz"]
    assert all(len(record.payload.files) == 1 for record in records)


def test_a_folder_or_table_that_is_gone_is_named(folder: Path) -> None:
    folder.rename(folder.with_name("moved"))
    with pytest.raises(SourceError, match="structures is not a folder of structures"):
        obtain(get_dataset("mine"), folder.parent / "raw")
    folder.with_name("moved").rename(folder)
    (folder.parent / "labels.csv").unlink()
    with pytest.raises(SourceError, match=r"labels.csv is not a table of labels"):
        obtain(get_dataset("mine"), folder.parent / "raw")


def test_an_unknown_dataset_is_answered_with_the_nearest(folder: Path) -> None:
    with pytest.raises(SettingsError, match="did you mean 'mine'"):
        get_dataset("mines")
