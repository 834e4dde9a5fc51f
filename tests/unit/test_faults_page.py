"""The page of faults names tests that are there, and shows runs of these tests."""

import ast
from pathlib import Path

import pytest
from fault_rows import Row, rows

E2E = Path(__file__).parents[1] / "e2e"


def names_in(module: str) -> list[str]:
    nodes = ast.walk(ast.parse((E2E / f"{module}.py").read_text()))
    return [node.name for node in nodes if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.fault[:40])
def test_a_row_names_tests_that_are_there(row: Row) -> None:
    assert row.tests
    for module, words in row.tests:
        assert any(words in name for name in names_in(module)), f"{module} has no test with {words!r}"


@pytest.mark.parametrize("row", [row for row in rows() if row.shown], ids=lambda row: row.shown)
def test_the_run_that_a_row_shows_is_one_of_its_tests(row: Row) -> None:
    names = {name.removeprefix("test_")[:63] for module, _ in row.tests for name in names_in(module)}
    assert [row.shown in name for name in names].count(True) == 1


def test_most_rows_ask_for_a_run_to_be_shown() -> None:
    assert sum(bool(row.shown) for row in rows()) > 25
