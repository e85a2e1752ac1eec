"""The site in a real browser: what markup alone cannot show."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from report_data import MODELS, FakeModel, make_project

from molcryst_bench.report.build import write_report

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
LONG = "a_model_with_a_name_that_is_longer_than_any_phone_is_wide_" * 2
WIDTHS = (375, 1280)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("site")
    models = {
        **MODELS,
        LONG: FakeModel(0.9),
        "<script>alert(1)</script>": FakeModel(0.8, hyperparameters={"layers": [64] * 40}),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        return write_report(make_project(root, models)).site


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
    assert len(shown["light"]) == 2 * (2 + 5 + 5 + 3)  # of errors, parity, coverage, deviation
    assert all(address.endswith("-dark.svg") for address in shown["dark"])
    assert not any(address.endswith("-dark.svg") for address in shown["light"])


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
    assert shown == ["1", "241", "1,000", "1,000", "455,809"]
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
    assert page.locator("table.board").count() == 4
    assert page.locator("table.board").first.locator("tbody tr").count() == 5
    context.close()
