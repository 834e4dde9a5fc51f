"""Running the script a second time, when the plan says that this must change nothing."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from kvm_action.errors import E2EError, FailureClass
from kvm_action.guest import Skipped
from kvm_action.guest_state import Watched, capture, capture_again, differences
from kvm_action.lifecycle.context import RunContext
from kvm_action.lifecycle.provision import StillRunningError, how, run_script
from kvm_action.results import Change, Idempotence, StepName
from kvm_action.units import format_seconds

_TOLD: Final = 3
"""Changes whose difference stands with the failure; the report has all of them."""
_DIFF_LINES: Final = 5
_BEHIND: Final = {f"/etc/{name}" for name in ("passwd", "group", "shadow", "gshadow", "subuid", "subgid")}
"""Files that only tell once more what is told of users and groups."""


class IdempotenceError(E2EError):
    """The script fails the second time, or changes the machine again."""

    failure_class = FailureClass.IDEMPOTENCE


def idempotence(context: RunContext) -> str:
    """The `idempotence` step: state, script, state again."""
    wanted = context.loaded.plan.provision.idempotent
    if wanted is None:
        raise Skipped("the plan does not ask for it")
    watched = Watched(wanted.paths, wanted.ignore)
    before = capture(context.guest, watched)
    try:
        ended, seconds = run_script(context, "provision-again.log", StepName.IDEMPOTENCE)
    except StillRunningError as error:
        raise IdempotenceError(
            f"run again, {error.message}",
            "its last lines show where it hung; the first run had not",
        ) from error
    changes = differences(before, capture_again(context.guest, watched, before), context.mask.hide_text)
    context.idempotence = Idempotence(exit=ended.status, seconds=round(seconds, 3), changes=changes)
    if not ended.ok:
        raise IdempotenceError(
            f"the script {how(ended)} when it was run again", "see provision-again.log for its words"
        )
    if changes:
        raise IdempotenceError(
            f"run again, the script changed the machine ({len(changes)}): {tell(changes[0])}",
            "the report lists all of them; what may change goes into provision.idempotent.ignore",
        )
    return f"exit 0, {format_seconds(seconds)}, nothing changed"


def tell(change: Change) -> str:
    """A change in a few words."""
    if change.before == "absent":
        return f"{change.area} {change.item} was added"
    if change.after == "absent":
        return f"{change.area} {change.item} was removed"
    return f"{change.area} {change.item} is different"


def telling_lines(changes: Sequence[Change]) -> tuple[str, ...]:
    """The first changes with the beginnings of their differences, as the evidence of a failure.

    A user or a group that is told already is not told again by its files.
    """
    telling = sorted(changes, key=lambda change: change.item in _BEHIND)
    return tuple(line for change in telling[:_TOLD] for line in _lines(change))


def _lines(change: Change) -> Iterator[str]:
    yield tell(change)
    changed = (line for line in change.diff.splitlines() if line[:1] in ("+", "-", "("))
    yield from islice(changed, _DIFF_LINES)
