"""The site as mkdocs makes it: no link leads nowhere, nothing comes from elsewhere, nothing can be injected."""

import gzip
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from time import perf_counter
from urllib.parse import unquote, urldefrag, urlsplit

import histories
import lxml.html
import pytest
import samples

from kvm_action import proc
from kvm_action.history.entry import Origin
from kvm_action.history.store import History

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parent.parent.parent
LIMIT = timedelta(minutes=3)


def site_of(history: Path, out: Path, *, cwd: Path = ROOT, strict: bool = True) -> Path:
    argv = [sys.executable, "-m", "kvm_action", "site", "build", "--in", history, "--to", out]
    ended = proc.run([*argv, "--strict"] if strict else argv, cwd=cwd, timeout=LIMIT)
    assert ended.ok, ended.stdout + ended.stderr
    return out


def test_without_a_configuration_or_a_place_the_site_is_made_here(tmp_path: Path) -> None:
    histories.fill(tmp_path / "history", 1)
    ended = proc.run([sys.executable, "-m", "kvm_action", "site", "build"], cwd=tmp_path, timeout=LIMIT)
    assert ended.ok, ended.stdout + ended.stderr
    assert (tmp_path / "_site/index.html").exists()


def test_the_first_words_of_the_site_name_the_image_that_broke(tmp_path: Path) -> None:
    red, green = (histories.run_at(number, 1.0, base=base) for number, base in
                  enumerate((samples.failed_check_run(), samples.passed_run())))  # fmt: skip
    histories.keep(tmp_path / "history", replace(red, image=replace(red.image, name="debian-12")), green)
    made = site_of(tmp_path / "history", tmp_path / "_site")
    assert "<h1>vps is broken on debian-12</h1>" in (made / "index.html").read_text()


def hostile_history(folder: Path) -> History:
    history = History(folder)
    evil = samples.HOSTILE
    for number, base in enumerate((samples.passed_run(), samples.hostile_run(), samples.plan_error_run())):
        run = histories.run_at(number, 10.0, base=base)
        origin = Origin(
            repository=evil, commit=evil, ref=evil, commit_url="javascript:alert(1)", run_url=f"https://x/{evil}"
        )
        packages = history.keep("packages", f"{evil} {evil}\napt {number}\n".encode(errors="replace"), "")
        history.add(
            histories.entry(run, origin=origin, packages=packages, pictures=("../../etc",), console_tail=(evil,))
        )
    history.add(histories.entry(replace(samples.hostile_run(), id=evil)))
    some = next((folder / "runs").rglob("*.json"))
    (folder / "runs" / "“><img src=x>{{7*7}}.json").write_text(some.read_text())
    (folder / "runs" / "<script>.json").write_text("{")
    return history


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    histories.fill(folder / "history", 40)
    hostile_history(folder / "history")
    panicked = samples.hostile_run()
    panicked = replace(panicked, plan=replace(panicked.plan, name="a_kernel_panic_is_named"))
    histories.keep(folder / "history/examples", panicked)
    return site_of(folder / "history", folder / "_site")


def pages(site: Path) -> Iterator[tuple[Path, lxml.html.HtmlElement]]:
    for path in sorted(site.rglob("*.html")):
        if path.name != "404.html":  # served for any address, so its own are absolute
            yield path, lxml.html.parse(str(path), lxml.html.HTMLParser(encoding="utf-8")).getroot()


def addresses(page: lxml.html.HtmlElement) -> Iterator[tuple[str, str]]:
    for element in page.iter("a", "link", "script", "img"):
        for name in ("href", "src"):
            if address := element.get(name):
                yield element.tag, address


def test_every_link_leads_somewhere_and_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    anchors = {path: {one.get("id") for one in page.iter() if one.get("id")} for path, page in pages(site)}
    for path, page in pages(site):
        for tag, address in addresses(page):
            parts = urlsplit(address)
            if parts.scheme:
                assert tag == "a", f"{path.name} fetches {address}"
                assert parts.scheme in {"http", "https"}, f"{path.name} links {address}"
                continue
            target, fragment = urldefrag(address)
            file = (path.parent / unquote(target)).resolve() if target else path
            file = file / "index.html" if file.is_dir() else file
            assert file.is_file(), f"{path.relative_to(site)} links {address}"
            assert file.is_relative_to(site.resolve())
            if fragment and file in anchors and not fragment.startswith("__"):
                assert fragment in anchors[file], f"{path.relative_to(site)} links {address}"


def test_every_run_has_a_page_that_can_be_reached_by_links_alone(site: Path) -> None:
    reached, wanted = set(), [site / "index.html"]
    while wanted:
        path = wanted.pop().resolve()
        if path in reached or path.suffix != ".html" or not path.is_file():
            continue
        reached.add(path)
        page = lxml.html.parse(str(path), lxml.html.HTMLParser(encoding="utf-8")).getroot()
        found = (urldefrag(one.get("href"))[0] for one in page.iter("a") if one.get("href"))
        wanted += [path.parent / unquote(address) for address in found if address and "://" not in address]
    assert {path.resolve() for path in (site / "runs").iterdir()} <= reached
    assert len(list((site / "runs").iterdir())) == 40 + 5


