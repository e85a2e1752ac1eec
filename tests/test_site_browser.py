"""The site in a real browser: what markup alone cannot show."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from handmade import REPOSITORY
from playwright.sync_api import Browser, Page, sync_playwright
from report_data import MODELS, FakeModel, make_project
from search_tables import write_search
from test_report_interpretation import LOOKS, put
from test_report_submissions import write_good
from transfer_scores import put_transfers

from molcryst_bench.bench.result import RESULTS
from molcryst_bench.bench.searches import SEARCHES
from molcryst_bench.report.build import write_report
from molcryst_bench.report.quoted import PUBLISHED

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CHROMIUM = shutil.which("chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
Scheme = Literal["light", "dark"]
COMPARE = "compare/qm9/homo/random.html"
LONG = "a_model_with_a_name_that_is_longer_than_any_phone_is_wide_" * 2
WIDTHS = (390, 1440)
MOST_BYTES = 2_000_000  # of a page with all that it loads


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("site")
    models = {
        **MODELS,
        LONG: FakeModel(0.9),
        "<script>alert(1)</script>": FakeModel(0.8, hyperparameters={"layers": [64] * 40}),
    }
    leaderboard = make_project(root, models)
    shutil.copy(REPOSITORY / "datasets/qm9" / PUBLISHED, root / "datasets/qm9")
    write_good(leaderboard, leaderboard / "submissions" / "my-model")
    for method in ("cbo", "random"):
        for seed in range(2):
            write_search(leaderboard / RESULTS / SEARCHES, method, seed)
    put(leaderboard, LOOKS)
    put_transfers(leaderboard)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        return write_report(leaderboard).site


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no chromium on PATH: install it to test the site in a browser")
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)


@pytest.fixture
def watched(browser: Browser) -> Iterator[tuple[Page, list[str]]]:
    """A page, and a list of what went wrong on it: requests elsewhere, errors, dialogs."""
    problems: list[str] = []
    page = browser.new_page()
    page.on("request", lambda request: _note_request(request.url, problems))
    page.on("requestfailed", lambda request: problems.append(f"failed: {request.url}"))
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("dialog", lambda dialog: (problems.append(dialog.message), dialog.dismiss()))
    yield page, problems
    page.close()


def _note_request(url: str, problems: list[str]) -> None:
    if not url.startswith(("file:", "data:")):
        problems.append(f"request: {url}")


@pytest.mark.parametrize("width", WIDTHS)
def test_every_page_loads_alone_and_fits(
    site: Path, watched: tuple[Page, list[str]], width: int
) -> None:
    page, problems = watched
    page.set_viewport_size({"width": width, "height": 800})
    for path in sorted(site.rglob("*.html")):
        page.goto(path.as_uri())
        scroll = page.evaluate("document.documentElement.scrollWidth")
        assert scroll <= width, f"{path} is {scroll} px wide on a screen of {width} px"
        assert page.evaluate(BROKEN_IMAGES) == [], path
        assert problems == [], path


# Images below the fold are lazy: ask for all of them.
BROKEN_IMAGES = """async () => {
  const images = Array.from(document.images);
  for (const image of images) image.loading = "eager";
  const loaded = await Promise.allSettled(images.map((image) => image.decode()));
  return images.filter((_, i) => loaded[i].status === "rejected").map((image) => image.src);
}"""


def test_dark_screens_get_dark_figures(site: Path, watched: tuple[Page, list[str]]) -> None:
    page, _ = watched
    shown = {}
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.goto((site / "index.html").as_uri())
        assert page.evaluate(BROKEN_IMAGES) == []
        shown[scheme] = page.evaluate("Array.from(document.images, (i) => i.currentSrc)")
    assert len(shown["light"]) == 2 * 2  # of errors, and against costs
    assert all(address.endswith("-dark.svg") for address in shown["dark"])
    assert not any(address.endswith("-dark.svg") for address in shown["light"])


def test_the_theme_can_be_chosen_and_is_kept(site: Path, watched: tuple[Page, list[str]]) -> None:
    page, problems = watched
    page.emulate_media(color_scheme="light")
    page.goto((site / "index.html").as_uri())
    button = page.get_by_role("button", name="Theme")
    assert button.inner_text() == "Theme: system"
    light = page.evaluate(PAPER)
    button.focus()
    page.keyboard.press("Enter")
    assert button.inner_text() == "Theme: light"
    assert page.evaluate(PAPER) == light
    page.keyboard.press("Enter")
    dark = page.evaluate(PAPER)
    assert dark != light
    page.goto((site / COMPARE).as_uri())
    assert page.evaluate(PAPER) == dark
    page.goto((site / "index.html").as_uri())
    assert page.evaluate(BROKEN_IMAGES) == []
    shown = page.evaluate("Array.from(document.images, (i) => i.currentSrc)")
    assert all(address.endswith("-dark.svg") for address in shown)
    button.click()
    assert page.evaluate(PAPER) == light
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(PAPER) == dark
    assert problems == []


PAPER = "getComputedStyle(document.body).backgroundColor"


def test_a_click_sorts_a_column_by_value(site: Path, watched: tuple[Page, list[str]]) -> None:
    page, _ = watched
    page.goto((site / "index.html").as_uri())
    table = page.locator("table.sortable").first
    models = table.locator("tbody th")
    best_first = models.all_inner_texts()
    header = table.locator("th", has_text="Parameters")
    assert header.get_attribute("aria-sort") == "none"

    header.get_by_role("button").click()
    assert header.get_attribute("aria-sort") == "ascending"
    # As text, 1,000 would come before 241.
    shown = table.locator("td.parameters").all_inner_texts()
    assert shown == ["1", "241", "1,000", "1,000", "1,234", "455,809"]
    header.get_by_role("button").click()
    assert header.get_attribute("aria-sort") == "descending"
    assert models.first.inner_text() == "schnet"

    table.locator("th", has_text="Rank").get_by_role("button").click()
    assert models.all_inner_texts() == best_first
    assert header.get_attribute("aria-sort") == "none"


def test_the_keyboard_reaches_links_headers_and_tables(
    site: Path, watched: tuple[Page, list[str]]
) -> None:
    page, _ = watched
    page.goto((site / "index.html").as_uri())
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    reached, outlined = set(), set()
    for _ in range(30):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.tagName"))
        outlined.add(page.evaluate("getComputedStyle(document.activeElement).outlineStyle"))
    assert {"A", "BUTTON", "DIV"} <= reached
    assert outlined == {"solid"}


def test_without_scripts_the_tables_are_all_there(site: Path, browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((site / "index.html").as_uri())
    assert page.locator("table.board").count() == 2
    assert page.locator("table.board").first.locator("tbody tr").count() == 6
    assert not page.locator(".filter").first.is_visible()
    page.goto((site / COMPARE).as_uri())
    assert page.locator("noscript p").is_visible()
    assert not page.locator("#comparing").is_visible()
    assert page.locator("table.board tbody tr").count() == 15  # pairs of six models
    context.close()


def page_types(site: Path) -> list[Path]:
    """One page of each type, and the first of each folder, whatever is added to the site."""
    first: dict[str, Path] = {}
    for path in sorted(site.rglob("*.html")):
        place = path.relative_to(site).parts
        first.setdefault(place[0], path)
    return list(first.values())


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_axe_finds_no_fault(
    site: Path, watched: tuple[Page, list[str]], scheme: Scheme, width: int
) -> None:
    page, _ = watched
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    for path in page_types(site):
        page.goto(path.as_uri())
        page.evaluate(AXE_SCRIPT)
        faults = page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
        found = [(fault["impact"], fault["id"], fault["nodes"][0]["html"]) for fault in faults]
        assert found == [], path


def test_every_link_and_anchor_leads_somewhere(site: Path, watched: tuple[Page, list[str]]) -> None:
    page, _ = watched
    links, ids = {}, {}
    for path in sorted(site.rglob("*.html")):
        page.goto(path.as_uri())
        links[path] = page.evaluate("Array.from(document.links, (link) => link.href)")
        ids[path] = set(page.evaluate("Array.from(document.querySelectorAll('[id]'), (e) => e.id)"))
    for path, targets in links.items():
        for parts in map(urlsplit, targets):
            if parts.scheme != "file":
                continue
            target = Path(unquote(parts.path))
            assert target.exists(), f"{path} links to {target}"
            assert not parts.fragment or unquote(parts.fragment) in ids[target], (path, parts)


def test_no_page_is_heavy(site: Path, watched: tuple[Page, list[str]]) -> None:
    page, _ = watched
    loaded: set[str] = set()
    page.on("request", lambda request: loaded.add(unquote(urlsplit(request.url).path)))
    for path in sorted(site.rglob("*.html")):
        loaded.clear()
        page.goto(path.as_uri())
        page.evaluate(BROKEN_IMAGES)
        files = [Path(name) for name in loaded if Path(name).is_file()]
        assert path in files
        assert sum(file.stat().st_size for file in files) < MOST_BYTES, path


def test_the_first_view_is_there_soon(site: Path, watched: tuple[Page, list[str]]) -> None:
    """Within a second where nothing else runs; here there may be much else."""
    page, _ = watched
    for path in page_types(site):
        page.goto(path.as_uri())
        painted = page.evaluate(PAINTED)
        assert painted < 5000, f"{path} is painted after {painted} ms"


PAINTED = """() => new Promise((resolve) => {
  const name = "first-contentful-paint";
  const seen = (entries) => resolve(entries.getEntriesByName(name)[0].startTime);
  new PerformanceObserver(seen).observe({type: "paint", buffered: true});
})"""


def test_filters_hide_rows_and_say_so(site: Path, watched: tuple[Page, list[str]]) -> None:
    page, problems = watched
    page.goto((site / "index.html").as_uri())
    group = page.get_by_role("group", name="Filter of qm9/homo")
    rows = page.locator("table.board").first.locator("tbody tr:visible")
    assert group.get_by_role("status").inner_text() == "6 of 6 models"

    group.get_by_label("Kind of model").select_option("baseline")
    assert set(rows.locator("th").all_inner_texts()) == {"mean", "ridge"}
    group.get_by_label("Name contains").press_sequentially(" RIDG")
    assert rows.locator("th").all_inner_texts() == ["ridge"]
    assert group.get_by_role("status").inner_text() == "1 of 6 models"
    group.get_by_label("Name contains").fill("no such model")
    assert rows.count() == 0
    group.get_by_label("Name contains").fill("")
    group.get_by_label("Kind of model").select_option("all")
    assert rows.count() == 6
    assert page.locator("table.board").nth(1).locator("tbody tr:visible").count() == 5
    assert problems == []


def test_sorting_works_by_keyboard_and_is_heard(
    site: Path, watched: tuple[Page, list[str]]
) -> None:
    page, _ = watched
    page.goto((site / "index.html").as_uri())
    header = page.locator("table.board").first.locator("th", has_text="R²")
    header.get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert header.get_attribute("aria-sort") == "ascending"
    assert page.locator("p.heard").inner_text() == "Sorted by R², ascending."
    page.keyboard.press("Space")
    assert page.locator("p.heard").inner_text() == "Sorted by R², descending."


def test_two_models_are_compared_item_by_item(site: Path, watched: tuple[Page, list[str]]) -> None:
    page, problems = watched
    page.goto((site / COMPARE).as_uri())
    pairs = page.locator("table.board tbody tr")
    words = page.locator("#in-words")
    chosen = page.locator("#choose-first option:checked, #choose-second option:checked")
    first, second = chosen.all_inner_texts()
    difference = pairs.first.locator("td").nth(1).inner_text()
    assert f"{first} minus that of {second} is {difference} meV" in words.inner_text()
    assert page.locator("#scatter circle").count() == 60
    rows = page.locator("#farthest tbody tr")
    assert rows.count() == 20
    numbers = [abs(float(text.replace("\N{MINUS SIGN}", "-"))) for text in differences_of(page)]
    assert numbers == sorted(numbers, reverse=True)

    page.get_by_role("button", name="Swap").click()
    assert f"{second} minus that of {first}" in words.inner_text()
    assert page.locator("#choose-first option:checked").inner_text() == second

    page.locator("#choose-first").focus()  # a list of choices works by keyboard
    page.keyboard.press("Home")
    page.keyboard.press("End")
    worst = page.locator("#choose-first option").last.inner_text()
    assert worst in words.inner_text()
    page.locator("#choose-second").select_option(worst)
    assert words.inner_text() == "Choose two different models."
    assert problems == []


def differences_of(page: Page) -> list[str]:
    cells = page.locator("#farthest tbody td:last-child").all_inner_texts()
    return [text.replace(",", "") for text in cells]
