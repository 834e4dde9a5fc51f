"""A result as values that a template only has to place: every text plain, short and in reading order."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from kvm_action.report.checks import Checks, checks_view
from kvm_action.report.facts import Fact, FactGroup, command, fact_groups, numbers
from kvm_action.report.timeline import Timeline, timeline
from kvm_action.report.verdict import Verdict, lines, verdict
from kvm_action.results import Artifact, Idempotence, RunResult, SnapshotInfo
from kvm_action.text import plain, plain_line, shorten
from kvm_action.units import format_seconds, format_size

TAIL_LINES: Final = 200
TAIL_WIDTH: Final = 1000
MOST_ROWS: Final = 500
_DIFF_LENGTH: Final = 8000


@dataclass(frozen=True, kw_only=True)
class ChangeRow:
    """What a second run of the script changed."""

    area: str
    item: str
    before: str
    after: str
    diff: str


@dataclass(frozen=True, kw_only=True)
class SecondRun:
    """The second run of the script, in a sentence and its changes."""

    sentence: str
    good: bool
    changes: tuple[ChangeRow, ...]


@dataclass(frozen=True, kw_only=True)
class SnapshotRow:
    """A snapshot that was taken."""

    name: str
    parent: str
    how: str
    seconds: str
    detail: str


@dataclass(frozen=True, kw_only=True)
class ArtifactRow:
    """A file beside the report; ``href`` is empty when it is not there."""

    path: str
    href: str
    size: str


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A screenshot, small enough to stand in the page."""

    name: str
    source: str
    """A data: address."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything that a report says, in its order."""

    title: str
    run: str
    started: str
    started_iso: str
    version: str
    verdict: Verdict
    numbers: tuple[Fact, ...]
    checks: Checks
    timeline: Timeline
    tail: tuple[str, ...]
    second_run: SecondRun | None
    snapshots: tuple[SnapshotRow, ...]
    pictures: tuple[Picture, ...]
    facts: tuple[FactGroup, ...]
    artifacts: tuple[ArtifactRow, ...]
    artifacts_left_out: int
    command: str


def report_view(
    result: RunResult, present: Collection[str] | None = None, pictures: tuple[Picture, ...] = ()
) -> Report:
    """The view of ``result``. ``present``: the files that exist beside the report (None: all of them)."""
    return Report(
        title=plain_line(result.plan.name, 120) or "plan",
        run=plain_line(result.id, 100),
        started=f"{result.started_at:%d %b %Y, %H:%M %Z}".strip(),
        started_iso=result.started_at.isoformat(timespec="seconds"),
        version=plain_line(result.tool_version, 40),
        verdict=verdict(result),
        numbers=numbers(result),
        checks=checks_view(result.checks),
        timeline=timeline(result),
        tail=lines(result.script_tail, TAIL_LINES, TAIL_WIDTH),
        second_run=_second_run(result.idempotence),
        snapshots=tuple(_snapshot(one) for one in result.snapshots[:MOST_ROWS]),
        pictures=pictures,
        facts=fact_groups(result),
        artifacts=tuple(_artifact(one, present) for one in result.artifacts[:MOST_ROWS]),
        artifacts_left_out=max(len(result.artifacts) - MOST_ROWS, 0),
        command=command(result),
    )


def _second_run(found: Idempotence | None) -> SecondRun | None:
    if found is None:
        return None
    count = len(found.changes)
    changed = {0: "changed nothing", 1: "changed one thing"}.get(count, f"changed {count} things")
    ended = f"exited {found.exit} after {format_seconds(found.seconds)}"
    return SecondRun(
        sentence=f"A second run of the script {ended} and {changed}.",
        good=found.exit == 0 and not count,
        changes=tuple(
            ChangeRow(
                area=plain_line(one.area, 40),
                item=plain_line(one.item, 300),
                before=plain_line(one.before, 300),
                after=plain_line(one.after, 300),
                diff=shorten(plain(one.diff).rstrip("\n"), _DIFF_LENGTH),
            )
            for one in found.changes[:MOST_ROWS]
        ),
    )


def _snapshot(shot: SnapshotInfo) -> SnapshotRow:
    facts = (
        shot.method,
        "disk and memory" if shot.memory else "disk only",
        format_size(shot.bytes) if shot.bytes else "",
        "verified" if shot.verified else "",
    )
    return SnapshotRow(
        name=plain_line(shot.name, 120),
        parent=plain_line(shot.parent or "", 120),
        how=", ".join(plain_line(fact, 80) for fact in facts if fact),
        seconds=format_seconds(shot.seconds),
        detail=plain_line(shot.detail, 300),
    )


def _artifact(artifact: Artifact, present: Collection[str] | None) -> ArtifactRow:
    there = present is None or artifact.path in present
    return ArtifactRow(
        path=plain_line(artifact.path, 300),
        href="./" + quote(artifact.path, errors="replace") if there else "",
        size=format_size(artifact.bytes),
    )
