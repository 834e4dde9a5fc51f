"""A run as plain lines, for logs: no escapes, a time on each line of ours, the script's lines behind a bar."""

from collections.abc import Callable
from datetime import UTC, datetime
from threading import Lock
from typing import Final, TextIO

from kvm_action.cli.terminal.skips import Skipped, skipped_step
from kvm_action.cli.terminal.summary import summary
from kvm_action.events import (
    CheckFinished,
    Event,
    MilestoneReached,
    Note,
    OutputLine,
    RunFinished,
    RunStarted,
    StepFinished,
    StepStarted,
    Stream,
)
from kvm_action.results import CheckOutcome, CheckResult, RunResult, StepResult
from kvm_action.text import plain_line
from kvm_action.units import format_seconds

MOST_OUTPUT_LINES: Final = 20_000
"""Lines of a step's output that a log gets; the rest is in provision.log only."""


def _local_time() -> datetime:
    return datetime.now(UTC).astimezone()


class PlainLines:
    """A sink. Nothing it writes can be taken for a command by the log's reader (``::error::``, ``##[error]``)."""

    def __init__(self, stream: TextIO, now: Callable[[], datetime] = _local_time) -> None:
        """``now`` stamps the lines."""
        self._stream = stream
        self._now = now
        self._lock = Lock()
        self._output_lines = 0
        self._skipped = Skipped()
        self._section = ""

    def __call__(self, event: Event) -> None:
        """Tell one event."""
        with self._lock:
            for line in [*self._skips_before(event), *self._tell(event)]:
                self._stream.write(line.replace("##[", "## [") + "\n")
            self._stream.flush()

    def _skips_before(self, event: Event) -> list[str]:
        """The line of the steps that were skipped, once something else is to be told."""
        known = self._skipped
        if not known.ends_with(event):
            return []
        self._skipped = Skipped()
        return [self._stamped(_skips(known))]

    def _tell(self, event: Event) -> list[str]:
        if step := skipped_step(event):
            self._skipped += step
            return []
        match event:
            case OutputLine():
                return self._output(event)
            case CheckFinished(result=result):
                return [self._stamped(line) for line in self._check(result)]
            case StepFinished(result=result):
                self._output_lines = 0
                return [self._stamped(_step(result))]
            case RunFinished(result=result, out=out):
                return ["", *_last_words(result, out)]
            case _:
                return [self._stamped(_words(event))]

    def _check(self, check: CheckResult) -> list[str]:
        """Its line, after its section's where that begins."""
        begins = check.section if check.section != self._section else ""
        self._section = check.section
        return [*([f"  {begins}"] if begins else []), _check(check)]

    def _stamped(self, text: str) -> str:
        return f"{self._now():%H:%M:%S} {plain_line(text)}"

    def _output(self, line: OutputLine) -> list[str]:
        if line.stream is Stream.CONSOLE:
            return []
        self._output_lines += 1
        if self._output_lines > MOST_OUTPUT_LINES:
            much = self._output_lines == MOST_OUTPUT_LINES + 1
            return ["  | … more than this is in provision.log only"] if much else []
        return [f"  | {plain_line(line.text.expandtabs())}".rstrip()]


def _words(event: RunStarted | StepStarted | MilestoneReached | Note) -> str:
    match event:
        case RunStarted():
            return f"run {event.id}: plan {event.plan} on {event.backend}, results in {event.out}"
        case StepStarted():
            return f"step {event.name} ..."
        case MilestoneReached():
            return f"  boot: {event.name.replace('_', ' ')} after {format_seconds(event.seconds)}"
        case Note():
            return f"{'warning' if event.warning else 'note'}: {event.text}"


def _step(step: StepResult) -> str:
    told = f"step {step.name} ... {step.outcome} {format_seconds(step.seconds)}"
    return told + (f" ({step.detail})" if step.detail else "")


def _skips(skipped: Skipped) -> str:
    told = f"{'steps' if len(skipped.names) > 1 else 'step'} {skipped.listed} ... skipped"
    return told + (f" ({skipped.reason})" if skipped.reason else "")


def _check(check: CheckResult) -> str:
    if check.outcome is CheckOutcome.PASSED:
        return f"  check {check.name}: passed"
    return f"  check {check.name}: {check.outcome}: {check.message}"


def _last_words(result: RunResult, out: str) -> list[str]:
    told = summary(result, out)
    shown = [f"  | {line}" for line in told.evidence]
    return [told.title, *shown, *(f"{label}: {text}" for label, text in told.facts), f"report: {told.report}"]
