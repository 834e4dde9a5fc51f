"""What a run produced: frozen values that alone cross from running to telling (schema ``kvm-e2e/result/v1``).

Standard library only. `result_file` turns them into JSON and back.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from kvm_action.errors import FailureClass

SCHEMA: Final = "kvm-e2e/result/v1"


class Outcome(StrEnum):
    """How a run ended."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    INTERRUPTED = "interrupted"


class StepName(StrEnum):
    """The eleven steps, and what happens around them, in the order in which they are told."""

    PREREQUISITES = "prerequisites"
    OVERLAY = "overlay"
    SEED = "seed"
    LAUNCH = "launch"
    NETWORK = "network"
    SSH = "ssh"
    COPY = "copy"
    PROVISION = "provision"
    VALIDATE = "validate"
    IDEMPOTENCE = "idempotence"
    SNAPSHOT = "snapshot"
    EVIDENCE = "evidence"
    REPORT = "report"
    CLEANUP = "cleanup"


class StepOutcome(StrEnum):
    """How a step ended. ``error`` is the host's or ours, ``failed`` the thing under test."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"
    INTERRUPTED = "interrupted"


class CheckOutcome(StrEnum):
    """How a check ended. ``error``: it could not be carried out."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why a run did not pass."""

    failure_class: FailureClass
    step: StepName
    message: str
    hint: str = ""
    stage: str = ""
    """For a boot that sticks: the boot stage that was reached."""
    evidence: tuple[str, ...] = ()
    """The lines that show it best (console, script output), last one last."""


@dataclass(frozen=True, kw_only=True)
class StepResult:
    """One step: when, how long (seconds), how it ended, and one line of detail."""

    name: StepName
    outcome: StepOutcome
    started_at: datetime
    seconds: float
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """One assertion about the guest. ``message`` is a sentence; ``expected``/``actual`` are short texts."""

    name: str
    kind: str
    outcome: CheckOutcome
    seconds: float
    expected: str = ""
    actual: str = ""
    message: str = ""
    line: int = 0
    """The line of the plan that asks for it, from 1; 0 when it is not known."""
    section: str = ""
    """What the plan groups it under in reports; empty for none."""


@dataclass(frozen=True, kw_only=True)
class Milestones:
    """Seconds from the domain's start to each moment of its boot; None where it was not seen."""

    agent: float | None = None
    """The guest agent of a machine that was started from a template answers."""
    identity: float | None = None
    """That machine has become another one, and has proved it."""
    firmware: float | None = None
    kernel: float | None = None
    userspace: float | None = None
    network: float | None = None
    port_open: float | None = None
    ssh_authenticated: float | None = None
    cloud_init_done: float | None = None


@dataclass(frozen=True, kw_only=True)
class PlanInfo:
    """Which plan: its name, where it was read from, and a sha256 of its canonical form."""

    name: str
    digest: str
    path: str = ""
    script_digest: str = ""
    """sha256 of the script and the files it came with; empty when the run ended before they were copied."""


@dataclass(frozen=True, kw_only=True)
class StartInfo:
    """How the machine was started, and why in this way."""

    mode: str
    reason: str = ""
    template: str = ""
    """The key of the template that it was started from, empty for a boot."""
    clock_difference: float | None = None
    """Guest minus host in seconds, as it was proved after a start from a template."""


@dataclass(frozen=True, kw_only=True)
class AccelInfo:
    """``kvm``, ``tcg`` or ``none`` (containers), and why."""

    name: str
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class HostInfo:
    """The testbed. Results are only ever compared within one ``fingerprint``."""

    fingerprint: str
    os: str = ""
    kernel: str = ""
    cpu: str = ""
    cpus: int = 0
    memory_bytes: int = 0
    libvirt: str = ""
    hypervisor: str = ""


@dataclass(frozen=True, kw_only=True)
class ImageInfo:
    """The base image that the run started from."""

    name: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class GuestInfo:
    """What ran inside."""

    os: str = ""
    kernel: str = ""
    hostname: str = ""
    address: str = ""


@dataclass(frozen=True, kw_only=True)
class Change:
    """One difference that a second run of the script made. ``diff`` is a small unified diff, or empty."""

    area: str
    item: str
    before: str
    after: str
    diff: str = ""


@dataclass(frozen=True, kw_only=True)
class Idempotence:
    """The second run of the script: exit status, seconds, what it changed."""

    exit: int
    seconds: float
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, kw_only=True)
class NotTestable:
    """Something that a machine of this kind cannot do, and why: nothing was learnt of it."""

    what: str
    why: str


@dataclass(frozen=True, kw_only=True)
class SnapshotInfo:
    """A snapshot that was taken. Times in UTC, sizes in bytes."""

    name: str
    parent: str | None
    created: datetime
    created_by: str
    method: str
    memory: bool
    seconds: float
    bytes: int = 0
    """Of its memory."""
    state: str = ""
    """Of the machine in it: ``running``."""
    verified: bool = False
    """Found again after it was taken, on a host where going back works; or the machine did go back to it."""
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Measures:
    """What the run cost, where it could be measured. Bytes and seconds."""

    memory_peak_bytes: int | None = None
    memory_own_bytes: int | None = None
    """At the end: the pages that only this QEMU has, or the anonymous ones of the container's processes."""
    disk_bytes: int | None = None
    tool_memory_peak_bytes: int | None = None
    provision_seconds: float | None = None
    overhead_seconds: float | None = None
    """Total minus the script's own time."""
    queued_seconds: float | None = None
    """Waiting for other runs to free memory, CPUs or disk."""


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A file in the run's output folder; ``path`` is relative to it."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """Everything that a run is told by."""

    id: str
    plan: PlanInfo
    outcome: Outcome
    backend: str
    started_at: datetime
    seconds: float
    tool_version: str
    failure: Failure | None = None
    accel: AccelInfo | None = None
    start: StartInfo | None = None
    host: HostInfo | None = None
    image: ImageInfo | None = None
    guest: GuestInfo | None = None
    steps: tuple[StepResult, ...] = ()
    milestones: Milestones = field(default_factory=Milestones)
    checks: tuple[CheckResult, ...] = ()
    idempotence: Idempotence | None = None
    snapshots: tuple[SnapshotInfo, ...] = ()
    measures: Measures = field(default_factory=Measures)
    not_testable: tuple[NotTestable, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    script_tail: tuple[str, ...] = ()
    """The last lines that the script printed, terminal escapes removed."""
    exit_code: int = 0
    schema: str = SCHEMA
