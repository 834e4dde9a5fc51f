"""What happens during a run, as events; the terminal, GitHub's log and the report are only consumers of them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from threading import RLock

from kvm_action.results import CheckResult, RunResult, StepName, StepResult


class Stream(StrEnum):
    """Where a line of output came from."""

    STDOUT = "stdout"
    STDERR = "stderr"
    CONSOLE = "console"


@dataclass(frozen=True, kw_only=True)
class RunStarted:
    """A run begins. ``steps`` are the steps that will be tried, in order."""

    id: str
    plan: str
    backend: str
    out: str
    at: datetime
    steps: tuple[StepName, ...]


@dataclass(frozen=True, kw_only=True)
class StepStarted:
    """A step begins."""

    name: StepName
    at: datetime


@dataclass(frozen=True, kw_only=True)
class OutputLine:
    """A line of the script's (or another command's) output: decoded, without its line end, otherwise raw."""

    step: StepName
    stream: Stream
    text: str


@dataclass(frozen=True, kw_only=True)
class MilestoneReached:
    """The guest reached a moment of its boot, ``seconds`` after its start."""

    name: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Note:
    """Something worth a line: a fall-back taken, a warning, a path."""

    text: str
    warning: bool = False


@dataclass(frozen=True, kw_only=True)
class CheckFinished:
    """A check has its result."""

    result: CheckResult


@dataclass(frozen=True, kw_only=True)
class StepFinished:
    """A step ended, or was skipped."""

    result: StepResult


@dataclass(frozen=True, kw_only=True)
class RunFinished:
    """The run is over and everything is cleaned up; ``out`` holds its report."""

    result: RunResult
    out: str


Event = (
    RunStarted | StepStarted | OutputLine | MilestoneReached | Note | CheckFinished | StepFinished | RunFinished
)
Sink = Callable[[Event], None]


def tee(*sinks: Sink) -> Sink:
    """One sink that hands each event to all of ``sinks``, in order; one at a time, from whatever thread."""
    turn = RLock()

    def send(event: Event) -> None:
        with turn:
            for sink in sinks:
                sink(event)

    return send
