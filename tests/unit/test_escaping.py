"""Any text at all, wherever a guest or a script can put it, stays text in every format: it does nothing there."""

import io
import json
from collections import Counter
from functools import cache
from xml.etree import ElementTree

import cmarkgfm
import pytest
import samples
from cmarkgfm.cmark import Options
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import html as lxml_html

from kvm_action.report.annotations import Checkout, annotations
from kvm_action.report.ctrf import ctrf
from kvm_action.report.html import html
from kvm_action.report.junit import junit
from kvm_action.report.markdown import markdown
from kvm_action.workflow.commands import annotation_command, command
from kvm_action.workflow.stream import JobLog

PIECES = st.sampled_from([
    "<script>", "</pre>", "<img src=x onerror=y>", "]]>", "&amp;", "&#x3c;", "-->", "<!--", "'", '"', "`",
    "``````", "~~~", "|", "\\", "\n", "\r", "\r\n", "\u2028", "[a](http://x)", "![a](b)",
    "http://x.example", "www.x.example", "@octocat", "#1", "::error::", "##[error]", "%0A::error::",
    "</title>", "{{ 7*7 }}", "{% raw %}", "\x00", "\x1b[2J", "\ud800", "\u202e", "$(x)",
    "\N{ZERO WIDTH SPACE}", "* ", "# ", "- [ ] ", "<details>", ":tada:", "$x$", "\t",
])  # fmt: skip
TEXTS = st.lists(PIECES | st.text(max_size=5), max_size=6).map("".join)
some = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])


def shape_of_html(page: str) -> Counter[str]:
    """Elements with the names of their attributes; lines of output apart, of which a text may have several."""
    root = lxml_html.document_fromstring(page)
    found = Counter(
        f"{element.tag} {sorted(element.attrib)}" for element in root.iter() if isinstance(element.tag, str)
    )
    return Counter({kind: count for kind, count in found.items() if kind.split()[0] not in ("span", "code", "a")})


@cache
def usual_kinds() -> frozenset[str]:
    return frozenset(shape_of_html(html(samples.hostile_run("word"))))


@some
@given(TEXTS)
def test_no_text_makes_an_element_or_an_attribute_in_html(text: str) -> None:
    page = html(samples.hostile_run(text))
    assert set(shape_of_html(page)) <= usual_kinds()
    shown = lxml_html.document_fromstring(page)
    assert not shown.xpath("//script | //img | //iframe | //form | //@*[starts-with(name(), 'on')]")
    assert not [where for where in shown.xpath("//@href | //@src") if not where.startswith(("./", "#"))]


@some
@given(TEXTS)
def test_no_text_makes_a_link_a_picture_or_a_heading_in_markdown(text: str) -> None:
    def page(value: str) -> lxml_html.HtmlElement:
        told = markdown(samples.hostile_run(value))
        rendered = cmarkgfm.github_flavored_markdown_to_html(told, options=Options.CMARK_OPT_UNSAFE)
        return lxml_html.fromstring(f"<div>{rendered}</div>")

    shown, usual = page(text), page("word")
    assert {element.tag for element in shown.iter()} <= {element.tag for element in usual.iter()} | {"code"}
    for tag in ("h1", "h2", "h3", "table", "tr", "details", "summary"):
        assert len(list(shown.iter(tag))) <= len(list(usual.iter(tag))), tag


@some
@given(TEXTS)
def test_no_text_breaks_junit_or_adds_a_case_to_it(text: str) -> None:
    def cases(value: str) -> list[str]:
        return [element.tag for element in ElementTree.fromstring(junit(samples.hostile_run(value))).iter()]

    assert cases(text) == cases("word")


@some
@given(TEXTS)
def test_no_text_breaks_ctrf_or_adds_a_test_to_it(text: str) -> None:
    told = json.loads(ctrf(samples.hostile_run(text)))["results"]
    assert told["summary"] == json.loads(ctrf(samples.hostile_run("word")))["results"]["summary"]


def obeyed(log: str) -> list[str]:
    """The lines that the runner takes for commands."""
    lines = log.replace("\r", "\n").split("\n")
    return [line for line in lines if line.strip().startswith("::") or "##[" in line]


@some
@given(TEXTS)
def test_no_text_makes_a_second_command_of_an_annotation(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    nowhere = tmp_path_factory.getbasetemp()
    for one in annotations(samples.hostile_run(text), Checkout(nowhere, nowhere)):
        line = annotation_command(one)
        assert len(obeyed(line)) == 1
        assert line.startswith(f"::{one.level} ")


@some
@given(TEXTS, TEXTS)
def test_no_text_of_a_property_reaches_another_one_or_the_message(title: str, message: str) -> None:
    line = command("error", message, title=title, file="a")
    _, properties, shown = line.split("::", 2)
    assert properties.count("=") == title.count("=") + (2 if title and "title=" in properties else 1)
    assert "\n" not in shown + properties
    assert "\r" not in shown + properties


@some
@given(st.lists(TEXTS, max_size=5))
def test_no_output_is_obeyed_by_the_runner_however_it_is_cut(pieces: list[str]) -> None:
    stream = io.StringIO()
    log = JobLog(stream)
    for piece in pieces:
        log.write(piece)
    log.end_line()
    assert not obeyed(stream.getvalue())
