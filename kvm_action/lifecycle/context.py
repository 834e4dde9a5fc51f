"""What the steps of one run share. The only mutable thing in the story."""

from dataclasses import dataclass, field
from pathlib import Path

from kvm_action.events import Sink
from kvm_action.guest import Guest, Machine
from kvm_action.output import Mask
from kvm_action.plan.load import LoadedPlan
from kvm_action.results import (
    CheckResult,
    Failure,
    Idempotence,
    SnapshotInfo,
    StepResult,
)


@dataclass(kw_only=True)
class RunContext:
    """Grows from step to step; `story.Story` turns it into the result."""

    id: str
    loaded: LoadedPlan
    machine: Machine
    sink: Sink
    out: Path
    mask: Mask
    _guest: Guest | None = None
    steps: list[StepResult] = field(default_factory=list)
    checks: list[CheckResult] = field(default_factory=list)
    """Those that have ended, in the plan's order."""
    snapshots: list[SnapshotInfo] = field(default_factory=list)
    idempotence: Idempotence | None = None
    script_seconds: float | None = None
    script_tail: tuple[str, ...] = ()
    rerun_tail: tuple[str, ...] = ()
    """The last lines of the script when it was run a second time."""
    script_digest: str = ""
    has_artifacts: bool = False
    """Were the plan's artifacts fetched?"""
    failure: Failure | None = None
    exit_code: int = 0

    @property
    def guest(self) -> Guest:
        """The session; the steps that use it come after the one that opens it."""
        assert self._guest is not None, "a step used the guest before `ssh`"  # noqa: S101 - a slip of ours
        return self._guest

    @guest.setter
    def guest(self, guest: Guest) -> None:
        self._guest = guest

    @property
    def guest_is_open(self) -> bool:
        """Is there a session?"""
        return self._guest is not None
