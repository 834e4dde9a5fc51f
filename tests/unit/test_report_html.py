"""report.html: safe with any text, whole in one file, readable by everyone."""

import re
from dataclasses import replace

import pytest
import samples
from lxml import html as lxml_html
from samples import HOSTILE

from kvm_action.report.html import html, prose
from kvm_action.report.view import Picture
from kvm_action.results import RunResult
from kvm_action.text import plain_line

RUNS = {
    "passed": samples.passed_run(),
    "failed-provision": samples.failed_provision_run(),
    "failed-check": samples.failed_check_run(),
    "sections": samples.sectioned_run(),
    "stuck-boot": samples.stuck_boot_run(),
    "interrupted": samples.interrupted_run(),
    "plan-error": samples.plan_error_run(),
    "hostile": samples.hostile_run(),
}
every_run = pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)


def page(run: RunResult) -> lxml_html.HtmlElement:
    return lxml_html.document_fromstring(html(run))


@every_run
def test_the_page_runs_nothing_and_asks_for_nothing(run: RunResult) -> None:
    shown = page(run)
    assert not shown.xpath("//script | //link | //iframe | //object | //embed | //form | //base")
    assert not shown.xpath("//@*[starts-with(name(), 'on')]")
    assert not [where for where in shown.xpath("//@src | //@href") if not re.match(r"\./|#|data:image/", where)]
    assert "url(" not in html(run)
    assert "@import" not in html(run)
    assert "default-src 'none'" in shown.xpath("//meta[@http-equiv='Content-Security-Policy']/@content")[0]


def test_hostile_text_is_shown_letter_by_letter() -> None:
    shown = page(samples.hostile_run())
    details = [element.text_content() for element in shown.xpath("//*[@class='detail']")]
    assert details[0] == plain_line(HOSTILE, 300)
    assert "\x1b" not in html(samples.hostile_run())


@every_run
def test_what_broke_stands_before_everything_else(run: RunResult) -> None:
    shown = page(run)
    assert len(shown.xpath("//h1")) == 1
    hero = shown.xpath("//header")[0].text_content()
    if run.failure:
        assert plain_line(run.failure.hint).replace("`", "")[:40] in hero.replace("`", "")
        assert len(shown.xpath("//header//pre/span")) >= min(1, len(run.failure.evidence))


def test_failed_checks_come_before_those_that_hold() -> None:
    text = page(samples.failed_check_run()).text_content()
    assert text.index("Service xrdp should be running") < text.index("Package geany 2.0-2 is installed")


def test_the_plans_sections_are_told_first_and_head_their_checks() -> None:
    shown = page(samples.sectioned_run())
    told = [" ".join(item.text_content().split()) for item in shown.xpath("//ul[@class='groups']/li")]
    assert told == [
        "✓ User configuration 1 passed",
        "✓ System packages 2 passed",
        "✗ RDP server 2 failed",
        "! IDE installations 1 not carried out, 2 passed",
    ]
    assert shown.xpath("//tr[@class='group']/th/text()") == [
        "User configuration",
        "System packages",
        "IDE installations",
    ]
    assert shown.xpath("//article/h3/span[@class='word section']/text()")[:2] == ["RDP server"] * 2


def test_a_plan_without_sections_has_none_in_its_report() -> None:
    assert not page(samples.failed_check_run()).xpath("//ul[@class='groups'] | //tr[@class='group']")


def test_only_files_that_are_there_are_links() -> None:
    shown = lxml_html.document_fromstring(html(samples.passed_run(), present=frozenset({"console.log"})))
    assert shown.xpath("//td/../th/a/@href") == ["./console.log"]


def test_a_file_name_that_looks_like_an_address_is_a_file_beside_the_report() -> None:
    run = samples.passed_run()
    odd = replace(run.artifacts[0], path="javascript:alert(1)")
    shown = page(replace(run, artifacts=(odd,)))
    assert shown.xpath("//td/../th/a/@href") == ["./javascript%3Aalert%281%29"]


def test_pictures_stand_in_the_page_with_words_for_those_who_do_not_see_them() -> None:
    picture = Picture(name="desktop.png", source="data:image/png;base64,AAAA")
    shown = lxml_html.document_fromstring(html(samples.passed_run(), pictures=(picture,)))
    assert shown.xpath("//img/@alt") == ["Screen of the machine: desktop.png"]


@every_run
def test_every_section_has_a_heading_and_no_name_is_given_twice(run: RunResult) -> None:
    shown = page(run)
    names = shown.xpath("//@id")
    assert len(names) == len(set(names))
    assert set(shown.xpath("//section/@aria-labelledby")) <= set(names)


def test_thousands_of_checks_leave_a_page_that_a_phone_can_open() -> None:
    text = html(samples.large_run())
    assert len(text) < 1_000_000
    assert "4506 more are not shown" in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("run `a <b>` now", 'run <code class="unbroken">a &lt;b&gt;</code> now'),
        ("a lone ` stays", "a lone ` stays"),
        ("<b>", "&lt;b&gt;"),
        ("`x`", '<code class="unbroken">x</code>'),
    ],
)
def test_code_in_a_sentence(text: str, shown: str) -> None:
    assert prose(text) == shown


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.2."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def schemes() -> dict[str, str]:
    """The style sheet's parts that set colours, light and dark."""
    page, pair = html(samples.passed_run()), re.compile(r"light-dark\((\S+), (\S+)\)")
    return {"light": pair.sub(r"\1", page), "dark": pair.sub(r"\2", page)}


def colours(scheme: str) -> dict[str, str]:
    root = re.search(r":root \{(.*?)\}", schemes()[scheme], re.DOTALL)
    assert root
    return dict(re.findall(r"--(\w+): (#\w{6})", root[1]))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("colour", ["ink", "soft", "link", "good", "bad", "warn", "stop"])
def test_text_can_be_read_by_people_with_weak_eyes(scheme: str, colour: str) -> None:
    assert contrast(colours(scheme)[colour], colours(scheme)["paper"]) >= 4.5


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("outcome", "tone"), [("passed", "good"), ("failed", "bad"), ("error", "warn"), ("interrupted", "stop")]
)
def test_the_verdict_can_be_read_on_its_own_tint(scheme: str, outcome: str, tone: str) -> None:
    tint = re.search(rf'data-tone="{outcome}"\] {{[^}}]*--tint: (#\w{{6}})', schemes()[scheme])
    assert tint
    for colour in (tone, "ink", "soft"):
        assert contrast(colours(scheme)[colour], tint[1]) >= 4.5
