"""Watching one installation: what it says kept in files, its stages told, and when to stop waiting."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import IO, Final

from kvm_action.backends.boot_watch import FILE_LIMIT, host_disk_full
from kvm_action.errors import E2EError, HostError, ImageError
from kvm_action.hypervisor.domain import HOST_DISK_FULL
from kvm_action.images.debian_installer.stages import LIMITS, InstallLog
from kvm_action.units import format_seconds
from kvm_action.wait import Clock

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Patience:
    """How long a prompt may stand before it is taken for a question, and how long all may be silent.

    ``factor`` is what the stages' limits are multiplied with.
    """

    at_prompt: timedelta
    silence: timedelta
    factor: float


PATIENCE: Final = {
    "kvm": Patience(timedelta(seconds=12), timedelta(minutes=2), 1),
    "tcg": Patience(timedelta(seconds=25), timedelta(minutes=8), 5),
}


class InstallWatch:
    """The reader of both serial ports. Fed by libvirt's threads, asked by ours."""

    def __init__(
        self, screen: IO[bytes], syslog: IO[bytes], progress: Progress, patience: Patience, clock: Clock
    ) -> None:
        """Time counts from now."""
        self.log = InstallLog()
        self.woken = Event()
        self._files = {"screen": screen, "syslog": syslog}
        self._progress = progress
        self._patience = patience
        self._clock = clock
        self._began = clock()
        self._panic = ""

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return self._clock() - self._began

    @property
    def longest(self) -> timedelta:
        """More than all stages may take."""
        return sum(LIMITS.values(), start=timedelta(minutes=5)) * self._patience.factor

    def on_screen(self, data: bytes) -> None:
        """Take in what the installer shows on its console; the kernel speaks there too."""
        self._keep("screen", data)
        for line in self.log.feed_screen(data, self.elapsed):
            if "Kernel panic" in line:
                self._panic = line
        self.woken.set()

    def on_syslog(self, data: bytes) -> None:
        """Take in what it logs."""
        self._keep("syslog", data)
        stage, began = self.log.stage, self.log.stage_began
        if self.log.feed_syslog(data, self.elapsed):
            took = format_seconds(self.log.stage_began - began)
            self._progress(f"installer: {self.log.stage} (after {took} of {stage})")
        self.woken.set()

    def trouble(self, end: str, disk: str) -> E2EError | None:
        """Why waiting longer is of no use, None while it may be. ``disk``: its size, for a message."""
        if end == HOST_DISK_FULL:
            return host_disk_full()
        if self._panic:
            return self._stuck(f"its kernel panicked: {self._panic}")
        if self.log.failure:
            return self._stuck(f"the image could not be completed: {self.log.failure}", disk)
        if end and not self.log.is_sealed:
            return self._stuck(f"it ended before its work was done ({end})", disk)
        return None if end else self._overdue(disk)

    def _overdue(self, disk: str) -> ImageError | None:
        silent = self.elapsed - self.log.last_growth
        if self.log.is_asking and silent > self._patience.at_prompt.total_seconds():
            return self._stuck("it waits for an answer", disk)
        if silent > self._patience.silence.total_seconds():
            return self._stuck(f"its console has stood still for {format_seconds(silent)}", disk)
        limit = LIMITS[self.log.stage].total_seconds() * self._patience.factor
        if self.elapsed - self.log.stage_began > limit:
            return self._stuck(f"this stage took longer than {format_seconds(limit)}", disk)
        return None

    def _stuck(self, cause: str, disk: str = "") -> ImageError:
        log = self.log
        if log.is_disk_full and disk:
            cause = f"the disk of {disk} is full; {cause}"
        if log.failed_item:
            cause += f", after its step {log.failed_item} failed"
        shown = "".join(f"\n  | {line}" for line in log.screen[-SHOWN:])
        shown += "".join(f"\n  > {line}" for line in log.complaints[-COMPLAINTS:])
        return ImageError(f"the Debian installer stopped in stage “{log.stage}”: {cause}{shown}", self._hint(disk))

    def _hint(self, disk: str) -> str:
        where = f"what it showed and logged is in {self._files['screen'].name} and {self._files['syslog'].name}"
        if self.log.is_disk_full and disk:
            return f"give it a larger disk; {where}"
        if any("!! ERROR" in line for line in self.log.screen[-SHOWN:]):
            return where
        if self.log.is_asking and self.log.question:
            return f"the installer calls this question {self.log.question}, and a preseed may answer it; {where}"
        return where

    def _keep(self, name: str, data: bytes) -> None:
        """A disk without room must not end the thread that reads."""
        file = self._files[name]
        with suppress(OSError, ValueError):  # closed already, at the very end
            if file.tell() < FILE_LIMIT:
                file.write(data)
                file.flush()


SHOWN: Final = 16
"""Lines of the screen in a message."""
COMPLAINTS: Final = 3
"""Lines of the log."""


@contextmanager
def watching_installation(
    logs: Path, name: str, progress: Progress, accel: str, clock: Clock = time.monotonic
) -> Iterator[InstallWatch]:
    """A watch whose files are ``NAME.screen.log`` and ``NAME.log`` in ``logs``; nobody else may read them."""
    logs.mkdir(parents=True, exist_ok=True)
    places = logs / f"{name}.screen.log", logs / f"{name}.log"
    try:
        for place in places:
            place.unlink(missing_ok=True)
            place.touch(mode=0o600)
        with places[0].open("wb") as screen, places[1].open("wb") as syslog:
            yield InstallWatch(screen, syslog, progress, PATIENCE[accel], clock)
    except OSError as error:
        raise HostError(f"cannot write {places[1]}: {error.strerror}", "free some space") from error
