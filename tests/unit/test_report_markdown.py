"""report.md as GitHub shows it: rendered by GitHub's own Markdown library, then looked at."""

from dataclasses import replace

import cmarkgfm
import pytest
import samples
from cmarkgfm.cmark import Options
from hypothesis import given
from hypothesis import strategies as st
from lxml import html as lxml_html
from samples import HOSTILE

from kvm_action.report import gfm
from kvm_action.report.markdown import Section, fit, markdown
from kvm_action.results import RunResult
from kvm_action.text import plain_line

OURS = {"table", "thead", "tbody", "tr", "th", "td", "details", "summary", "pre", "code", "strong", "p", "div",
        "h2", "h3", "ul", "li", "em"}  # fmt: skip


def page(text: str) -> lxml_html.HtmlElement:
    rendered = cmarkgfm.github_flavored_markdown_to_html(text, options=Options.CMARK_OPT_UNSAFE)
    return lxml_html.fromstring(f"<div>{rendered}</div>")


def words(element: lxml_html.HtmlElement) -> str:
    return element.text_content().replace("\u200b", "")


def test_hostile_text_makes_no_link_no_picture_and_no_markup() -> None:
    shown = page(markdown(samples.hostile_run()))
    assert {element.tag for element in shown.iter()} <= OURS


def test_hostile_text_is_shown_letter_by_letter() -> None:
    shown = page(markdown(samples.hostile_run()))
    cells = [words(cell) for cell in shown.iter("td")]
    assert plain_line(HOSTILE, 300) in cells


def test_hostile_text_moves_nothing_into_another_column() -> None:
    for table in page(markdown(samples.hostile_run())).iter("table"):
        assert len({len(row) for row in table.iter("tr")}) == 1


def test_the_order_is_what_broke_then_why_then_the_rest() -> None:
    titles = [words(title) for title in page(markdown(samples.failed_check_run())).iter("h2", "h3")]
    assert titles[0] == "❌ vps: failed in validate"
    assert titles[1] == "What does not hold"


@given(st.text())
def test_any_text_at_all_is_one_paragraph_of_itself(text: str) -> None:
    shown = page(f"before {gfm.escape(text)} after")
    assert [element.tag for element in shown] == ["p"]
    assert len(shown[0]) == 0


@given(st.text(alphabet="#+-=1.) \tabc*_`~|<>&@:/[]!\\", min_size=1))
def test_no_text_at_a_lines_start_becomes_a_heading_or_a_list(text: str) -> None:
    escaped = gfm.escape(text.strip())
    tags = {element.tag for element in page(escaped).iter()}
    assert tags <= {"div", "p"}


@given(st.lists(st.text(alphabet="`~ a\n", max_size=30), min_size=1))
def test_no_line_closes_the_block_it_stands_in(lines: list[str]) -> None:
    shown = page(f"{gfm.fence(lines)}\n\nafter")
    assert [element.tag for element in shown] == ["pre", "p"]


@pytest.mark.parametrize("mention", ["@octocat", "#12", "GH-12", "org/repo#12", "a@b.example"])
def test_nobody_is_mentioned_and_no_issue_is_linked(mention: str) -> None:
    escaped = gfm.escape(mention)
    assert "\u200b" in escaped
    assert words(page(escaped)).strip() == mention


@pytest.mark.parametrize("limit", [30_000, 20_000, 5_000])
@pytest.mark.parametrize("run", [samples.large_run(), samples.hostile_run()], ids=["large", "hostile"])
def test_a_limit_is_kept_and_what_broke_survives_it(run: RunResult, limit: int) -> None:
    text = markdown(run, limit)
    assert len(text.encode()) <= limit
    assert "failed in validate" in text
    assert "Cut to fit here" in text


def test_when_room_is_short_failed_checks_come_before_the_rest() -> None:
    text = markdown(samples.large_run(), 40_000)
    assert "What does not hold" in text
    assert "Cannot read private key file" in text
    assert "package p400" not in text


def test_a_report_that_fits_is_not_cut() -> None:
    run = samples.failed_check_run()
    assert markdown(run, 1_000_000) == markdown(run)


def test_the_worthiest_section_chooses_first_and_order_is_kept() -> None:
    sections = [Section("b", 2, ("B" * 300,)), Section("a", 1, ("A" * 500, "A"))]
    cut = fit(sections, 750)
    assert cut.startswith("B" * 300 + "A_Cut")
    assert "a." in cut


def test_a_fence_is_longer_than_any_in_the_output() -> None:
    run = replace(samples.passed_run(), script_tail=("````", "`````"))
    assert "``````\n````\n`````\n``````" in markdown(run)
