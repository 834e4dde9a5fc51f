"""The examples are what people copy: their plans are right."""

from pathlib import Path

import pytest

from kvm_action.plan.load import load_plan

EXAMPLES = Path(__file__).parents[2] / "examples"
PLANS = sorted(EXAMPLES.glob("*/plan.yml"))


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.parent.name)
def test_an_example_has_a_plan_that_can_be_run(path: Path) -> None:
    loaded = load_plan(path)
    assert loaded.plan.checks
    assert loaded.plan.name == path.parent.name


def test_the_workstation_is_checked_in_five_groups_of_which_none_is_empty() -> None:
    sections = [check.section for check in load_plan(EXAMPLES / "vps/plan.yml").plan.checks]
    assert list(dict.fromkeys(sections)) == [
        "User configuration",
        "System packages",
        "Desktop environment",
        "RDP server",
        "IDE installations",
    ]
