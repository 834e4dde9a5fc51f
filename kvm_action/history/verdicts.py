"""How a plan stands (green? since when?) and how its checks did over time."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Final

from kvm_action.history.record import CheckSeen, Record
from kvm_action.results import CheckOutcome, Outcome

RECENT: Final = 24
_ROUNDS: Final = 3
"""A plan has left an image that was in none of so many rounds of all its images."""
_BAD: Final = {CheckOutcome.FAILED, CheckOutcome.ERROR}


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A plan on a backend and an image: its newest run, and since when it has been as it is."""

    plan: str
    backend: str
    image: str
    newest: Record
    since: datetime
    streak: int
    """How many runs in a row ended green, or not."""
    runs: int
    green: int
    recent: tuple[Record, ...]

    @property
    def is_green(self) -> bool:
        """Did the newest run pass?"""
        return self.newest.is_green

    @property
    def recent_outcomes(self) -> tuple[tuple[Record, Outcome], ...]:
        """The newest runs, each with how it ended."""
        return tuple((record, record.outcome) for record in self.recent)


@dataclass(frozen=True, kw_only=True)
class CheckHistory:
    """A check of a plan over all runs in which it was carried out."""

    plan: str
    name: str
    kind: str
    runs: int
    bad: int
    seconds: float
    """The median."""
    last_bad: Record | None
    is_flaky: bool
    """It held and did not hold for the same script, plan and image."""
    recent: tuple[tuple[Record, CheckOutcome], ...]


def standings(records: Iterable[Record]) -> tuple[Standing, ...]:
    """How each plan stands, broken ones first. Runs that were interrupted say nothing and do not count."""
    plans: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        if record.outcome is not Outcome.INTERRUPTED:
            plans.setdefault((record.plan, record.backend), []).append(record)
    found = [_standing(*key, image, group) for key, runs in plans.items() for image, group in _by_image(runs)]
    return tuple(sorted(found, key=lambda one: (one.is_green, one.plan, one.backend, one.image)))


def _by_image(runs: Sequence[Record]) -> Iterator[tuple[str, Sequence[Record]]]:
    """Each image that the plan still runs on, with its runs; a run that never got an image counts for all."""
    recent = [run.image for run in runs[-RECENT:] if run.image]
    images = {*recent[-_ROUNDS * len({*recent}) :]}
    for image in sorted(images) or [""]:
        yield image, [run for run in runs if run.image in (image, "")]


def _standing(plan: str, backend: str, image: str, records: Sequence[Record]) -> Standing:
    newest = records[-1]
    turned = next((at for at in range(len(records), 0, -1) if records[at - 1].is_green != newest.is_green), 0)
    return Standing(
        plan=plan,
        backend=backend,
        image=image,
        newest=newest,
        since=records[turned].started_at,
        streak=len(records) - turned,
        runs=len(records),
        green=sum(record.is_green for record in records),
        recent=tuple(records[-RECENT:]),
    )


def check_histories(records: Iterable[Record]) -> tuple[CheckHistory, ...]:
    """All checks, those that failed most often first."""
    seen: dict[tuple[str, str], list[tuple[Record, CheckSeen]]] = {}
    for record in records:
        for name, check in _by_name(record.checks):
            if check.outcome is not CheckOutcome.SKIPPED:
                seen.setdefault((record.plan, name), []).append((record, check))
    found = [_check_history(plan, name, runs) for (plan, name), runs in seen.items()]
    return tuple(sorted(found, key=lambda one: (not one.is_flaky, -one.bad / one.runs, one.plan, one.name)))


def _by_name(checks: Iterable[CheckSeen]) -> Iterator[tuple[str, CheckSeen]]:
    """With names of their own: two checks of one file are called the same, and are not one check."""
    met: Counter[str] = Counter()
    for check in checks:
        met[check.name] += 1
        yield check.name if met[check.name] == 1 else f"{check.name} ({met[check.name]})", check


def _check_history(plan: str, name: str, seen: Sequence[tuple[Record, CheckSeen]]) -> CheckHistory:
    bad = [record for record, check in seen if check.outcome in _BAD]
    return CheckHistory(
        plan=plan,
        name=name,
        kind=seen[-1][1].kind,
        runs=len(seen),
        bad=len(bad),
        seconds=median(check.seconds for _, check in seen),
        last_bad=bad[-1] if bad else None,
        is_flaky=_is_flaky(seen),
        recent=tuple((record, check.outcome) for record, check in seen[-RECENT:]),
    )


def _is_flaky(seen: Sequence[tuple[Record, CheckSeen]]) -> bool:
    ends: dict[tuple[str, ...], set[bool]] = {}
    for record, check in seen:
        if record.script_digest:
            same = (record.script_digest, record.plan_digest, record.image_sha256, record.backend)
            ends.setdefault(same, set()).add(check.outcome in _BAD)
    return any(len(both) == 2 for both in ends.values())
