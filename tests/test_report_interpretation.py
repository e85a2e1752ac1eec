"""The pages and tables about looks into models."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from report_data import FakeModel, make_project
from test_report_site import Page

from molcryst_bench.base.errors import RunError
from molcryst_bench.interpret.looks.record import Look, write_look
from molcryst_bench.report.build import write_report
from molcryst_bench.report.interpretation.found import draw_roughness_of
from molcryst_bench.report.interpretation.tables import tasks_of

MINUS = "\N{MINUS SIGN}"
HOSTILE = "<script>alert(1)</script>"
MODELS = {"schnet": FakeModel(0.06), HOSTILE: FakeModel(0.3), "mean": FakeModel(0.6, False)}


def faith(method: str, deletion: float) -> dict[str, object]:
    return {
        "method": method,
        "deletion": (deletion, deletion - 0.1, deletion + 0.1),
        "insertion": (deletion, deletion - 0.1, deletion + 0.1),
        "with_random_weights": None,
        "equivalent_atoms": 1e-6,
        "rotation": 2e-6,
        "with_integrated": (1.0, 1.0, 1.0),
        "between_seeds": (0.6, 0.5, 0.7),
    }


def look_at(model: str, rough: float, error: float | None, **changes: object) -> Look:
    share = {"structures": 5, "atoms": 9, "per_atom": (-0.2, -0.3, -0.1), "size": (2, 1, 3)}
    lonely = {"structures": 1, "atoms": 1, "per_atom": (0.1, 0.1, 0.1), "size": (2, 2, 2)}
    content = {
        "task": "qm9/homo",
        "representation": model,
        "seed": 0,
        "trained": True,
        "key": "k",
        "quantity": "homo",
        "unit": "eV",
        "mae": 0.1,
        "relative_error": error,
        "explained": 8,
        "checked": 8,
        "embedded": 500,
        "drawn": [
            {
                "id": "gdb_1",
                "file": "atoms-01.svg",
                "formula": "CH4",
                "prediction": -6.5,
                "truth": -6.25,
            }
        ],
        "elements": [{"kind": "N", **share}, {"kind": "F", **lonely}],
        "groups": [{"kind": "amine", **share}],
        "faithfulness": [faith("integrated", 0.5), faith("random", 0.02)],
        "maps": [
            {
                "method": "UMAP",
                "dimensions": 2,
                "trustworthiness": 0.9,
                "preservation": 0.4,
                "neighbor_correlation": None,
            }
        ],
        "roughness": {
            "metric": "euclidean",
            "points": 500,
            "width": 32,
            "rogi": (rough, rough - 0.01, rough + 0.01),
            "rogi_xd": (rough, rough - 0.01, rough + 0.01),
            "shuffled": 0.3,
            "shuffled_xd": 0.2,
        },
    }
    return Look.model_validate({**content, **changes})


def raw_look(name: str, **changes: object) -> Look:
    nothing = {"trained": False, "mae": None, "faithfulness": [], "maps": [], "drawn": []}
    return look_at(name, 0.2, None, **{**nothing, "elements": [], "groups": [], **changes})


def put(leaderboard: Path, looks: list[Look]) -> None:
    folder = leaderboard / "interpret"
    for look in looks:
        write_look(folder / look.place, look)
        for file in ("atoms-01.svg", "atoms-01-dark.svg", "map.svg", "map-dark.svg"):
            (folder / look.place / file).write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
        for file in ("map.html", "embeddings.parquet"):
            (folder / look.place / file).write_text("")
    places = [look.place for look in looks]
    (folder / "looks.json").write_text(json.dumps(places))


LOOKS = [
    look_at("schnet", 0.05, 0.2),
    look_at(HOSTILE, 0.1, 0.5),
    raw_look("composition"),
    raw_look("fingerprint", roughness=None, problem="all structures are alike in it"),
]


@pytest.fixture(scope="module")
def leaderboard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("interpretation")
    leaderboard = make_project(root, MODELS, ("homo",))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        put(leaderboard, LOOKS)
        write_report(leaderboard)
    return leaderboard


PAGES = ("interpretation.html", "interpretation/qm9/homo.html", "models/schnet.html")


@pytest.mark.parametrize("name", [*PAGES, "index.html"])
def test_pages_are_whole_and_their_links_lead_somewhere(leaderboard: Path, name: str) -> None:
    path = leaderboard / "site" / name
    page = Page(path)
    addresses = [a["href"] for a in page.all("a")] + [i["src"] for i in page.all("img")]
    addresses += [each["srcset"] for each in page.all("source")]
    for address in addresses:
        parts = urlsplit(address or "")
        if parts.scheme or not parts.path:
            continue
        assert (path.parent / unquote(parts.path)).exists(), address
    assert all(image["alt"] for image in page.all("img"))
    assert path.stat().st_size < 2e6
    assert HOSTILE not in path.read_text()


def test_the_first_page_and_models_link_to_them(leaderboard: Path) -> None:
    links = {a["href"] for a in Page(leaderboard / "site" / "index.html").all("a")}
    assert "interpretation.html" in links
    model = Page(leaderboard / "site" / "models" / "schnet.html")
    assert "../interpretation/qm9/homo.html#faithfulness" in {a["href"] for a in model.all("a")}
    assert f"CH4: homo predicted as {MINUS}6.500 eV, true {MINUS}6.250 eV" in model.text
    assert "molcryst explain leaderboard/results/qm9/homo/schnet/0 --test 8" in model.text


def test_random_values_are_a_row_and_are_judged(leaderboard: Path) -> None:
    page = Page(leaderboard / "site" / "interpretation" / "qm9" / "homo.html")
    assert "random values" in page.text
    assert "4 of the 4 intervals of their deletion and insertion" in page.text
    assert "fingerprint: all structures are alike in it" in page.text
    assert "molcryst embed leaderboard/results/qm9/homo/schnet/0 --most 500 --map" in page.text


def test_markdown_has_the_same_tables(leaderboard: Path) -> None:
    text = (leaderboard / "leaderboard.md").read_text()
    assert "## Interpretation of qm9/homo" in text
    assert f"| schnet | random values | 0.02 ({MINUS}0.08 to 0.12) |" in text
    assert f"| N | 5 | 9 | {MINUS}0.200 ({MINUS}0.300 to {MINUS}0.100) |" in text
    assert "| F | 1 | 1 | 0.100 |" in text  # one structure alone has no interval
    assert HOSTILE not in text


def test_the_correlation_is_over_networks_alone() -> None:
    rough = [(0.05, 0.2), (0.1, 0.3), (0.2, 0.5), (0.3, 0.9)]
    looks = [look_at(f"m{n}", *pair) for n, pair in enumerate(rough)]
    drawn = draw_roughness_of(tasks_of([*looks, raw_look("composition")]))
    assert drawn is not None
    assert "over models and tasks, 4 in all, is 1.00" in drawn.caption
    names = [text.get_text() for text in drawn.figure.axes[0].texts]
    assert names == ["m0", "m1", "m2", "m3"]
    assert draw_roughness_of(tasks_of([raw_look("composition")])) is None


def test_a_drawing_that_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaderboard = make_project(tmp_path, {"schnet": FakeModel(0.1)}, ("homo",))
    monkeypatch.chdir(tmp_path)
    put(leaderboard, LOOKS[:1])
    (leaderboard / "interpret/qm9/homo/schnet/0/atoms-01.svg").unlink()
    with pytest.raises(RunError, match=r"atoms-01\.svg is missing.*molcryst interpret"):
        write_report(leaderboard)


def test_without_looks_there_are_no_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leaderboard = make_project(tmp_path, {"schnet": FakeModel(0.1)}, ("homo",))
    monkeypatch.chdir(tmp_path)
    write_report(leaderboard)
    assert not (leaderboard / "site" / "interpretation.html").exists()
    assert "Interpretation" not in (leaderboard / "site" / "index.html").read_text()
