"""The steps, each a short function of the run's context that returns its line of detail."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from kvm_action.checks import run_checks
from kvm_action.errors import CheckError, E2EError, FailureClass, RunEndedError
from kvm_action.events import CheckFinished, Note
from kvm_action.guest import Skipped, Tree
from kvm_action.lifecycle.context import RunContext
from kvm_action.lifecycle.files import write_snapshots
from kvm_action.lifecycle.idempotence import idempotence
from kvm_action.lifecycle.provenance import note_packages, script_digest
from kvm_action.lifecycle.provision import provision
from kvm_action.lifecycle.secrets import hide_in
from kvm_action.output import Mask
from kvm_action.plan.model import SnapshotName
from kvm_action.results import CheckOutcome, CheckResult, StepName
from kvm_action.text import counted
from kvm_action.units import format_size
from kvm_action.wait import Deadline

COPY_TIME: Final = timedelta(minutes=10)
_QUICK: Final = timedelta(seconds=1)
"""What an interrupted run still has for all its artifacts: GitHub kills within ten seconds."""
_STILL_THERE: Final = timedelta(seconds=30)
ARTIFACT_LIMIT: Final = 256 << 20


@dataclass(frozen=True)
class Step:
    """A step of the story. Raises Skipped when it has no meaning here, an E2EError when it fails."""

    name: StepName
    act: Callable[[RunContext], str]


def prerequisites(context: RunContext) -> str:
    """Can this host run this plan?"""
    return context.machine.check_host()


def overlay(context: RunContext) -> str:
    """A disk of the run's own."""
    return context.machine.create_disk()


def seed(context: RunContext) -> str:
    """What the guest is told at its first boot."""
    return context.machine.create_seed()


def launch(context: RunContext) -> str:
    """The machine starts."""
    return context.machine.launch()


def network(context: RunContext) -> str:
    """The machine can be reached."""
    return context.machine.wait_for_network()


def ssh(context: RunContext) -> str:
    """The machine can be used."""
    context.guest = context.machine.connect()
    guest = context.machine.facts().guest
    return f"{guest.os}, {guest.kernel}" if guest else ""


def copy(context: RunContext) -> str:
    """The plan's files go in."""
    context.script_digest = script_digest(context.loaded)
    files = context.loaded.plan.files
    if not files:
        raise Skipped("the plan has no files")
    sent = 0
    for item in files:
        tree = Tree(context.loaded.folder / item.source, item.to, tuple(item.exclude))
        sent += context.guest.put(tree, COPY_TIME)
    return f"{format_size(sent)} in {counted(len(files), 'tree')}"


def validate(context: RunContext) -> str:
    """All checks, even when one fails; then the plan's artifacts come out, whatever the checks say."""
    plan = context.loaded.plan
    note_packages(context)

    def on_result(result: CheckResult) -> None:
        told = hidden(context.machine.excuse(result), context.mask)
        context.checks.append(told)
        context.sink(CheckFinished(result=told))

    run_checks(
        context.guest,
        plan.checks,
        folder=context.loaded.folder,
        on_result=on_result,
        lines=[context.loaded.position(("checks", index))[0] for index in range(len(plan.checks))],
        screenshots=context.out / "screenshots",
    )
    if any(each.outcome is CheckOutcome.ERROR for each in context.checks):
        context.guest.run("true", timeout=_STILL_THERE)  # raises: a guest that is gone fails no check
    fetch_artifacts(context)
    bad = [c for c in context.checks if c.outcome in (CheckOutcome.FAILED, CheckOutcome.ERROR)]
    if bad:
        more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
        raise CheckError(
            f"{len(bad)} of {len(context.checks)} checks failed: {bad[0].name}: {bad[0].message}{more}"
        )
    if not context.checks:
        raise Skipped("the plan has no checks")
    return f"{len(context.checks)} checks"


def hidden(result: CheckResult, mask: Mask) -> CheckResult:
    """The same result without the plan's secrets, which a program may have printed."""
    hide = mask.hide_text
    return replace(
        result,
        name=hide(result.name),
        section=hide(result.section),
        expected=hide(result.expected),
        actual=hide(result.actual),
        message=hide(result.message),
    )


def fetch_artifacts(context: RunContext, within: Deadline | None = None) -> None:
    """Copy what the plan calls artifacts; what is missing is a note, not a failure.

    Each may take ``COPY_TIME``, unless there is no more time for all of them than ``within``.
    """
    context.has_artifacts = True
    for pattern in context.loaded.plan.artifacts:
        allowed = COPY_TIME if within is None else timedelta(seconds=within.left)
        if not allowed:
            context.sink(Note(text=f"artifacts {pattern}: no time was left", warning=True))
            continue
        try:
            got = context.guest.get(
                pattern, context.out / "artifacts", limit_bytes=ARTIFACT_LIMIT, timeout=allowed
            )
        except RunEndedError:
            raise
        except E2EError as error:
            context.sink(Note(text=f"artifacts {pattern}: {error.message}", warning=True))
        else:
            for note in got.notes or (() if got else ("nothing matches",)):
                context.sink(Note(text=f"artifacts {pattern}: {note}", warning=True))


def take(name: SnapshotName) -> Callable[[RunContext], str]:
    """A step that takes the snapshot ``name``, if the plan wants it."""

    def snapshot(context: RunContext) -> str:
        if name not in context.loaded.plan.snapshots:
            raise Skipped(f"the plan does not ask for “{name}”")
        parent = context.snapshots[-1].name if context.snapshots else None
        info = context.machine.snapshot(name, parent)
        context.snapshots.append(info)
        write_snapshots(context.snapshots, context.out / "snapshots.json")
        return f"{name}, {info.method}"

    return snapshot


STEPS: Final = (
    Step(StepName.PREREQUISITES, prerequisites),
    Step(StepName.OVERLAY, overlay),
    Step(StepName.SEED, seed),
    Step(StepName.LAUNCH, launch),
    Step(StepName.NETWORK, network),
    Step(StepName.SSH, ssh),
    Step(StepName.SNAPSHOT, take(SnapshotName.CLEAN_BOOT)),
    Step(StepName.COPY, copy),
    Step(StepName.PROVISION, provision),
    Step(StepName.VALIDATE, validate),
    Step(StepName.IDEMPOTENCE, idempotence),
    Step(StepName.SNAPSHOT, take(SnapshotName.PROVISIONED)),
)


def evidence(context: RunContext) -> str:
    """After a failure: everything that helps to understand it."""
    failure = context.failure
    if failure is None:
        raise Skipped("nothing failed")
    quickly = failure.failure_class is FailureClass.INTERRUPTED
    if context.guest_is_open and not context.has_artifacts:
        fetch_artifacts(context, Deadline(_QUICK) if quickly else None)
    if context.guest_is_open and failure.step is StepName.PROVISION and not quickly:
        note_packages(context)
    try:
        return context.machine.collect_evidence(context.out, quickly=quickly)
    finally:  # also what came before a full disk or a signal
        hide_in((context.out / "guest").glob("*"), context.mask)
