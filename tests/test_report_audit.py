"""The audit of a split on the page of its dataset."""

from __future__ import annotations

from pathlib import Path

import pytest
from report_data import make_project
from test_report_site import Page

from molcryst_bench.graphs.audit.findings import (
    PAIRS,
    Audit,
    Finding,
    KindFindings,
    SplitAudit,
    save_audit,
)
from molcryst_bench.graphs.split import load_split
from molcryst_bench.report.build import write_report


@pytest.fixture
def leaderboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return make_project(tmp_path, targets=("homo",))


def page_with(leaderboard: Path, digest: str) -> Page:
    """Return the page of QM9 with an audit of its random split of this digest."""
    examples = (("gdb_7", "<b>gdb_8</b>"),)
    overall = [
        Finding(earlier=e, later=later, found=17, records=1250, examples=examples)
        for e, later in PAIRS
    ]
    group = Finding(earlier="train", later="test", group="water <i>", found=3, records=4)
    kind = KindFindings(
        name="same molecule", meaning="equal graph", unknown=12, findings=(*overall, group)
    )
    audit = SplitAudit(digest=digest, source="g2", records=5000, unreadable=9, kinds=(kind,))
    save_audit(Audit(splits={"random": audit}), leaderboard.parent / "datasets" / "qm9")
    return Page(write_report(leaderboard).site / "datasets" / "qm9.html")


def test_the_page_shows_what_was_found(leaderboard: Path) -> None:
    split = load_split(leaderboard.parent / "datasets" / "qm9" / "splits" / "random.parquet")
    text = " ".join(page_with(leaderboard, split.digest).text.split())
    assert "test in train" in text
    assert text.count("17 (1.4 %)") == 3
    assert "5,000 records from the source g2" in text
    assert "9 that are set aside are not counted" in text
    assert "same molecule: equal graph; not known for 12 records" in text
    assert "<b>gdb_8</b> (train)" in text
    assert "3 (75.0 %)" in text
    assert "water <i>" in text


def test_an_audit_of_an_older_split_is_not_shown(leaderboard: Path) -> None:
    text = page_with(leaderboard, "0" * 64).text
    assert "17 (1.4 %)" not in text
    assert "molcryst data audit qm9" in text


def test_a_page_without_an_audit_says_how_to_make_one(leaderboard: Path) -> None:
    page = Page(write_report(leaderboard).site / "datasets" / "qm9.html")
    assert "molcryst data audit qm9" in page.text
    assert "The file of this split is not here." in page.text  # of the scaffold split
