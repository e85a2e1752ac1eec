"""``molcryst data new``: from a folder and a table to a store, and what is refused on the way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import own_data
import pytest
from click.testing import CliRunner, Result

from molcryst_bench.base.errors import MolcrystError
from molcryst_bench.cli.main import molcryst
from molcryst_bench.graphs.split import load_split
from molcryst_bench.graphs.store import open_store
from molcryst_bench.sources.card import load_card

PARAMS = "profile: test\ndatasets: {qm9: {}}\nbench: {tasks: [qm9/homo], seeds: [0]}\n"
TARGETS = ("--target", "gap:eV", "--target", "bulk modulus (GPa):GPa")


@pytest.fixture
def table(project: Path) -> Path:
    (project / "params.yaml").write_text(PARAMS + "models: {mean: {}}\n")
    return own_data.make(project / "structures")


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(molcryst, ["data", *arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def new(*arguments: str, name: str = "mine") -> Result:
    return run("new", name, "structures", "--labels", "labels.csv", *(arguments or TARGETS))


def test_a_folder_becomes_a_dataset_like_any_other(table: Path) -> None:
    result = new()
    assert result.exit_code == 0, result.output
    assert "datasets/mine/card.yaml: 12 structures" in result.output
    assert "mine/bulk_modulus_GPa in GPa, not known for all" in result.output
    assert "9 train, 1 valid, 2 test" in result.output
    assert "12 graphs" in run("build", "mine", "--workers", "1").output
    assert "Split 'random': 9 train, 1 valid, 2 test" in run("show", "mine").output
    assert "holds what was built" in run("verify", "mine").output
    assert "is as drawn" in run("split", "mine").output
    assert "structures is complete" in run("fetch", "mine").output


def test_the_store_has_structures_and_labels(table: Path) -> None:
    new()
    run("build", "mine", "--workers", "1")
    store = open_store("datasets/mine/store.zarr")
    assert store.read("targets/gap").tolist() == [0.5 * number for number in range(12)]
    expected = [np.nan if number == 4 else 100 + number for number in range(12)]
    np.testing.assert_array_equal(store.read("targets/bulk_modulus_GPa"), expected)
    for number, atoms in enumerate(own_data.structures().values()):
        assert sorted(store[number].z.tolist()) == sorted(atoms.numbers)
        assert store.read("graphs/pbc")[number].all() == atoms.pbc.all()
        spread = np.sort(np.linalg.norm(store[number].pos - store[number].pos.mean(0), axis=1))
        there = np.sort(np.linalg.norm(atoms.positions - atoms.positions.mean(0), axis=1))
        np.testing.assert_allclose(spread, there, atol=2e-3)


def test_the_card_says_where_things_are(table: Path, tmp_path: Path) -> None:
    new("--id", "name", "--target", "gap:eV")
    card = load_card("mine")
    assert card.folder is not None
    assert (card.folder.path, card.folder.labels) == ("structures", "labels.csv")
    assert card.targets["gap"].unit == "eV"
    assert not card.targets["gap"].optional
    assert len(load_split(Path("datasets/mine/splits/random.parquet")).ids) == 12
    outside = own_data.make(tmp_path / "elsewhere" / "structures")
    run("new", "far", str(outside.parent / "structures"), "--labels", str(outside), *TARGETS)
    far = load_card("far").folder
    assert far is not None
    assert far.path == str(outside.parent / "structures")


def test_a_changed_structure_changes_provenance_and_digest(table: Path) -> None:
    new()
    run("build", "mine", "--workers", "1")
    before = open_store("datasets/mine/store.zarr")
    path = table.parent / "structures" / "s0.cif"
    path.write_text(path.read_text().replace("0.5", "0.49"))
    run("build", "mine", "--workers", "1")
    after = open_store("datasets/mine/store.zarr")
    raw = [store.attributes["provenance"]["raw_sha256"] for store in (before, after)]
    assert raw[0]["labels"] == raw[1]["labels"]
    assert raw[0]["structures"] != raw[1]["structures"]
    assert before.digest != after.digest


@pytest.mark.parametrize(
    "name", ["../mine", "a/b", "", ".", "..", "Mine", "-x", "a b", "a\n", "x" * 65, "C:mine"]
)
def test_a_name_that_is_no_folder_name_is_refused(table: Path, name: str) -> None:
    with pytest.raises(MolcrystError, match="cannot be the name of a dataset"):
        run("new", *TARGETS, "--labels", "labels.csv", "--", name, "structures")
    assert [path.name for path in Path("datasets").iterdir()] == ["qm9"]


@pytest.mark.parametrize("name", ["qm9", "hmof", "taken"])
def test_a_name_that_is_taken_is_refused(table: Path, name: str) -> None:
    Path("datasets/taken").mkdir()
    with pytest.raises(MolcrystError, match=f"there is a dataset '{name}' already"):
        new(name=name)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("gap", "'gap' is not COLUMN:UNIT"),
        ("gap:", "'gap:' is not COLUMN:UNIT"),
        (":eV", "':eV' is not COLUMN:UNIT"),
        ("///:eV", "'///:eV' is not COLUMN:UNIT"),
        ("Gap:eV", "lacks the column Gap; it has name, gap, bulk modulus"),
    ],
)
def test_a_target_that_is_not_there_is_refused(table: Path, target: str, message: str) -> None:
    with pytest.raises(MolcrystError, match=message):
        new("--target", target)
    assert not Path("datasets/mine").exists()


def test_a_target_named_twice_is_refused(table: Path) -> None:
    with pytest.raises(MolcrystError, match="two targets have the same name"):
        new("--target", "gap:eV", "--target", "gap:eV")


def cell(line: int, column: str, text: str) -> Callable[[Path], None]:
    return lambda table: own_data.with_cell(table, line, column, text)


def text(change: Callable[[str], str]) -> Callable[[Path], None]:
    return lambda table: table.write_text(change(table.read_text())) and None


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cell(3, "gap", "wide"), "labels.csv line 3: gap is 'wide', not a number"),
        (cell(3, "gap", "inf"), "labels.csv line 3: gap is not finite"),
        (cell(3, "gap", "1,2"), "labels.csv line 3: the row has too many or too few columns"),
        (cell(5, "name", "nowhere"), "labels.csv line 5: no file named 'nowhere'"),
        (cell(5, "name", ""), "labels.csv line 5: no file named 'line 5"),
        (cell(5, "name", "../labels"), "line 5: '../labels' is not the name of a file"),
        (cell(5, "name", "/etc/passwd"), "line 5: '/etc/passwd' is not the name of a file"),
        (cell(5, "name", "deep/../s0"), "line 5: 'deep/../s0' is not the name of a file"),
        (cell(5, "name", "s0"), "'s0' is there 2 times"),
        (text(lambda t: t.replace("name", "label", 1)), "lacks the column name"),
        (text(lambda t: t.replace("bulk modulus (GPa)", "gap", 1)), "column gap more than once"),
        (text(lambda t: ""), "has 0 rows"),
        (text(lambda t: "\n".join(t.splitlines()[:6])), "has 5 rows of labels"),
        (lambda table: table.write_bytes(b"\xff\xfe\x00") and None, "is not a table in CSV"),
    ],
)
def test_a_bad_table_is_refused_with_its_line(
    table: Path, damage: Callable[[Path], None], message: str
) -> None:
    damage(table)
    with pytest.raises(MolcrystError) as error:
        new("--id", "name", *TARGETS)
    assert message in str(error.value)
    assert not Path("datasets/mine").exists()


def test_two_files_of_one_name_are_refused(table: Path) -> None:
    folder = table.parent / "structures"
    (folder / "s0.xyz").write_text((folder / "s2.xyz").read_text())
    with pytest.raises(MolcrystError, match=r"'s0' may be any of s0.cif, s0.xyz"):
        new()
