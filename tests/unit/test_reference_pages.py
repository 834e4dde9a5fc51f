"""The pages about environment variables and about a run's output folder have what the code has."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from kvm_action import results
from kvm_action.backends.evidence import COMMANDS
from kvm_action.errors import FailureClass
from kvm_action.lifecycle.files import OF_A_RUN, TOLD_ELSEWHERE
from kvm_action.lifecycle.provenance import PACKAGES

REPOSITORY = Path(__file__).parents[2]
ENVIRONMENT = (REPOSITORY / "site/guide/environment.md").read_text()
OUTPUT = (REPOSITORY / "site/guide/output.md").read_text()
VARIABLE = re.compile(r'"((?:GITHUB|RUNNER|KVM_E2E|XDG|LIBVIRT|DOCKER)_[A-Z_]+)"')
WE_SET_THEM = {"RUNNER_TRACKING_ID", "XDG_CONFIG_HOME"}
PARTS = {
    "plan": results.PlanInfo,
    "accel": results.AccelInfo,
    "start": results.StartInfo,
    "host": results.HostInfo,
    "image": results.ImageInfo,
    "guest": results.GuestInfo,
    "steps": results.StepResult,
    "checks": results.CheckResult,
    "measures": results.Measures,
    "not_testable": results.NotTestable,
    "artifacts": results.Artifact,
}


def variables_of_the_code() -> set[str]:
    files = (*(REPOSITORY / "kvm_action").rglob("*.py"), REPOSITORY / "tools/start_action.py")
    return {name for path in files for name in VARIABLE.findall(path.read_text())} - WE_SET_THEM


def first_column(page: str) -> set[str]:
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row.split(" | ")[0])}


def row(field: str) -> str:
    return next(line for line in OUTPUT.splitlines() if line.startswith(f"| `{field}`"))


@pytest.mark.parametrize("name", sorted(variables_of_the_code()))
def test_a_variable_that_is_read_is_explained(name: str) -> None:
    assert name in first_column(ENVIRONMENT)


def test_a_variable_that_is_explained_is_read() -> None:
    others = {"TMPDIR", "PATH", "SITE_URL"}
    assert first_column(ENVIRONMENT) - others == variables_of_the_code()


def test_every_file_of_a_run_is_explained() -> None:
    folders = {"guest", "artifacts", "screenshots"}
    files = {*TOLD_ELSEWHERE, *OF_A_RUN, *COMMANDS, Path(PACKAGES).name} - folders | {f"{one}/" for one in folders}
    in_tables = first_column(OUTPUT.split("## result.json")[0])
    assert in_tables == files


def test_every_field_of_a_result_is_explained() -> None:
    in_table = first_column(OUTPUT.split("## result.json")[1])
    assert in_table == {field.name for field in fields(results.RunResult)}


@pytest.mark.parametrize("part", PARTS)
def test_every_field_of_a_part_is_named(part: str) -> None:
    for field in fields(PARTS[part]):
        assert f"`{field.name}`" in row(part), field.name


def test_every_class_of_failure_is_named() -> None:
    told = OUTPUT.split("`failure.class` is one of")[1]
    assert {str(one) for one in FailureClass} <= set(re.findall(r"`([^`]+)`", told))
