"""Whatever stands in a plan, the loader answers with a plan or with mistakes that point; never with a crash."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from kvm_action.errors import PlanError
from kvm_action.plan.load import LoadedPlan, load_plan
from kvm_action.plan.render import InvalidPlanError
from kvm_action.plan.schema import plan_schema

WHOLE = Path(__file__).parents[2] / "examples" / "hello" / "plan.yml"
some = settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
SECRET = "hunter22-secret"


def _keys(node: Any) -> set[str]:
    if isinstance(node, dict):
        return set(node.get("properties", ())) | {key for value in node.values() for key in _keys(value)}
    return {key for value in node for key in _keys(value)} if isinstance(node, list) else set()


KEYS = st.sampled_from(sorted(_keys(plan_schema()))) | st.text(max_size=5)
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12),
    st.sampled_from(["4GiB", "30m", "0644", "debian-12", "99999999999TiB", "999999999h", "../..", "/", "!",
                     "*", "\x00", "\ud83d"]),
)  # fmt: skip
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=6
)


def load(folder: Path, text: str, *overrides: str) -> LoadedPlan | None:
    path = folder / "plan.yml"
    path.write_text(text, errors="replace")
    try:
        return load_plan(path, overrides)
    except InvalidPlanError as error:
        found = error
    except PlanError:
        return None
    check_explanation(found, text.count("\n") + 2)
    return None


def check_explanation(error: InvalidPlanError, lines: int) -> None:
    assert error.problems
    assert all(1 <= problem.span.line <= lines or problem.span.argument for problem in error.problems)
    assert all(character.isprintable() or character == "\n" for character in error.message + error.hint)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("plans")


@some
@given(st.dictionaries(KEYS, VALUES, max_size=5))
def test_any_data_under_the_plans_own_keys_is_read_or_explained(folder: Path, data: dict[str, Any]) -> None:
    load(folder, json.dumps({"provision": {"run": "x"}} | data))


@some
@given(st.lists(st.tuples(st.integers(0, 200), VALUES), min_size=1, max_size=2))
def test_a_good_plan_with_something_else_anywhere_is_read_or_explained(
    folder: Path, changes: list[tuple[int, Any]]
) -> None:
    plan = YAML(typ="safe").load(WHOLE)
    for number, value in changes:
        spots = list(_spots(plan))
        node, key = spots[number % len(spots)]
        node[key] = value
    load(folder, json.dumps(plan))


def _spots(node: Any) -> Any:
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        yield node, key
        if isinstance(value, (dict, list)):
            yield from _spots(value)


@some
@given(st.text(alphabet="{}[]:,-#&*!|>'\"% \n\tab0", max_size=60))
def test_text_made_of_yamls_own_signs_is_read_or_explained(folder: Path, text: str) -> None:
    load(folder, text)


@some
@given(KEYS, KEYS, st.text(max_size=20))
def test_any_override_is_taken_or_explained(folder: Path, part: str, key: str, value: str) -> None:
    load(folder, "provision: {run: x}\n", f"{part}.{key}={value}")


@some
@given(VALUES)
def test_no_mistake_beside_it_shows_a_secret(folder: Path, other: Any) -> None:
    plan = {"provision": {"run": "x", "env": {"TOKEN": SECRET}, "timeout": other}, "user": {"name": other}}
    path = folder / "plan.yml"
    path.write_text(json.dumps(plan), errors="replace")
    try:
        loaded = load_plan(path)
    except PlanError as error:
        told = error.message + error.hint
    else:
        told = repr(loaded)
    assert SECRET not in told


@some
@given(VALUES)
def test_what_is_read_twice_has_the_same_digest(folder: Path, value: Any) -> None:
    text = json.dumps({"provision": {"run": "x"}, "machine": {"memory": value}})
    one, two = load(folder, text), load(folder, text)
    assert (one and one.digest) == (two and two.digest)
