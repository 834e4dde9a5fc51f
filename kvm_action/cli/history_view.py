"""The history in the terminal, and as JSON."""

from collections.abc import Mapping, Sequence
from typing import Any

from kvm_action.history.changes import SinceGreen
from kvm_action.history.record import Record
from kvm_action.history.regressions import Finding, Trend
from kvm_action.history.verdicts import Standing
from kvm_action.text import counted, plain_line
from kvm_action.units import format_seconds, format_size


def list_lines(records: Sequence[Record]) -> list[str]:
    """A table of runs."""
    cells = [("STARTED", "OUTCOME", "PLAN", "BACKEND", "IMAGE", "TIME", "RUN")]
    cells += [
        (
            f"{record.started_at:%Y-%m-%d %H:%M}",
            record.outcome,
            plain_line(record.plan, 40),
            plain_line(f"{record.backend} {record.accel}".removesuffix(" none"), 20),
            plain_line(record.image, 30),
            format_seconds(record.seconds),
            plain_line(record.id, 60),
        )
        for record in records
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
    ]


def check_lines(
    standings: Sequence[Standing], found: Sequence[Finding], told: Mapping[str, SinceGreen], runs: int
) -> list[str]:
    """What `history check` says: how each plan stands, then what is not where it was, each with what changed."""
    if not runs:
        return ["no runs yet; `kvm-e2e history add RESULT` keeps one"]
    lines: list[str] = []
    for one in standings:
        lines.append(standing_line(one))
        lines += [] if one.is_green else changed_lines(told[one.newest.key])
    for finding in found:
        lines.append(finding_line(finding))
        lines += changed_lines(told[f"{finding.run.key} {finding.metric.name}"])
    return lines if found else [*lines, "no series is slower or larger than it was"]


def standing_line(one: Standing) -> str:
    """``hello on kvm: green since 2026-11-24 (3 runs)``."""
    word = "green" if one.is_green else f"{one.newest.outcome} in {one.newest.failed_step or 'no step'}"
    on = ", ".join(word for word in (one.backend, one.image) if word)
    name = f"{plain_line(one.plan, 60)} on {plain_line(on, 60)}"
    line = f"{name}: {word} since {one.since:%Y-%m-%d %H:%M} ({counted(one.streak, 'run')})"
    return line if one.is_green else f"{line}: {plain_line(one.newest.failure, 200)}"


def finding_line(one: Finding) -> str:
    """One sentence with the figures it rests on."""
    word = one.trend if one.is_confirmed else f"possible {one.trend}, not yet confirmed by a second run"
    now, usual, spread = (figure(value, one.metric.unit) for value in (one.now, one.usual, one.spread))
    more = "more" if one.trend is Trend.REGRESSION else "less"
    return (
        f"{word}: {one.metric.title} of {plain_line(one.series.title, 120)}: {now}, {abs(one.change):.0%} {more} "
        f"than usual ({usual} ± {spread}, {one.runs} runs)"
    )


def changed_lines(told: SinceGreen) -> list[str]:
    """What changed, indented under what it belongs to."""
    if told.green is None:
        return ["  there is no green run before it to compare with"]
    lines = [f"  since {told.green.started_at:%Y-%m-%d %H:%M} ({plain_line(told.green.id, 60)}):"]
    for one in told.differences:
        before, after = (plain_line(text, 80) or "nothing" for text in (one.before, one.after))
        lines.append(f"    {plain_line(one.what, 80)}: {before} → {after}")
    if told.more_packages:
        lines.append(f"    and {told.more_packages} more packages")
    if not told.differences:
        lines.append("    nothing that was noted")
    if told.unknown:
        lines.append(f"    not noted by one of the two: {', '.join(told.unknown)}")
    return lines


def figure(value: float, unit: str) -> str:
    """A value with its unit."""
    return format_size(round(value)) if unit == "B" else format_seconds(value)


def run_json(record: Record) -> dict[str, Any]:
    """A run for a program."""
    return {
        "key": record.key,
        "id": record.id,
        "started_at": record.started_at.isoformat(),
        "outcome": record.outcome,
        "plan": record.plan,
        "backend": record.backend,
        "accel": record.accel,
        "image": record.image,
        "seconds": record.seconds,
        "failed_step": record.failed_step,
        "failure": record.failure,
        "fingerprint": record.fingerprint,
        "commit": record.commit,
    }


def check_json(
    standings: Sequence[Standing], found: Sequence[Finding], told: Mapping[str, SinceGreen]
) -> dict[str, Any]:
    """What `history check` says, for a program."""
    return {
        "plans": [
            {
                "plan": one.plan,
                "backend": one.backend,
                "image": one.image,
                "is_green": one.is_green,
                "since": one.since.isoformat(),
                "streak": one.streak,
                "newest": run_json(one.newest),
                "changed": None if one.is_green else _changed_json(told[one.newest.key]),
            }
            for one in standings
        ],
        "findings": [
            {
                "trend": one.trend,
                "is_confirmed": one.is_confirmed,
                "series": one.series.title,
                "fingerprint": one.series.fingerprint,
                "metric": one.metric.name,
                "unit": one.metric.unit,
                "usual": one.usual,
                "spread": one.spread,
                "now": one.now,
                "runs": one.runs,
                "run": one.run.key,
                "changed": _changed_json(told[f"{one.run.key} {one.metric.name}"]),
            }
            for one in found
        ],
    }


def _changed_json(told: SinceGreen) -> dict[str, Any]:
    return {
        "since": told.green.key if told.green else None,
        "differences": [{"what": one.what, "before": one.before, "after": one.after} for one in told.differences],
        "more_packages": told.more_packages,
        "unknown": list(told.unknown),
    }
