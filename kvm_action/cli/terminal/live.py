"""A run on a terminal: a line for each step that is over, and one that moves for the step that is not."""

import time
from collections import deque
from dataclasses import dataclass, replace
from threading import RLock
from types import TracebackType
from typing import Final, Self

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from kvm_action.cli.terminal.skips import Skipped
from kvm_action.cli.terminal.summary import Summary, summary
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
from kvm_action.results import CheckOutcome, CheckResult, Outcome, StepOutcome, StepResult
from kvm_action.signs import MARKS
from kvm_action.text import plain_line
from kvm_action.units import format_seconds
from kvm_action.wait import Clock

PRINT_EVERY: Final = 0.1
"""Seconds between two prints of output, so that a script that floods does not wait for the terminal."""
MOST_WAITING: Final = 40
"""Lines that are kept between two prints; of a flood the rest is only counted."""
_LINES_BELOW: Final = 4
_NAME_WIDTH: Final = 14
_TIME_WIDTH: Final = 10

_STYLES: Final = {
    "passed": "green",
    "failed": "bold red",
    "error": "bold yellow",
    "skipped": "dim",
    "interrupted": "magenta",
}
_ENDS: Final = {
    Outcome.PASSED: "bold green",
    Outcome.FAILED: "bold red",
    Outcome.ERROR: "bold yellow",
    Outcome.INTERRUPTED: "bold magenta",
}


@dataclass(frozen=True)
class _Moving:
    """What the moving part shows: the running step, since when, its last milestone, and the newest lines."""

    step: str = ""
    since: float = 0.0
    milestone: str = ""
    lines: tuple[str, ...] = ()


class LiveTerminal:
    """A sink and a context manager; leaving it gives the terminal back as it was, whatever happened.

    Drawing takes no lock of ours, but one look at a frozen value: rich draws in a thread that holds its console's
    lock, and we print while we hold ours.
    """

    def __init__(self, console: Console, clock: Clock = time.monotonic) -> None:
        """``clock`` counts the running step's seconds."""
        self._console = console
        self._clock = clock
        self._lock = RLock()
        self._waiting: deque[str] = deque(maxlen=MOST_WAITING)
        self._left_out = 0
        self._printed_at = clock()
        self._moving = _Moving()
        self._skipped = Skipped()
        self._section = ""
        self._spinner = Spinner("dots", style="cyan")
        self._live = Live(self, console=console, transient=True, refresh_per_second=10)

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop drawing; the cursor is back."""
        with self._lock:
            self._print_waiting()
            if self._skipped.names:
                self._print_skipped()
            self._moving = _Moving()
        self._live.stop()

    def __call__(self, event: Event) -> None:
        """Tell one event."""
        with self._lock:
            if isinstance(event, OutputLine):
                self._output(event)
                return
            self._print_waiting()
            if self._skipped.ends_with(event):
                self._print_skipped()
            match event:
                case StepStarted(name=name):
                    self._moving = _Moving(name, self._clock())
                case StepFinished(result=result) if result.outcome is StepOutcome.SKIPPED:
                    self._moving = _Moving()
                    self._skipped += result
                case StepFinished(result=result):
                    self._moving = _Moving()
                    self._console.print(_step(result))
                case MilestoneReached(name=name, seconds=seconds):
                    milestone = f"{name.replace('_', ' ')} {format_seconds(seconds)}"
                    self._moving = replace(self._moving, milestone=milestone)
                case CheckFinished(result=result):
                    self._check(result)
                case RunFinished(result=result, out=out):
                    told = summary(result, out)
                    self._console.print(_last_words(told))
                    self._console.print(Text.assemble(("report ", "cyan"), told.report), soft_wrap=True)
                case _:
                    self._console.print(_lasting(event))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """What moves: the newest lines of output that wait to be printed, and the running step."""
        moving = self._moving
        yield from (_script(line, cut=True) for line in moving.lines)
        if moving.step:
            yield self._running(moving)

    def _running(self, moving: _Moving) -> Table:
        words = Text(f"{moving.step:<{_NAME_WIDTH}}", style="bold")
        words.append(f"{format_seconds(self._clock() - moving.since):<{_TIME_WIDTH}}", style="cyan")
        words.append(f" {moving.milestone}", style="dim")
        words.no_wrap, words.overflow = True, "ellipsis"
        return _row(self._spinner, words)

    def _output(self, line: OutputLine) -> None:
        if line.stream is Stream.CONSOLE:
            return
        self._left_out += len(self._waiting) == MOST_WAITING
        self._waiting.append(line.text)
        self._moving = replace(self._moving, lines=(*self._moving.lines, line.text)[-_LINES_BELOW:])
        if self._clock() - self._printed_at >= PRINT_EVERY:
            self._print_waiting()

    def _check(self, check: CheckResult) -> None:
        """Its line, after its section's where that begins."""
        if check.section and check.section != self._section:
            self._console.print(_row(Text(" "), Text(plain_line(check.section, 80), "bold")))
        self._section = check.section
        self._console.print(_check(check))

    def _print_skipped(self) -> None:
        self._console.print(_step_line(StepOutcome.SKIPPED, self._skipped.listed, "skipped", self._skipped.reason))
        self._skipped = Skipped()

    def _print_waiting(self) -> None:
        if self._left_out:
            self._console.print(_script(f"… {self._left_out:,} more lines, in provision.log"))
        if self._waiting:
            self._console.print(_script(*self._waiting))
        self._waiting.clear()
        self._moving = replace(self._moving, lines=())
        self._left_out = 0
        self._printed_at = self._clock()


