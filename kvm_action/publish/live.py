"""A check run that follows a run: a sink whose events never wait for GitHub, and one last word at the end."""

from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from threading import Event, Lock, Thread
from typing import Final

from github.CheckRun import CheckRun

from kvm_action.events import Event as RunEvent
from kvm_action.events import StepFinished, StepStarted
from kvm_action.publish.attempts import Attempts
from kvm_action.publish.check_runs import CheckRuns
from kvm_action.publish.errors import PublishError
from kvm_action.publish.page import Page, in_progress
from kvm_action.results import StepResult
from kvm_action.wait import Deadline

EVERY: Final = timedelta(seconds=2)
"""Between two updates; what happens meanwhile is shown by the next one."""
PATIENCE: Final = timedelta(seconds=20)
"""For making it, and for one update; an update is given up early when there is a last word to say."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """What became of it: the page, or why there is none."""

    url: str = ""
    problem: PublishError | None = None


_UNFINISHED: Final = Published(problem=PublishError("the check run was not completed"))


@dataclass(frozen=True)
class _Last:
    page: Page
    deadline: Deadline


@dataclass
class LiveCheckRun:
    """Made, started, fed with events, finished. Trouble with GitHub is only told by `finish`."""

    checks: CheckRuns
    every: timedelta = EVERY
    _lock: Lock = field(default_factory=Lock)
    _news: Event = field(default_factory=Event)
    _ending: Event = field(default_factory=Event)
    _running: str = ""
    _steps: tuple[StepResult, ...] = ()
    _last: _Last | None = None
    _outcome: Published = _UNFINISHED
    _thread: Thread | None = None

    def start(self) -> None:
        """Make the check run, beside us."""
        self._thread = Thread(target=self._follow, name="check run", daemon=True)
        self._thread.start()

    def __call__(self, event: RunEvent) -> None:
        """Take note of a step; returns at once."""
        with self._lock:
            match event:
                case StepStarted(name=name):
                    self._running = name
                case StepFinished(result=result):
                    self._steps = (*self._steps, result)
                case _:
                    return
        self._news.set()

    def finish(self, page: Page, within: timedelta) -> Published:
        """Complete the check run with ``page``; gives up when ``within`` is over."""
        self._last = _Last(page, Deadline(within))
        self._ending.set()
        self._news.set()
        if self._thread is None:
            return self._outcome
        self._thread.join(within.total_seconds())
        if self._thread.is_alive():
            seconds = within.total_seconds()
            return Published(
                url=self._outcome.url,
                problem=PublishError(f"completing the check run took longer than {seconds:.0f} s"),
            )
        return self._outcome

    def _follow(self) -> None:
        try:
            run = self.checks.open(self._page(), datetime.now(UTC), Attempts(deadline=Deadline(PATIENCE)))
            self._outcome = replace(_UNFINISHED, url=run.html_url)
            self._update_until_the_end(run)
            assert self._last is not None  # noqa: S101 - `_ending` is set after it
            self.checks.complete(run, self._last.page, Attempts(deadline=self._last.deadline))
            self._outcome = Published(url=run.html_url)
        except PublishError as error:
            self._outcome = Published(url=self._outcome.url, problem=error)

    def _update_until_the_end(self, run: CheckRun) -> None:
        """One update that fails is no reason to give up: the next one says more."""
        while not self._ending.is_set():
            self._news.wait()
            self._news.clear()
            if not self._ending.is_set():
                attempts = Attempts(deadline=Deadline(PATIENCE), enough=self._ending)
                with suppress(PublishError):
                    self.checks.update(run, self._page(), attempts)
                self._ending.wait(self.every.total_seconds())

    def _page(self) -> Page:
        with self._lock:
            return in_progress(self._running, self._steps)
