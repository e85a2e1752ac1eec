"""Submissions: many bad ones, each refused with its reason, and a good one measured like a cell."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner, Result
from report_data import make_project, read_rows

from molcryst_bench.cli.main import molcryst
from molcryst_bench.graphs.store import open_store
from molcryst_bench.report.build import write_report
from molcryst_bench.report.submissions import files, table
from molcryst_bench.report.submissions.judge import judge, read_submission
from molcryst_bench.report.submissions.refusal import RefusedError
from molcryst_bench.report.submissions.truth import truth_in
from molcryst_bench.report.tables import all_cells, build_tables
from molcryst_bench.training.task import load_task

TEXT = 'Better <b>than</b> <script>alert("others")</script> & *all* {{ 7 * 7 }}'


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with results. Read only."""
    root = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        make_project(root, targets=("homo",))
    return root


@pytest.fixture
def good(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A good submission: what SchNet has predicted with its first seed."""
    monkeypatch.chdir(root)
    return write_good(root / "leaderboard", tmp_path / "my-model")


def write_good(leaderboard: Path, folder: Path) -> Path:
    row = read_rows(leaderboard)[0]
    folder.mkdir(parents=True)
    card = {
        "model": "Größer & besser: 2.0",
        "task": row["task"],
        "unit": "eV",
        "store_digest": row["store_digest"],
        "split_digest": row["split_digest"],
        "authors": ["José Núñez", "O'Hara, A."],
        "description": TEXT,
        "training_data": "The training subset",
        "only_training_subset": True,
        "code": "https://example.org/code?a=1&b=2",
        "parameters": 1234,
    }
    write_card(folder, card)
    predictions = pq.read_table(leaderboard / row["folder"] / "predictions.parquet")
    pq.write_table(predictions.select(["id", "prediction"]), folder / files.PREDICTIONS)
    return folder


def write_card(folder: Path, card: dict[str, Any]) -> None:
    (folder / files.CARD).write_text(yaml.safe_dump(card, allow_unicode=True), encoding="utf-8")


def change_card(**changes: Any) -> Callable[[Path], None]:
    """Return what gives a card other values; None takes a key away."""

    def change(folder: Path) -> None:
        card = yaml.safe_load((folder / files.CARD).read_text(encoding="utf-8")) | changes
        write_card(folder, {key: value for key, value in card.items() if value is not None})

    return change


def add_text(text: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        with (folder / files.CARD).open("a", encoding="utf-8") as file:
            file.write(text)

    return change


def change_table(edit: Callable[[pa.Table], pa.Table]) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / files.PREDICTIONS
        pq.write_table(edit(pq.read_table(path)), path)

    return change


def with_value(value: float | None) -> Callable[[pa.Table], pa.Table]:
    """Return what puts a value in the place of the second prediction."""

    def edit(rows: pa.Table) -> pa.Table:
        values = rows["prediction"].to_pylist()
        values[1] = value
        return rows.set_column(1, "prediction", pa.array(values, pa.float64()))

    return edit


def with_ids(change: Callable[[list[Any]], list[Any]]) -> Callable[[pa.Table], pa.Table]:
    return lambda rows: rows.set_column(0, "id", pa.array(change(rows["id"].to_pylist())))


def as_type(column: int, kind: Any) -> Callable[[pa.Table], pa.Table]:
    def edit(rows: pa.Table) -> pa.Table:
        name = rows.column_names[column]
        cast = pa.array([kind(value) for value in rows[name].to_pylist()])
        return rows.set_column(column, name, cast)

    return edit


def link_card(folder: Path) -> None:
    (folder / files.CARD).unlink()
    (folder / files.CARD).symlink_to("/etc/passwd")


def link_predictions(folder: Path) -> None:
    moved = folder.parent / "elsewhere.parquet"
    (folder / files.PREDICTIONS).rename(moved)
    (folder / files.PREDICTIONS).symlink_to(moved)


def pipe_card(folder: Path) -> None:
    (folder / files.CARD).unlink()
    os.mkfifo(folder / files.CARD)


def sparse(name: str, size: int) -> Callable[[Path], None]:
    """Return what makes a file look huge, without filling the disk."""
    return lambda folder: os.truncate(folder / name, size)


def bomb(folder: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    (folder / files.CARD).write_text("\n".join(lines))


def long_id(rows: pa.Table) -> pa.Table:
    return with_ids(lambda ids: ["x" * 1_000_000, *ids[1:]])(rows)


BAD: dict[str, tuple[Callable[[Path], None], str]] = {
    "no card": (lambda f: (f / files.CARD).unlink(), "card.yaml is missing"),
    "no predictions": (
        lambda f: (f / files.PREDICTIONS).unlink(),
        "predictions.parquet is missing",
    ),
    "a script beside": (
        lambda f: (f / "setup.py").write_text("import os") and None,
        "'setup.py' has no place in a submission",
    ),
    "a folder beside": (lambda f: (f / "more").mkdir(), "'more' has no place"),
    "card is a link": (link_card, "card.yaml is a link"),
    "predictions are a link": (link_predictions, "predictions.parquet is a link"),
    "card is a pipe": (pipe_card, "card.yaml is not a file"),
    "huge card": (sparse(files.CARD, 10**9), "card.yaml has 1,000,000,000 bytes"),
    "huge predictions": (
        sparse(files.PREDICTIONS, 10**12),
        "predictions.parquet has 1,000,000,000,000 bytes",
    ),
    "empty card": (sparse(files.CARD, 0), "card.yaml is empty"),
    "YAML bomb": (bomb, "anchors and aliases are not allowed"),
    "YAML tag": (
        add_text("licence: !!python/object/apply:os.system ['true']\n"),
        "tags are not allowed",
    ),
    "deep YAML": (add_text("links: " + "[" * 2000 + "]" * 2000), "nested too deep"),
    "key twice": (add_text("\nunit: kcal/mol\n"), "the key 'unit' is there twice"),
    "two documents": (add_text("\n---\nunit: eV\n"), "not valid YAML"),
    "not YAML": (add_text("\n: : [\n"), "not valid YAML"),
    "not UTF-8": (lambda f: (f / files.CARD).write_bytes(b"\xff\xfe\x00") and None, "not valid"),
    "a list": (lambda f: (f / files.CARD).write_text("- 1\n") and None, "not a mapping"),
    "unknown key": (change_card(autor="me"), "unknown key 'autor'"),
    "missing key": (change_card(authors=None), "the key 'authors' is missing"),
    "script in a name": (change_card(model="<script>alert(1)</script>"), "holds '<'"),
    "Markdown in a name": (change_card(model="best](x) | 1"), "holds ']'"),
    "script in an author": (change_card(authors=["<img src=x>"]), "holds '<'"),
    "long name": (change_card(model="x" * 61), "at most 60 characters"),
    "long text": (change_card(description="x" * 5000), "at most 4000 characters"),
    "turned text": (change_card(description="abc\u202egpj.exe"), "invisible character U+202E"),
    "steering text": (change_card(description="abc\x1b[2J"), "invisible character U+001B"),
    "script as an address": (change_card(code="javascript:alert(1)"), "begins with https://"),
    "quote in an address": (
        change_card(code='https://a.org/"onclick="x'),
        "holds characters that an address does not",
    ),
    "password in an address": (change_card(code="https://a.org@b.org/"), "begins with https://"),
    "path as a task": (change_card(task="../../etc/passwd"), "unknown task"),
    "unknown task": (change_card(task="qm9/homos"), "did you mean 'qm9/homo'?"),
    "unknown split": (change_card(task="qm9/homo@../x"), "unknown split"),
    "wrong unit": (change_card(unit="meV"), "the unit of qm9/homo is eV"),
    "forces of no task": (change_card(forces_unit="eV/Å"), "has no forces"),
    "wrong store": (change_card(store_digest="0" * 64), "store_digest is 000000000000"),
    "wrong split": (change_card(split_digest="1" * 64), "split_digest is 111111111111"),
    "no digest": (change_card(store_digest="latest"), "'store_digest' is 'latest'"),
    "endless parameters": (change_card(parameters=10**29), "'parameters' is"),
    "no Parquet": (
        lambda f: (f / files.PREDICTIONS).write_bytes(b"PAR1" * 100) and None,
        "not a readable Parquet file",
    ),
    "a table in words": (
        lambda f: (f / files.PREDICTIONS).write_text("id,prediction\na,1\n") and None,
        "not a readable Parquet file",
    ),
    "missing rows": (change_table(lambda t: t.slice(3)), "3 test records without a prediction"),
    "no rows": (change_table(lambda t: t.slice(0, 0)), "has no rows"),
    "ids twice": (change_table(lambda t: pa.concat_tables([t, t])), "ids more than once"),
    "foreign ids": (
        change_table(with_ids(lambda ids: ["gdb_9999999", *ids[1:]])),
        "1 id not in the test subset of qm9/homo: 'gdb_9999999'",
    ),
    "id with a script": (
        change_table(with_ids(lambda ids: ["<script>", *ids[1:]])),
        "not in the test subset of qm9/homo: '<script>'",
    ),
    "no id": (change_table(with_ids(lambda ids: [None, *ids[1:]])), "rows without an id"),
    "endless id": (change_table(long_id), "an id has 1,000,000 bytes"),
    "ids as numbers": (
        change_table(as_type(0, lambda text: int(text.removeprefix("gdb_")))),
        "'id' is not made of texts",
    ),
    "NaN": (change_table(with_value(math.nan)), "1 prediction missing or not finite"),
    "infinity": (change_table(with_value(math.inf)), "1 prediction missing or not finite"),
    "null": (change_table(with_value(None)), "1 prediction missing or not finite"),
    "overflow": (change_table(with_value(1e300)), "errors overflow"),
    "numbers as texts": (change_table(as_type(1, str)), "not made of floating-point numbers"),
    "lists": (change_table(as_type(1, lambda value: [value])), "predictions.parquet"),
    "other column": (
        change_table(lambda t: t.append_column("target", t["prediction"])),
        "has a column 'target'",
    ),
    "no predictions in it": (change_table(lambda t: t.select(["id"])), "lacks the column"),
    "forces in it": (
        change_table(lambda t: t.append_column("forces", pa.array([[0.0]] * len(t)))),
        "has no forces",
    ),
}


def check(folder: Path) -> Result:
    return CliRunner().invoke(molcryst, ["submit", "check", str(folder)])


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_submission_is_refused_with_its_reason(good: Path, kind: str) -> None:
    spoil, reason = BAD[kind]
    spoil(good)
    result = check(good)
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)  # not a bug
    assert "is refused" in result.stderr
    assert reason in result.stderr
    assert result.stderr.replace("\n", "").isprintable()
    assert len(result.stderr) < 5000


@pytest.mark.parametrize("name", ["Big Model", "..a", "<b>", "-x", "x" * 65])
def test_the_name_of_the_folder_is_plain(good: Path, name: str) -> None:
    folder = good.rename(good.with_name(name))
    with pytest.raises(RefusedError, match="the folder's name"):
        read_submission(folder)


def test_a_linked_folder_is_refused(good: Path) -> None:
    link = good.with_name("linked")
    link.symlink_to(good)
    assert "the folder is a link" in check(link).stderr


def test_sizes_in_the_file_are_believed_before_its_values(
    good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = table.MAX_ROWS + 1  # a few bytes, for all ids and values are equal
    ids = pa.array(np.zeros(rows, np.int32))
    same = pa.DictionaryArray.from_arrays(ids, ["gdb_1"])
    content = {"id": same.cast(pa.string()), "prediction": np.zeros(rows)}
    pq.write_table(pa.table(content), good / files.PREDICTIONS)
    monkeypatch.setattr(table, "_read", lambda *_: pytest.fail("values were read"))
    assert "rows, 2,000,000 are allowed" in check(good).stderr


def test_a_good_submission_has_the_numbers_of_the_cell_it_was_copied_from(good: Path) -> None:
    truth = truth_in(open_store("datasets/qm9/store.zarr"), load_task("qm9/homo"))
    judged = judge(read_submission(good), truth)
    row = read_rows(Path("leaderboard"))[0]
    assert judged.errors.mae == pytest.approx(row["mae"], rel=1e-12)
    assert judged.errors.rmse == pytest.approx(row["rmse"], rel=1e-12)
    assert judged.intervals["mae"] == pytest.approx((row["mae_low"], row["mae_high"]), rel=1e-12)
    result = check(good)
    assert result.exit_code == 0, result.output
    assert "Größer & besser: 2.0 (submitted) on qm9/homo, random split: accepted" in result.stdout
    assert f"{row['mae']:.4g} meV" in result.stdout


def test_the_order_of_rows_is_no_matter(good: Path) -> None:
    truth = truth_in(open_store("datasets/qm9/store.zarr"), load_task("qm9/homo"))
    before = judge(read_submission(good), truth)
    change_table(lambda rows: rows.take(np.arange(len(rows))[::-1]))(good)
    after = judge(read_submission(good), truth)
    assert after.errors == before.errors
    assert after.intervals == before.intervals


def test_a_template_lacks_only_what_its_author_knows(good: Path, tmp_path: Path) -> None:
    folder = tmp_path / "template"
    made = CliRunner().invoke(molcryst, ["submit", "template", "qm9/homo", str(folder)])
    assert made.exit_code == 0, made.output
    own = ("model", "authors", "description", "training_data", "only_training_subset")
    assert "the key 'model' is missing" in check(folder).stderr
    values = yaml.safe_load((good / files.CARD).read_text(encoding="utf-8"))
    with (folder / files.CARD).open("a", encoding="utf-8") as file:
        yaml.safe_dump({key: values[key] for key in own}, file, allow_unicode=True)
    assert "predictions missing or not finite" in check(folder).stderr
    (folder / files.PREDICTIONS).write_bytes((good / files.PREDICTIONS).read_bytes())
    assert check(folder).exit_code == 0


@pytest.fixture
def accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A leaderboard with a submission whose card is valid and as hostile as it can be."""
    monkeypatch.chdir(tmp_path)
    leaderboard = make_project(tmp_path, targets=("homo",))
    folder = write_good(leaderboard, leaderboard / files.SUBMISSIONS / "my-model")
    hostile = f"</dd></dl><img src=x onerror=alert(1)>{TEXT}<iframe src=//x></iframe>" + "A" * 3000
    change_card(
        description=hostile,
        training_data="<style>body{display:none}</style>",
        hardware="<b>fast</b>",
        links=["https://example.org/" + "a" * 250],
    )(folder)
    return leaderboard


def test_a_submission_stands_in_the_table_with_the_numbers_of_its_predictions(
    accepted: Path,
) -> None:
    (table,) = build_tables(accepted)
    (entry,) = table.submitted
    assert entry.model == "Größer & besser: 2.0 (submitted)"
    assert entry.mae.mean == pytest.approx(read_rows(accepted)[0]["mae"])
    assert len(table.own) == 3
    assert len(all_cells([table])) == 9
    row = table.column("model").texts.index(entry.model)
    assert table.column("parameters").texts[row] == "1,234"
    assert table.column("n_train").texts[row] == "n/a"


def test_a_hostile_card_does_no_harm_on_the_page(accepted: Path) -> None:
    paths = write_report(accepted)
    page = (paths.site / "submissions" / "my-model.html").read_text(encoding="utf-8")
    for tag in ("<img", "<iframe", "<style", "<b>", "<script>"):
        assert tag not in page
    assert "&lt;script&gt;alert" in page
    assert "{{ 7 * 7 }}" in page
    assert "Submitted by others" in page
    index = paths.index.read_text(encoding="utf-8")
    assert 'href="submissions/my-model.html"' in index
    assert "Größer &amp; besser: 2.0 (submitted)" in index
    assert not list((paths.site / "cells").rglob("*Gr*"))
    assert "submitted" in paths.markdown.read_text(encoding="utf-8")


def test_what_cannot_be_shown_is_named_and_costs_nothing_else(accepted: Path) -> None:
    write_good(accepted, accepted / files.SUBMISSIONS / "other-data")
    change_card(store_digest="0" * 64)(accepted / files.SUBMISSIONS / "other-data")
    (accepted / files.SUBMISSIONS / "<b>bad").mkdir()
    paths = write_report(accepted)
    index = paths.index.read_text(encoding="utf-8")
    assert "other-data: not about the test records of these results of qm9/homo" in index
    assert "&lt;b&gt;bad is refused" in index
    assert "<b>bad" not in index
    assert (paths.site / "submissions" / "my-model.html").exists()
    assert not (paths.site / "submissions" / "other-data.html").exists()
