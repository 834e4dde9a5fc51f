"""Where time went: the steps and the boot's milestones on one axis. Numbers only; drawing them is a template's."""

from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Final

from kvm_action.errors import FailureClass
from kvm_action.results import Milestones, RunResult, StepName, StepOutcome, StepResult
from kvm_action.text import plain_line
from kvm_action.units import format_seconds

_THEIRS: Final = (StepName.PROVISION, StepName.VALIDATE, StepName.IDEMPOTENCE)
_SPACINGS: Final = (0.1, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200)
_MOST_TICKS: Final = 6
_BOOT_FAILURES: Final = (FailureClass.BOOT, FailureClass.NETWORK, FailureClass.CONNECTION)
_LABELS: Final = {
    "agent": "guest agent",
    "identity": "own identity",
    "firmware": "firmware",
    "kernel": "kernel",
    "userspace": "userspace",
    "network": "network up",
    "port_open": "port open",
    "ssh_authenticated": "SSH session",
    "cloud_init_done": "cloud-init done",
}
_OF_A_BOOT: Final = {"firmware", "kernel", "userspace", "network"}
_OF_A_TEMPLATE: Final = {"agent", "identity"}


@dataclass(frozen=True, kw_only=True)
class Span:
    """A stretch of the axis, in percent of its length."""

    left: float
    width: float


@dataclass(frozen=True, kw_only=True)
class Row:
    """One step. ``kind``: ``theirs`` (the plan's own work), ``ours``, or how it went wrong."""

    name: str
    outcome: StepOutcome
    kind: str
    seconds: str
    detail: str
    span: Span


@dataclass(frozen=True, kw_only=True)
class Moment:
    """A milestone of the boot: when (since the machine's start), and how long since the one before."""

    name: str
    seconds: str
    since: str


@dataclass(frozen=True, kw_only=True)
class Tick:
    """A mark of the axis."""

    at: float
    label: str


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """All that is drawn."""

    rows: tuple[Row, ...]
    moments: tuple[Moment, ...]
    missing: str
    """The milestone that a boot which failed never reached; empty otherwise."""
    ticks: tuple[Tick, ...]
    total: str


def timeline(result: RunResult) -> Timeline:
    """The timeline of ``result``; its axis runs from the first step's start to the last one's end."""
    axis = _Axis.of(result)
    return Timeline(
        rows=tuple(_row(step, axis) for step in result.steps),
        moments=_moments(result.milestones),
        missing=_missing(result),
        ticks=ticks(axis.length),
        total=format_seconds(result.seconds),
    )


def ticks(length: float) -> tuple[Tick, ...]:
    """At most six marks at round times for an axis of ``length`` seconds."""
    spacing = next((one for one in _SPACINGS if length / one < _MOST_TICKS), _SPACINGS[-1])
    count = min(int(length / spacing), _MOST_TICKS)
    return tuple(Tick(at=_percent(at * spacing, length), label=_short(at * spacing)) for at in range(count + 1))


def milestones_reached(milestones: Milestones) -> tuple[tuple[str, float], ...]:
    """What was seen of the boot, as (name for a reader, seconds), earliest first."""
    seen = ((one.name, getattr(milestones, one.name)) for one in fields(milestones))
    return tuple(sorted(((_LABELS[name], at) for name, at in seen if at is not None), key=lambda seen: seen[1]))


@dataclass(frozen=True)
class _Axis:
    origin: float
    length: float

    @classmethod
    def of(cls, result: RunResult) -> "_Axis":
        starts = [step.started_at.timestamp() for step in result.steps]
        ends = [step.started_at.timestamp() + step.seconds for step in result.steps]
        origin = min([result.started_at.timestamp(), *starts])
        return cls(origin, max([result.seconds, *(end - origin for end in ends), 0.001]))

    def span(self, start: float, seconds: float) -> Span:
        left = _percent(start - self.origin, self.length)
        return Span(left=left, width=min(_percent(seconds, self.length), 100 - left))


def _row(step: StepResult, axis: _Axis) -> Row:
    ran = step.outcome is not StepOutcome.SKIPPED
    good = step.outcome is StepOutcome.PASSED
    return Row(
        name=step.name,
        outcome=step.outcome,
        kind=("theirs" if step.name in _THEIRS else "ours") if good else step.outcome,
        seconds=format_seconds(step.seconds) if ran else "skipped",
        detail=plain_line(step.detail, 300),
        span=axis.span(step.started_at.timestamp(), step.seconds if ran else 0),
    )


def _moments(milestones: Milestones) -> tuple[Moment, ...]:
    reached = (("", 0.0), *milestones_reached(milestones))
    return tuple(
        Moment(name=name, seconds=format_seconds(at), since=format_seconds(at - before))
        for (_, before), (name, at) in pairwise(reached)
    )


def _missing(result: RunResult) -> str:
    """The one after the last that was seen; earlier ones may just have gone unseen."""
    if result.failure is None or result.failure.failure_class not in _BOOT_FAILURES:
        return ""
    from_template = result.start is not None and result.start.template
    expected = [name for name in _LABELS if name not in (_OF_A_BOOT if from_template else _OF_A_TEMPLATE)]
    seen = [getattr(result.milestones, name) is not None for name in expected]
    after = max((at + 1 for at, was_seen in enumerate(seen) if was_seen), default=len(expected))
    return next((_LABELS[name] for name in expected[after:]), "")


def _percent(part: float, whole: float) -> float:
    return round(min(max(100 * part / whole, 0), 100), 3)


def _short(seconds: float) -> str:
    if seconds < 60 or seconds % 60:
        return f"{seconds:g} s"
    return f"{seconds / 60:g} min" if seconds < 3600 or seconds % 3600 else f"{seconds / 3600:g} h"
