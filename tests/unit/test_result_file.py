"""result.json is the only thing that crosses from running to telling: nothing may get lost on the way."""

import dataclasses
import json
import types
import typing
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kvm_action import result_file
from kvm_action.errors import ExitCode, FailureClass, HostError, PlanError
from kvm_action.results import Failure, Outcome, PlanInfo, RunResult, StepName

SCALARS: dict[object, st.SearchStrategy[object]] = {
    str: st.text(max_size=8),
    int: st.integers(-(10**15), 10**15),
    bool: st.booleans(),
    float: st.floats(-1e15, 1e15),
    datetime: st.integers(1, 10**11).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    type(None): st.none(),
}


def values(hint: object) -> st.SearchStrategy[object]:
    """Any value of a field of `results`."""
    arguments = typing.get_args(hint)
    if isinstance(hint, types.UnionType):
        return st.one_of([values(argument) for argument in arguments])
    if typing.get_origin(hint) is tuple:
        return st.lists(values(arguments[0]), max_size=2).map(tuple)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return st.sampled_from(hint)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        fields = typing.get_type_hints(hint)
        fields.pop("schema", None)
        return st.builds(hint, **{name: values(inner) for name, inner in fields.items()})
    return SCALARS[hint]


@pytest.fixture
def result() -> RunResult:
    return RunResult(
        id="20260102-030405-abcd",
        plan=PlanInfo(name="hello", digest="0" * 64),
        outcome=Outcome.FAILED,
        backend="kvm",
        started_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        seconds=12.5,
        tool_version="0.1",
        failure=Failure(failure_class=FailureClass.CHECK, step=StepName.VALIDATE, message="port 80 is closed"),
        exit_code=ExitCode.TEST_FAILED,
    )


def changed(result: RunResult, **keys: object) -> str:
    return json.dumps({**json.loads(result_file.dumps(result)), **keys})


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(values(RunResult))
def test_any_result_comes_back_as_it_was(result: RunResult) -> None:
    assert result_file.loads(result_file.dumps(result)) == result


def test_a_written_result_can_be_read(result: RunResult, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text("an older result")
    result_file.write(result, path)
    assert result_file.read(path) == result
    assert list(tmp_path.iterdir()) == [path]


def test_the_names_of_the_contract_are_in_the_file(result: RunResult) -> None:
    document = json.loads(result_file.dumps(result))
    assert document["schema"] == "kvm-e2e/result/v1"
    assert document["failure"]["class"] == "check"
    assert "failure_class" not in document["failure"]
    assert document["started_at"] == "2026-01-02T03:04:05+00:00"
    assert document["exit_code"] == 1


def test_dates_are_utc_wherever_the_host_is(result: RunResult) -> None:
    east = result.started_at.astimezone(timezone(timedelta(hours=9)))
    document = json.loads(result_file.dumps(dataclasses.replace(result, started_at=east)))
    assert document["started_at"] == "2026-01-02T03:04:05+00:00"


def test_bytes_that_were_no_text_do_not_break_the_file(result: RunResult) -> None:
    broken = dataclasses.replace(result, script_tail=("caf\udce9",))
    assert result_file.loads(result_file.dumps(broken)).script_tail == ("caf?",)


def test_a_folder_that_is_gone_is_the_hosts_fault(result: RunResult, tmp_path: Path) -> None:
    with pytest.raises(HostError, match="could not write"):
        result_file.write(result, tmp_path / "gone" / "result.json")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "not a JSON object"),
        ("{}", "not a result of kvm-e2e"),
        ('{"schema": "kvm-e2e/plan/v1"}', "not a result of kvm-e2e"),
        ('{"schema": "kvm-e2e/result/v2"}', "another version"),
        ('{"schema": "kvm-e2e/result/v1"}', "damaged: id: "),
    ],
)
def test_what_is_no_result_is_named(text: str, said: str) -> None:
    with pytest.raises(PlanError, match=said):
        result_file.loads(text)


def test_a_damaged_field_is_pointed_at(result: RunResult) -> None:
    with pytest.raises(PlanError, match=r"steps\.0\.outcome"):
        result_file.loads(changed(result, steps=[{"name": "ssh", "outcome": "won"}]))


def test_a_key_of_a_later_version_is_left_out(result: RunResult) -> None:
    assert result_file.loads(changed(result, later="thing")) == result


def test_a_missing_file_and_a_picture_are_usage_errors(tmp_path: Path) -> None:
    picture = tmp_path / "result.json"
    picture.write_bytes(b"\x89PNG\xff\xfe")
    for path in (picture, tmp_path / "none.json", tmp_path):
        with pytest.raises(PlanError) as caught:
            result_file.read(path)
        assert caught.value.exit_code == 2
