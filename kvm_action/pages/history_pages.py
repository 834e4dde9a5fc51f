"""The pages that show all of the history: overview, benchmarks, runs, checks."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from kvm_action.history.changes import SinceGreen, since, since_green
from kvm_action.history.record import Record
from kvm_action.history.regressions import Finding, findings
from kvm_action.history.series import by_series
from kvm_action.history.store import History, Reading
from kvm_action.history.verdicts import Standing, check_histories, standings
from kvm_action.pages.charts import Chart, trend
from kvm_action.pages.comparison import MOST_SAMPLES, groups
from kvm_action.pages.links import run_page
from kvm_action.pages.rendering import fragment, script_json

TREND_RUNS: Final = 60
MOST_TRENDS: Final = 8
NEWEST: Final = 200
"""Rows of the table of runs that are in the page itself; the browser has the rest from a script."""

Filter = tuple[str, str, list[str]]


@dataclass(frozen=True)
class HistoryPages:
    """All that is made from one reading of a history."""

    history: History
    reading: Reading

    @cached_property
    def standings(self) -> tuple[Standing, ...]:
        """How each plan stands."""
        return standings(self.reading.records)

    def overview(self) -> str:
        """Is it green, since when, what broke last, how long it takes."""
        records, found = self.reading.records, findings(self.reading.records)
        bad = [record for record in records if not record.is_green]
        return fragment(
            "overview.html.j2",
            records=records,
            standings=self.standings,
            broken=[one for one in self.standings if not one.is_green],
            told=self._told(found),
            findings=found,
            skipped=self.reading.skipped,
            last_bad=bad[-1] if bad else None,
            trends=_trends(records),
            flaky=[one for one in check_histories(records) if one.is_flaky],
        )

    def benchmarks(self) -> str:
        """What the plans cost, by backend."""
        made = groups(self.reading.records)
        return fragment(
            "benchmarks.html.j2",
            groups=made,
            most=MOST_SAMPLES,
            choices=_filters(
                ("plan", "Plan", (one.plan for one in made)),
                ("image", "Image", (one.image for one in made)),
                ("host", "Host", (one.machine for one in made)),
            ),
        )

    def runs(self) -> str:
        """All runs, to be searched."""
        records = self.reading.records
        return fragment(
            "runs.html.j2",
            total=len(records),
            newest=[{"record": record, "on": _on(record)} for record in records[: -NEWEST - 1 : -1]],
            choices=_filters(
                ("outcome", "Outcome", (record.outcome for record in records)),
                ("plan", "Plan", (record.plan for record in records)),
                ("backend", "Backend", (record.backend for record in records)),
                ("image", "Image", (record.image for record in records)),
            ),
        )

    def runs_script(self) -> str:
        """The rows of all runs, as a script: pages on a disk may not fetch data."""
        rows = [_row(record) for record in reversed(self.reading.records)]
        return f"window.kvmE2eRuns={script_json(rows)};\n"

    def checks(self) -> str:
        """All checks and how they did."""
        made = check_histories(self.reading.records)
        states = ("flaky", "failed before", "always held")
        return fragment(
            "checks.html.j2",
            checks=made,
            choices=[
                *_filters(
                    ("plan", "Plan", (one.plan for one in made)), ("kind", "Kind", (one.kind for one in made))
                ),
                ("state", "State", list(states)),
            ],
        )

    def _told(self, found: Iterable[Finding]) -> dict[str, SinceGreen]:
        """What changed, for each plan that is broken and each figure that moved."""
        broken = (one.newest for one in self.standings if not one.is_green)
        told = {run.key: since_green(self.history, run, self.reading.records) for run in broken}
        return told | {f"{one.run.key} {one.metric.name}": since(self.history, one.run, one.base) for one in found}


def _trends(records: Iterable[Record]) -> list[Chart]:
    """The series with the newest runs; of runs that broke, only how long they took is of no use."""
    series = by_series(record for record in records if record.is_green)
    newest = sorted(series.items(), key=lambda item: item[1][-1].started_at, reverse=True)[:MOST_TRENDS]
    titles = [key.title for key, _ in newest]
    return [
        trend(
            f"{key.title}, host {key.fingerprint}" if titles.count(key.title) > 1 else key.title,
            runs[-TREND_RUNS:],
        )
        for key, runs in newest
    ]


def _on(record: Record) -> str:
    how = ", ".join(word for word in (record.accel, record.start_mode) if word and word != "none")
    return f"{record.image or 'no image'}, {record.backend}" + (f" ({how})" if how else "")


def _row(record: Record) -> list[object]:
    """What `site.js` shows of a run (see its COLUMNS), then what is only searched."""
    return [
        run_page(record),
        f"{record.started_at:%Y-%m-%d %H:%M}",
        record.outcome,
        record.plan,
        record.failure[:160],
        _on(record),
        record.backend,
        record.image,
        round(record.seconds, 1),
        f"{record.id} {record.commit[:12]} {record.guest_kernel} {record.failed_step} {record.tool_version}",
    ]


def _filters(*fields: tuple[str, str, Iterable[str]]) -> list[Filter]:
    """Those with something to choose from."""
    made = [(name, title, sorted({value for value in values if value})) for name, title, values in fields]
    return [one for one in made if len(one[2]) > 1]
