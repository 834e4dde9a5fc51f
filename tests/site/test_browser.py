"""The site in a real browser, from a server below a path and from a disk: for the eye, the keyboard, and axe."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import samples
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Request, expect

pytestmark = pytest.mark.browser
PHONE = {"width": 360, "height": 740}
DESK = {"width": 1280, "height": 900}


def paths(site: Path) -> list[str]:
    """Every kind of page: all that mkdocs made, and a run of each outcome."""
    found = [str(path.relative_to(site)) for path in site.rglob("*.html") if path.parent.name != "runs"]
    kinds = {
        path.read_text().split("<title>")[1].split(":")[0]: path for path in sorted((site / "runs").iterdir())
    }
    assert len(kinds) >= 4
    return sorted(path for path in found if path != "404.html") + [f"runs/{path.name}" for path in kinds.values()]


def failed(request: Request) -> list[str]:
    """What the browser breaks off when a page is left while it loads is no failure of the page."""
    return [] if request.failure == "net::ERR_ABORTED" else [f"{request.failure}: {request.url}"]


@contextmanager
def opened(browser: Browser, **options: Any) -> Iterator[tuple[Page, list[str]]]:
    """A new page, and what went wrong in it so far."""
    context = browser.new_context(**{"viewport": DESK, "reduced_motion": "reduce", **options})
    page, wrong = context.new_page(), []
    page.on(
        "console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("requestfailed", lambda request: wrong.extend(failed(request)))
    page.on(
        "response", lambda answer: wrong.append(f"{answer.status}: {answer.url}") if answer.status >= 400 else None
    )
    page.on("dialog", lambda dialog: (wrong.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    yield page, wrong
    context.close()


def test_every_page_shows_without_errors_and_asks_nobody_else(browser: Browser, base: str, site: Path) -> None:
    with opened(browser) as (page, wrong):
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        for path in paths(site):
            page.goto(base + path)
            page.wait_for_load_state("networkidle")
            assert not wrong, path
            expect(page.locator("h1").first).to_be_visible()
        strangers = [url for url in asked if not url.startswith((base, "data:", "blob:", "about:"))]
        assert not strangers


def test_no_page_scrolls_sideways_on_a_phone(browser: Browser, served: str, site: Path) -> None:
    with opened(browser, viewport=PHONE) as (page, _):
        for path in paths(site):
            page.goto(served + path)
            page.wait_for_load_state("networkidle")
            beyond = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert beyond <= 0, path


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser: Browser, served: str, site: Path, scheme: str) -> None:
    found = {}
    with opened(browser, color_scheme=scheme) as (page, _):
        for path in paths(site):
            page.goto(served + path)
            page.wait_for_load_state("networkidle")
            violations = Axe().run(page).response["violations"]
            for one in violations:
                if one["impact"] in ("serious", "critical"):
                    found[path, one["id"]] = [node["target"] for node in one["nodes"]][:3]
    assert not found


def test_the_search_finds_a_run_and_opens_it(browser: Browser, base: str) -> None:
    with opened(browser) as (page, wrong):
        page.goto(f"{base}index.html")
        page.get_by_role("textbox", name="Search").click()
        page.keyboard.type("20260105-091400")
        hit = page.locator(".md-search-result__link").first
        expect(hit).to_contain_text("05 Jan 2026, 09:14", timeout=20_000)
        hit.click()
        page.wait_for_url("**/runs/20260105-091400-000002.html*")
        assert not wrong


def test_the_table_of_runs_is_searched_filtered_and_paged(browser: Browser, base: str) -> None:
    with opened(browser) as (page, wrong):
        page.goto(f"{base}runs.html")
        rows, count = page.locator("#runs-table tbody tr"), page.locator(".count")
        expect(count).to_have_text("121 runs")
        expect(rows).to_have_count(50)
        page.get_by_role("button", name="Older").click()
        expect(page.locator(".pages span")).to_have_text("51 to 100")
        page.get_by_label("Outcome").select_option("failed")
        failed = rows.count()
        assert 0 < failed < 50
        expect(page.locator("#runs-table .outcome-word[data-tone=failed]")).to_have_count(failed)
        page.get_by_label("Outcome").select_option("")
        page.get_by_role("searchbox", name="Search", exact=True).fill("000002 debian")
        expect(count).to_have_text("1 of 121 runs")
        rows.first.get_by_role("link").click()
        page.wait_for_url("**/runs/20260105-091400-000002.html")
        assert not wrong


def test_a_filtered_table_can_be_shared_by_its_address(browser: Browser, served: str) -> None:
    with opened(browser) as (page, _):
        page.goto(f"{served}runs.html?outcome=failed")
        assert page.get_by_label("Outcome").input_value() == "failed"
        expect(page.locator("#runs-table .outcome-word[data-tone=passed]")).to_have_count(0)


def test_checks_are_filtered(browser: Browser, base: str) -> None:
    with opened(browser) as (page, _):
        page.goto(f"{base}checks.html")
        shown = page.locator("tr[data-row]:visible")
        before = shown.count()
        page.get_by_label("Kind").select_option("service")
        expect(shown).to_have_count(1)
        page.get_by_label("Kind").select_option("")
        page.get_by_role("searchbox", name="Search", exact=True).fill("xrdp")
        assert 0 < shown.count() < before


def test_charts_are_drawn_and_told_to_those_who_use_the_keyboard(browser: Browser, base: str) -> None:
    with opened(browser) as (page, wrong):
        page.goto(f"{base}index.html")
        canvas = page.locator("figure.chart canvas").first
        canvas.focus()
        page.keyboard.press("ArrowLeft")
        said = page.locator("figure.chart [aria-live]").first
        expect(said).to_contain_text("Total: ")
        first = said.text_content()
        page.keyboard.press("ArrowLeft")
        assert said.text_content() != first
        page.keyboard.press("Enter")
        page.wait_for_url("**/runs/*.html")
        page.goto(f"{base}benchmarks.html")
        bars = page.locator("figure.chart canvas").first
        pixels = "c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer"
        colours = bars.evaluate(f"c => new Set(new Uint32Array({pixels})).size")
        assert colours > 10, "nothing was drawn"
        assert not wrong


def test_a_series_is_chosen_on_the_overview(browser: Browser, served: str) -> None:
    with opened(browser) as (page, _):
        page.goto(f"{served}index.html")
        expect(page.locator("figure.chart:visible")).to_have_count(1)
        page.get_by_label("Series").select_option(index=1)
        expect(page.locator("#trend-2")).to_be_visible()
        expect(page.locator("#trend-1")).to_be_hidden()


def test_the_switch_makes_page_and_charts_dark(browser: Browser, served: str) -> None:
    with opened(browser, color_scheme="light") as (page, _):
        page.goto(f"{served}index.html")
        canvas, body = page.locator("figure.chart canvas").first, page.locator("body")
        drawn = "c => c.toDataURL()"
        light = canvas.evaluate(drawn)
        page.locator("label[for=__palette_1]").click()
        expect(body).to_have_attribute("data-md-color-scheme", "slate")
        page.wait_for_function(
            "light => document.querySelector('figure.chart canvas').toDataURL() !== light", arg=light
        )
        colour = page.locator(".kvm-e2e").first.evaluate("e => getComputedStyle(e).color")
        assert colour == "rgb(233, 232, 228)"


def test_the_newest_runs_and_all_tables_are_there_without_scripts(browser: Browser, served: str) -> None:
    with opened(browser, java_script_enabled=False) as (page, _):
        page.goto(f"{served}runs.html")
        expect(page.locator("#runs-table tbody tr")).to_have_count(121)
        page.goto(f"{served}index.html")
        page.get_by_text("The data as a table").first.click()
        expect(page.locator("table.data").first).to_be_visible()


def test_the_first_page_is_light(browser: Browser, served: str) -> None:
    with opened(browser) as (page, _):
        sent: dict[str, int] = {}
        page.on("response", lambda answer: sent.update({answer.url: len(gzip.compress(answer.body()))}))
        page.goto(f"{served}index.html")
        page.wait_for_load_state("networkidle")
        assert 100_000 < sum(sent.values()) < 500_000, sent


def test_hostile_text_is_shown_as_text(browser: Browser, base: str, site: Path) -> None:
    hostile = next(path for path in (site / "runs").iterdir() if "octocat" in path.read_text())
    with opened(browser) as (page, wrong):
        for path in (f"runs/{hostile.name}", "index.html", "checks.html", "runs.html"):
            page.goto(base + path)
            page.wait_for_load_state("networkidle")
            assert page.locator("script:text('alert(1)')").count() == 0
            assert page.locator("img[src=x], .kvm-e2e b:has-text('bold')").count() == 0
            assert "alert(1)" in page.locator(".kvm-e2e").first.inner_text(), samples.HOSTILE
        assert not wrong