def _lasting(event: RunStarted | Note) -> Table | Text:
    match event:
        case RunStarted():
            return Text.assemble((plain_line(event.plan), "bold"), (f" on {event.backend}, run {event.id}", "dim"))
        case Note(text=text, warning=warning):
            return _row(Text("!" if warning else "·", "yellow" if warning else "dim"), Text(plain_line(text)))


def _row(mark: Text | Spinner, words: Text | Table) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column(width=1)
    table.add_column(ratio=1, overflow="fold")
    table.add_row(mark, words)
    table.expand = True
    return table


def _step(step: StepResult) -> Table:
    return _step_line(step.outcome, step.name, format_seconds(step.seconds), step.detail)


def _step_line(outcome: StepOutcome, name: str, took: str, detail: str) -> Table:
    symbol, style = MARKS[outcome], _STYLES[outcome]
    skipped = outcome is StepOutcome.SKIPPED
    words = Text(f"{name:<{_NAME_WIDTH - 1}} ", style="dim" if skipped else "")
    words.append(f"{took:<{_TIME_WIDTH}}", style="dim" if skipped else "cyan")
    words.append(f" {plain_line(detail, 200)}", style="dim")
    return _row(Text(symbol, style), words)


def _check(check: CheckResult) -> Table:
    symbol, style = MARKS[check.outcome], _STYLES[check.outcome]
    words = Text(plain_line(check.name, 200))
    if check.outcome is not CheckOutcome.PASSED:
        words.append(f"  {plain_line(check.message, 400)}", style="dim")
    return _row(Text(" "), _row(Text(symbol, style), words))


def _script(*lines: str, cut: bool = False) -> Table:
    table = Table.grid()
    table.add_column(width=4)
    table.add_column(overflow="ellipsis" if cut else "fold", no_wrap=cut)
    for line in lines:
        table.add_row(Text("  │ ", "dim"), Text(plain_line(line.expandtabs()), "dim"))
    return table


def _last_words(told: Summary) -> Group:
    style = _ENDS[told.outcome]
    facts = Table.grid()
    facts.add_column(width=7, style="cyan")
    facts.add_column(overflow="fold")
    for label, text in told.facts:
        facts.add_row(label, Text(text))
    return Group("", _row(Text(told.symbol, style), Text(told.title, style)), _script(*told.evidence), facts)
