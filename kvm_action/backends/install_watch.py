"""Watching one installation: what it says kept in files, its stages told, and when to stop waiting."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import IO, Final

from kvm_action.backends.boot_watch import FILE_LIMIT, host_disk_full
from kvm_action.errors import E2EError, HostError, ImageError
from kvm_action.hypervisor.domain import HOST_DISK_FULL
from kvm_action.images.debian_installer.stages import LIMITS, InstallLog, Stage
from kvm_action.patience import stretched
from kvm_action.units import format_seconds, format_size
from kvm_action.wait import Clock

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Patience:
    """How long a prompt may stand before it is taken for a question, all may stand still, and each stage take."""

    at_prompt: timedelta
    silence: timedelta
    limits: Mapping[Stage, timedelta]

    def stretched(self) -> "Patience":
        """As long as this host is given."""
        limits = {stage: stretched(limit) for stage, limit in self.limits.items()}
        return Patience(stretched(self.at_prompt), stretched(self.silence), limits)


PATIENCE: Final = {
    "kvm": Patience(timedelta(seconds=12), timedelta(minutes=2), LIMITS),
    "tcg": Patience(
        timedelta(seconds=25), timedelta(minutes=8), {stage: 5 * limit for stage, limit in LIMITS.items()}
    ),
}


@dataclass(frozen=True)
class TargetDisk:
    """What is installed to: its size in words, and a way to ask how many bytes its file has taken by now."""

    size: str
    allocated: Callable[[], int]


def target_disk(file: Path, size: int) -> TargetDisk:
    """The disk of ``size`` bytes that ``file`` holds, or will hold: nothing yet is nothing taken."""

    def allocated() -> int:
        try:
            return file.stat().st_blocks * 512
        except FileNotFoundError:
            return 0

    return TargetDisk(format_size(size), allocated)


class InstallWatch:
    """The reader of both serial ports. Fed by libvirt's threads, asked by ours."""

    def __init__(
        self,
        screen: IO[bytes],
        syslog: IO[bytes],
        progress: Progress,
        patience: Patience,
        disk: TargetDisk,
        clock: Clock,
    ) -> None:
        """Time counts from now."""
        self.log = InstallLog()
        self.woken = Event()
        self._files = {"screen": screen, "syslog": syslog}
        self._progress = progress
        self._patience = patience
        self._disk = disk
        self._allocated = 0
        self._disk_changed = 0.0
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
        return sum(self._patience.limits.values(), start=timedelta(minutes=5))

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

    def trouble(self, end: str) -> E2EError | None:
        """Why waiting longer is of no use, None while it may be. ``end``: how the domain ended, if it did."""
        if end == HOST_DISK_FULL:
            return host_disk_full()
        if self._panic:
            return self._stuck(f"its kernel panicked: {self._panic}", blame_disk=False)
        if self.log.failure:
            return self._stuck(f"the image could not be completed: {self.log.failure}")
        if end and not self.log.is_sealed:
            return self._stuck(f"it ended before its work was done ({end})")
        return None if end else self._overdue()

    def _overdue(self) -> ImageError | None:
        log, now = self.log, self.elapsed
        if log.is_asking and now - log.screen_grew > self._patience.at_prompt.total_seconds():
            return self._stuck("it waits for an answer")
        still = now - max(log.screen_grew, log.syslog_grew, self._when_disk_changed(now))
        if still > self._patience.silence.total_seconds():
            return self._stuck(f"its console has stood still for {format_seconds(still)}, and so has its disk")
        limit = self._patience.limits[log.stage].total_seconds()
        if now - log.stage_began > limit:
            return self._stuck(f"this stage took longer than {format_seconds(limit)}")
        return None

    def _when_disk_changed(self, now: float) -> float:
        """Packages are fetched and unpacked without a word; their bytes arrive on the disk all the same."""
        if (allocated := self._disk.allocated()) != self._allocated:
            self._allocated, self._disk_changed = allocated, now
        return self._disk_changed

    def _stuck(self, cause: str, *, blame_disk: bool = True) -> ImageError:
        log = self.log
        is_full = blame_disk and log.is_disk_full
        if is_full:
            cause = f"the disk of {self._disk.size} is full; {cause}"
        if log.failed_item:
            cause += f", after its step {log.failed_item} failed"
        shown = "".join(f"\n  | {line}" for line in log.screen[-SHOWN:])
        shown += "".join(f"\n  > {line}" for line in log.complaints[-COMPLAINTS:])
        advice = "give it a larger disk; " if is_full else self._advice()
        where = f"what it showed and logged is in {self._files['screen'].name} and {self._files['syslog'].name}"
        return ImageError(
            f"the Debian installer stopped in stage “{log.stage}”: {cause}{shown}", f"{advice}{where}"
        )

    def _advice(self) -> str:
        log = self.log
        if not log.is_asking or not log.question or any("!! ERROR" in line for line in log.screen[-SHOWN:]):
            return ""
        return f"the installer calls this question {log.question}, and a preseed may answer it; "

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
    logs: Path, name: str, progress: Progress, accel: str, disk: TargetDisk, clock: Clock = time.monotonic
) -> Iterator[InstallWatch]:
    """A watch whose files are ``NAME.screen.log`` and ``NAME.log`` in ``logs``; nobody else may read them.

    Raises HostError when they cannot be written, or when the patience asked for makes no sense.
    """
    logs.mkdir(parents=True, exist_ok=True)
    places = logs / f"{name}.screen.log", logs / f"{name}.log"
    try:
        for place in places:
            place.unlink(missing_ok=True)
            place.touch(mode=0o600)
        with places[0].open("wb") as screen, places[1].open("wb") as syslog:
            yield InstallWatch(screen, syslog, progress, PATIENCE[accel].stretched(), disk, clock)
    except OSError as error:
        raise HostError(f"cannot write {places[1]}: {error.strerror}", "free some space") from error
