"""One run as the history's tables and figures need it: few plain values, read quickly (so without pydantic)."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import isfinite
from typing import Any, Final

from kvm_action.history.entry import Document, NotAnEntryError
from kvm_action.results import CheckOutcome, Outcome, StepName, StepOutcome

_NOTHING: Final[Document] = {}
_ENVIRONMENT: Final = {StepName.OVERLAY, StepName.SEED, StepName.LAUNCH, StepName.NETWORK, StepName.SSH}


@dataclass(frozen=True, slots=True)
class CheckSeen:
    """A check in one run."""

    name: str
    kind: str
    outcome: CheckOutcome
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A run. ``key`` is the name of its file without suffix, which no other run of the history has."""

    key: str
    id: str
    started_at: datetime
    seconds: float
    outcome: Outcome
    plan: str
    plan_digest: str
    script_digest: str
    backend: str
    accel: str
    start_mode: str
    fingerprint: str
    machine: str
    """The hardware under it: processor, number of them, memory. Sides of a comparison share it."""
    host_kernel: str
    hypervisor: str
    libvirt: str
    image: str
    image_sha256: str
    guest_os: str
    guest_kernel: str
    tool_version: str
    failed_step: str
    failure: str
    rerun_seconds: float | None
    """Of the script's second run."""
    packages: str
    commit: str
    commit_url: str
    run_url: str
    checks: tuple[CheckSeen, ...] = ()
    step_seconds: dict[str, float] = field(default_factory=dict)
    """Of the steps that passed; steps of one name are added up."""
    milestones: dict[str, float] = field(default_factory=dict)
    measures: dict[str, float] = field(default_factory=dict)

    @property
    def is_green(self) -> bool:
        """Did it pass?"""
        return self.outcome is Outcome.PASSED

    @property
    def start_seconds(self) -> float | None:
        """From nothing to a session in the machine that is set up."""
        found = [self.step_seconds[name] for name in _ENVIRONMENT if name in self.step_seconds]
        return sum(found) if StepName.SSH in self.step_seconds else None

    @property
    def busy_seconds(self) -> float:
        """All of the run, without the wait for other runs of the host."""
        return self.seconds - self.measures.get("queued_seconds", 0.0)


def record_of(document: Document, key: str) -> Record:
    """The record in an entry's ``document``. Raises NotAnEntryError when what every run has is not there."""
    result = _part(document, "result")
    plan, image, guest, host = (_part(result, name) for name in ("plan", "image", "guest", "host"))
    failure, origin = _part(result, "failure"), _part(document, "origin")
    return Record(
        key=key,
        id=_text(result, "id") or key,
        started_at=_moment(result.get("started_at")),
        seconds=_number(result.get("seconds")) or 0.0,
        outcome=_outcome(result.get("outcome")),
        plan=_text(plan, "name") or "plan",
        plan_digest=_text(plan, "digest"),
        script_digest=_text(plan, "script_digest"),
        backend=_text(result, "backend"),
        accel=_text(_part(result, "accel"), "name"),
        start_mode=_text(_part(result, "start"), "mode"),
        fingerprint=_text(host, "fingerprint"),
        machine=_machine(host),
        host_kernel=_text(host, "kernel"),
        hypervisor=_text(host, "hypervisor"),
        libvirt=_text(host, "libvirt"),
        image=_text(image, "name"),
        image_sha256=_text(image, "sha256"),
        guest_os=_text(guest, "os"),
        guest_kernel=_text(guest, "kernel"),
        tool_version=_text(result, "tool_version"),
        failed_step=_text(failure, "step"),
        failure=_text(failure, "message"),
        rerun_seconds=_number(_part(result, "idempotence").get("seconds")),
        packages=_text(document, "packages"),
        commit=_text(origin, "commit"),
        commit_url=_text(origin, "commit_url"),
        run_url=_text(origin, "run_url"),
        checks=tuple(_checks(result)),
        step_seconds=_step_seconds(result),
        milestones=_numbers(_part(result, "milestones")),
        measures=_numbers(_part(result, "measures")),
    )


def _checks(result: Document) -> list[CheckSeen]:
    found = []
    for check in _list(result, "checks"):
        try:
            outcome = CheckOutcome(_text(check, "outcome"))
        except ValueError as error:
            raise NotAnEntryError("one of its checks has no outcome that is known") from error
        seconds = _number(check.get("seconds")) or 0.0
        found.append(CheckSeen(_text(check, "name"), _text(check, "kind"), outcome, seconds))
    return found


def _step_seconds(result: Document) -> dict[str, float]:
    found: dict[str, float] = {}
    for step in _list(result, "steps"):
        seconds = _number(step.get("seconds"))
        if step.get("outcome") == StepOutcome.PASSED and seconds is not None and seconds >= 0:
            name = _text(step, "name")
            found[name] = found.get(name, 0.0) + seconds
    return found


def _machine(host: Document) -> str:
    memory = _number(host.get("memory_bytes")) or 0
    facts = (_text(host, "cpu"), f"{_number(host.get('cpus')) or 0:.0f} CPUs", f"{memory / 2**30:.0f} GiB")
    return ", ".join(facts) if facts[0] else ""


def _part(document: Document, name: str) -> Document:
    part = document.get(name)
    if part is None:
        return _NOTHING
    if not isinstance(part, dict):
        raise NotAnEntryError(f'its "{name}" is no object')
    return part


def _list(document: Document, name: str) -> list[Document]:
    found = document.get(name) or []
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise NotAnEntryError(f'its "{name}" is no list of objects')
    return found


def _text(document: Document, name: str) -> str:
    value = document.get(name)
    return value if isinstance(value, str) else ""


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    return value if is_number else None


def _numbers(document: Document) -> dict[str, float]:
    return {name: value for name, value in document.items() if _number(value) is not None}


def _outcome(value: object) -> Outcome:
    try:
        return Outcome(value)  # type: ignore[arg-type]  # whatever JSON holds; what is none raises
    except ValueError as error:
        raise NotAnEntryError('its result has no "outcome" that is known') from error


def _moment(value: object) -> datetime:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None:
        raise NotAnEntryError('its result has no "started_at" that is a date')
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