def inline_scripts(page: lxml.html.HtmlElement) -> set[str]:
    return {
        script.text_content()
        for script in page.iter("script")
        if not script.get("src") and script.get("type") != "application/json"
    }


def test_hostile_text_injects_nothing_into_any_page(site: Path, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    calm = dict(pages(site_of(tmp_path / "none", tmp_path / "calm")))
    known = {script for page in calm.values() for script in inline_scripts(page)}
    for path, page in pages(site):
        where = path.relative_to(site)
        assert inline_scripts(page) <= known, where
        for script in page.iter("script"):
            if script.get("type") == "application/json":
                json.loads(script.text_content())
        for element in page.iter():
            if isinstance(element.tag, str):
                assert not [name for name in element.attrib if name.startswith("on")], where
        assert not [
            image.get("src")
            for image in page.iter("img")
            if not image.get("src").startswith("../pictures/") and "images/" not in image.get("src")
        ], where
        assert not [link for link in page.iter("a") if "evil.example" in urlsplit(link.get("href") or "").netloc]
    assert "7*7" in (site / "index.html").read_text() + (site / "runs.html").read_text()


def test_no_file_of_the_site_holds_what_a_terminal_or_a_reader_could_be_fooled_by(site: Path) -> None:
    for path in (*site.rglob("*.html"), site / "assets/kvm-e2e/runs.js", site / "search/search_index.json"):
        bad = set(path.read_text(encoding="utf-8")) & {"\x00", "\x07", "\x1b", "\u202e", "\ufffe"}
        assert not bad, path


def test_the_table_of_runs_and_the_search_have_every_run_as_text(site: Path) -> None:
    script = (site / "assets/kvm-e2e/runs.js").read_text()
    assert "<" not in script
    rows = json.loads(script.removeprefix("window.kvmE2eRuns=").removesuffix(";\n"))
    assert len(rows) == 45
    assert all((site / row[0]).is_file() for row in rows)
    documents = json.loads((site / "search/search_index.json").read_text())["docs"]
    assert len([one for one in documents if one["location"].startswith("runs/")]) == 45
    assert not [one for one in documents if "<script" in one["title"] + one["text"]]


def test_a_broken_file_is_named_on_the_first_page(site: Path) -> None:
    assert "&lt;script&gt;.json" in (site / "index.html").read_text()


def test_there_is_a_site_before_there_is_a_run(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    made = site_of(tmp_path / "none", tmp_path / "site")
    assert "No runs yet" in (made / "index.html").read_text()
    for name in ("benchmarks.html", "runs.html", "checks.html"):
        assert re.search(r"\b[Nn]o (green )?runs?\b", (made / name).read_text())


def test_a_repository_without_mkdocs_yml_gets_a_site_too(tmp_path: Path) -> None:
    histories.keep(tmp_path / "history", samples.passed_run())
    made = site_of(tmp_path / "history", tmp_path / "site", cwd=tmp_path)
    assert (made / "runs/20260314-120231-3f9a1c.html").is_file()
    assert "provision" in (made / "plan.html").read_text()
    assert "kvm-e2e history add" in (made / "commands.html").read_text()


def test_a_page_shows_an_example_which_counts_for_nothing(site: Path) -> None:
    links = [one for path, page in pages(site) for one in page.iter("a") if one.text == "run"]
    assert [one.get("title") for one in links] == ["a_kernel_panic_is_named: failed"]
    shown = (site / links[0].get("href")).read_text()
    assert "All runs" in shown
    assert "What changed" not in shown
    assert "a_kernel_panic_is_named" not in (site / "assets/kvm-e2e/runs.js").read_text()


def test_a_run_page_tells_the_story_and_where_it_came_from(site: Path) -> None:
    page = next(page for path, page in pages(site) if path.name == f"{histories.run_at(1, 1).id}.html")
    text = page.text_content()
    for heading in (
        "What does not hold",
        "Where the time went",
        "Snapshots",
        "The console's last lines",
        "What changed",
    ):
        assert heading in text
    (title,) = page.xpath("//title")
    assert "Failed" in title.text_content()
    assert page.xpath("count(//h1)") == 1


def test_a_thousand_runs_make_a_site_in_less_than_a_minute(tmp_path: Path) -> None:
    histories.fill(tmp_path / "history", 1000)
    begun = perf_counter()
    made = site_of(tmp_path / "history", tmp_path / "site")
    assert perf_counter() - begun < 60
    assert len(list((made / "runs").iterdir())) == 1000
    first = [made / "index.html", *(made / "assets/kvm-e2e").glob("*.*"), *made.glob("assets/*/*.min.*s")]
    sent = {path.name: len(gzip.compress(path.read_bytes())) for path in first if path.name != "runs.js"}
    assert sum(sent.values()) < 500_000, sent
