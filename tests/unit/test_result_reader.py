"""A result may come from anywhere: what the reader takes can be told in every format, all else is one error."""

import json
from functools import cache
from typing import Any

import samples
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kvm_action import result_file
from kvm_action.errors import PlanError
from kvm_action.report.ctrf import ctrf
from kvm_action.report.html import html
from kvm_action.report.junit import junit
from kvm_action.report.markdown import markdown

LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=10),
    st.sampled_from(
        [
            "passed",
            "0001-01-01T00:00:00Z",
            "9999-12-31T23:59:59+14:00",
            "2026-03-14T12:00:00",
            "-1",
            1e308,
            -1e308,
            10**30,
            [],
            {},
            [[]],
        ]
    ),
)
some = settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow])


@cache
def whole() -> str:
    return result_file.dumps(samples.failed_check_run())


def places(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The paths of everything in a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, below in inner for place in places(below, (*path, key)))]


PLACES = [path for path in places(json.loads(result_file.dumps(samples.failed_check_run()))) if path]


def with_changes(changes: list[tuple[tuple[str | int, ...], Any]]) -> str:
    document = json.loads(whole())
    for path, value in changes:
        node = document
        for part in path[:-1]:
            node = node[part] if isinstance(node, (dict, list)) and _has(node, part) else {}
        if isinstance(node, dict) or (
            isinstance(node, list) and isinstance(path[-1], int) and path[-1] < len(node)
        ):
            node[path[-1]] = value
    return json.dumps(document)


def _has(node: Any, part: str | int) -> bool:
    return part in node if isinstance(node, dict) else isinstance(part, int) and part < len(node)


@some
@given(st.lists(st.tuples(st.sampled_from(PLACES), LEAVES), min_size=1, max_size=3))
@example([(("checks", 7, "seconds"), "INF")])
@example([(("checks", 7, "seconds"), "1e308")])
def test_a_result_with_anything_anywhere_is_refused_or_can_be_told(changes: list[tuple[Any, Any]]) -> None:
    try:
        result = result_file.loads(with_changes(changes))
    except PlanError:
        return
    for write in (html, markdown, junit, ctrf):
        assert write(result)
    assert result_file.loads(result_file.dumps(result)) == result


@settings(max_examples=80)
@given(
    st.text(max_size=200) | st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3), max_leaves=5).map(repr)
)
def test_no_text_is_more_than_no_result(text: str) -> None:
    try:
        result_file.loads(text)
    except PlanError:
        return
    raise AssertionError(text)


def test_a_document_nested_without_end_is_no_result() -> None:
    for text in ("[" * 100_000, '{"schema": ' * 50_000):
        try:
            result_file.loads(text)
        except PlanError:
            continue
        raise AssertionError
