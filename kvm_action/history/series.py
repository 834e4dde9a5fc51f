"""Runs that may be compared with each other: same plan, image, backend, accel, start mode and host fingerprint."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from kvm_action.history.record import Record


@dataclass(frozen=True, slots=True, order=True)
class SeriesKey:
    """What all runs of a series share."""

    plan: str
    image: str
    backend: str
    accel: str
    start_mode: str
    fingerprint: str
    machine: str

    @property
    def title(self) -> str:
        """For a reader: ``hello, debian-12, kvm (tcg, boot)``."""
        how = ", ".join(word for word in (self.accel, self.start_mode) if word and word != "none")
        names = ", ".join(word for word in (self.plan, self.image, self.backend) if word)
        return f"{names} ({how})" if how else names


def key_of(record: Record) -> SeriesKey:
    """The series that ``record`` belongs to."""
    return SeriesKey(
        plan=record.plan,
        image=record.image,
        backend=record.backend,
        accel=record.accel,
        start_mode=record.start_mode,
        fingerprint=record.fingerprint,
        machine=record.machine,
    )


def by_series(records: Iterable[Record]) -> dict[SeriesKey, list[Record]]:
    """The records by series, each in the order given."""
    found: dict[SeriesKey, list[Record]] = {}
    for record in records:
        found.setdefault(key_of(record), []).append(record)
    return found


@dataclass(frozen=True)
class Metric:
    """A figure of a run; less is better. ``least`` is the smallest difference that matters, in its unit."""

    name: str
    title: str
    unit: str
    value: Callable[[Record], float | None]
    least: float


METRICS: Final = (
    Metric("environment", "Test environment", "s", lambda run: run.start_seconds, 0.2),
    Metric("provisioning", "Provisioning", "s", lambda run: run.measures.get("provision_seconds"), 0.5),
    Metric("validation", "Validation", "s", lambda run: run.step_seconds.get("validate"), 0.5),
    Metric("rerun", "Idempotent re-run", "s", lambda run: run.rerun_seconds, 0.5),
    Metric("snapshots", "Snapshots", "s", lambda run: run.step_seconds.get("snapshot"), 0.5),
    Metric("cleanup", "Cleanup", "s", lambda run: run.step_seconds.get("cleanup"), 0.5),
    Metric("total", "Total", "s", lambda run: run.busy_seconds, 1.0),
    Metric("memory", "Memory (peak)", "B", lambda run: run.measures.get("memory_peak_bytes"), 32 << 20),
    Metric("disk", "Disk (active)", "B", lambda run: run.measures.get("disk_bytes"), 32 << 20),
)
"""In the order of the comparison table."""
