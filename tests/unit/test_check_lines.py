"""Each check's result knows its line of the plan, so that whoever tells of it can point there."""

from pathlib import Path

import pytest
from fakes import FakeGuest

from kvm_action.errors import CheckError
from kvm_action.events import CheckFinished
from kvm_action.lifecycle.context import RunContext
from kvm_action.lifecycle.steps import validate
from kvm_action.output import Mask
from kvm_action.plan.load import load_plan
from kvm_action.results import CheckResult

PLAN = """\
provision: {run: 'true'}
checks:
  - command: {run: echo yes, exit: 0}

  - command:
      run: echo no
      exit: 1
"""


class Lenient:
    """As much of a machine as the checks ask for: one that excuses nothing."""

    def excuse(self, result: CheckResult) -> CheckResult:
        return result


def test_a_result_has_the_line_of_its_check(tmp_path: Path) -> None:
    (tmp_path / "plan.yml").write_text(PLAN)
    events = []
    context = RunContext(
        id="x",
        loaded=load_plan(tmp_path / "plan.yml"),
        machine=Lenient(),
        sink=events.append,
        out=tmp_path,
        mask=Mask(()),
    )
    context.guest = FakeGuest({"echo": "said"})
    with pytest.raises(CheckError):
        validate(context)
    assert [check.line for check in context.checks] == [3, 5]
    assert [event.result.line for event in events if isinstance(event, CheckFinished)] == [3, 5]
