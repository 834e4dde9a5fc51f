"""Running the script a second time, when the plan says that this must change nothing."""

from kvm_action.errors import E2EError, FailureClass
from kvm_action.guest import Skipped
from kvm_action.guest_state import capture, differences
from kvm_action.lifecycle.context import RunContext
from kvm_action.lifecycle.provision import how, run_script
from kvm_action.results import Change, Idempotence, StepName
from kvm_action.units import format_seconds


class IdempotenceError(E2EError):
    """The script fails the second time, or changes the machine again."""

    failure_class = FailureClass.IDEMPOTENCE


def idempotence(context: RunContext) -> str:
    """The `idempotence` step: state, script, state again."""
    if not context.loaded.plan.provision.idempotent:
        raise Skipped("the plan does not ask for it")
    before = capture(context.guest)
    ended, seconds = run_script(context, "provision-again.log", StepName.IDEMPOTENCE)
    changes = differences(before, capture(context.guest))
    context.idempotence = Idempotence(exit=ended.status, seconds=round(seconds, 3), changes=changes)
    if not ended.ok:
        raise IdempotenceError(
            f"the script {how(ended)} when it was run again", "see provision-again.log for its words"
        )
    if changes:
        raise IdempotenceError(
            f"run again, the script changed the machine ({len(changes)}): {tell(changes[0])}",
            "the report lists all of them",
        )
    return f"exit 0, {format_seconds(seconds)}, nothing changed"


def tell(change: Change) -> str:
    """A change in a few words."""
    if change.before == "absent":
        return f"{change.area} {change.item} was added"
    if change.after == "absent":
        return f"{change.area} {change.item} was removed"
    return f"{change.area} {change.item} is different"
