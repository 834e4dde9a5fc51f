"""The rows of the comparison: what is read out of a run's result for each. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Final

from kvm_action.results import Milestones, RunResult, StepName, StepOutcome

_ENVIRONMENT: Final = (StepName.OVERLAY, StepName.SEED, StepName.LAUNCH, StepName.NETWORK, StepName.SSH)


class Unit(StrEnum):
    """What a row's numbers are."""

    SECONDS = "s"
    BYTES = "bytes"


@dataclass(frozen=True)
class Row:
    """One line of the table. ``least``: a difference below it is nobody's concern; ``says`` which thing it is."""

    key: str
    title: str
    unit: Unit
    value: Callable[[RunResult], float | None]
    least: float
    says: Mapping[str, str]


def _steps(*names: StepName) -> Callable[[RunResult], float | None]:
    def seconds(result: RunResult) -> float | None:
        taken = [s.seconds for s in result.steps if s.name in names and s.outcome is StepOutcome.PASSED]
        return sum(taken) if taken else None

    return seconds


def _seconds(key: str, title: str, value: Callable[[RunResult], float | None], says: str = "") -> Row:
    return Row(key, title, Unit.SECONDS, value, 0.02, {"": says} if says else {})


def _total(result: RunResult) -> float:
    return result.seconds - (result.measures.queued_seconds or 0)


def _milestone(name: str) -> Row:
    def value(result: RunResult) -> float | None:
        seconds: float | None = getattr(result.milestones, name)
        return seconds

    return _seconds(f"milestone_{name}", f"Boot: {name.replace('_', ' ')}", value, "since the machine's start")


_MEMORY_IS: Final = {
    "kvm": "QEMU's resident memory, shared pages included",
    "docker": "the control group's, page cache included",
}
_OWN_IS: Final = {
    "kvm": "what only this QEMU has, at the end",
    "docker": "the anonymous memory of its processes, at the end",
}
_DISK_IS: Final = {"kvm": "the overlay, the seed and a snapshot's memory", "docker": "the container's own layer"}

ROWS: Final = (
    _seconds(
        "environment", "Test environment", _steps(*_ENVIRONMENT), "from nothing to a session in the set-up machine"
    ),
    _seconds("provisioning", "Provisioning", lambda result: result.measures.provision_seconds, "the script alone"),
    _seconds("validation", "Validation", _steps(StepName.VALIDATE)),
    _seconds(
        "rerun",
        "Idempotent re-run",
        lambda result: result.idempotence.seconds if result.idempotence else None,
        "the script alone",
    ),
    _seconds("snapshots", "Snapshots", _steps(StepName.SNAPSHOT), "a machine's hold its memory too"),
    _seconds("cleanup", "Cleanup", _steps(StepName.CLEANUP)),
    _seconds("total", "Total", _total, "without the wait for other runs of this host"),
    Row(
        "memory",
        "Memory (peak)",
        Unit.BYTES,
        lambda result: result.measures.memory_peak_bytes,
        1 << 20,
        _MEMORY_IS,
    ),
    Row(
        "memory_own",
        "Memory (its own)",
        Unit.BYTES,
        lambda result: result.measures.memory_own_bytes,
        1 << 20,
        _OWN_IS,
    ),
    Row("disk", "Disk (active)", Unit.BYTES, lambda result: result.measures.disk_bytes, 1 << 20, _DISK_IS),
    *(_milestone(field.name) for field in fields(Milestones)),
)


def values_of(result: RunResult) -> dict[str, float]:
    """What the run says for each row that it has something for."""
    found = {row.key: row.value(result) for row in ROWS}
    return {key: round(float(value), 6) for key, value in found.items() if value is not None}
