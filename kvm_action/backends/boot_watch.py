"""Watching one boot: the console kept in a file, its milestones told, and when to stop waiting."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from threading import Event, Lock
from typing import IO, Final

from kvm_action.boot import BootLog, Stage
from kvm_action.errors import BootError, DiskFullError, HostError
from kvm_action.events import MilestoneReached, Sink
from kvm_action.hypervisor.domain import HOST_DISK_FULL, QEMU_DIED
from kvm_action.patience import stretched
from kvm_action.wait import Clock, Deadline

FILE_LIMIT: Final = 16 << 20
"""Bytes of console that are kept; a guest may print for ever. No boot prints a tenth of it."""
_CUT: Final = f"\n[kvm-e2e: it went on; only the first {FILE_LIMIT >> 20} MiB are kept]\n".encode()

_READ_A_SECOND: Final = 128 << 10
"""Bytes of a flood after the login that are looked at: libvirt's client would keep what we are too slow for."""
_NEWEST: Final = 16 << 10
"""Bytes of the rest that are still looked at: the last words of a guest that dies stand there."""

EVIDENCE_LINES: Final = 20

_SLOWEST: Final = 10.0
"""A single look waits at most so many times as long on a busy host, since nothing else is noticed meanwhile."""
_BUSY: Final = 1.5
"""A boot that took so many times as long as without waiting for a CPU is told as one on a busy host."""

STARTS: Final = 4
"""A first boot may well reboot once; what starts for the fourth time goes round in a circle."""


@dataclass(frozen=True)
class Patience:
    """How long a boot may take in all, how long its console may stand still, and how long at the login prompt."""

    total: timedelta
    silence: timedelta
    at_login: timedelta

    def stretched(self) -> "Patience":
        """As long as this host is given."""
        return Patience(stretched(self.total), stretched(self.silence), stretched(self.at_login))


PATIENCE: Final = {
    "kvm": Patience(timedelta(minutes=3), timedelta(seconds=45), timedelta(seconds=20)),
    "tcg": Patience(timedelta(minutes=10), timedelta(seconds=100), timedelta(seconds=60)),
}
"""Emulation is 10 to 20 times slower than KVM."""


class BootWatch:
    """The console's reader. Fed by libvirt's thread, asked by ours."""

    def __init__(self, file: IO[bytes], sink: Sink, patience: Patience, clock: Clock = time.monotonic) -> None:
        """Time counts from `begin`. ``clock`` is the host's."""
        self.woken = Event()
        """Set whenever the console says something."""
        self._log = BootLog()
        self._reading = Lock()
        self._unread = b""
        self._second = self._read_in_second = 0
        self._file = file
        self._printed = 0
        self._sink = sink
        self._clock = clock
        self._patience = patience
        self.begin()

    def begin(self, patient: Clock | None = None) -> None:
        """The machine starts now. ``patient``: the clock by which it may be late, if not the host's."""
        self._began = self._clock()
        self.patient = patient or self._clock
        self.deadline = Deadline(self._patience.total, self.patient)
        self._began_patient = self._last_growth = self.patient()

    def start_again(self) -> None:
        """Another start of the same run: what was seen of the first one does not count."""
        self._log = BootLog()
        self._unread = b""
        self._printed = 0
        self.begin()

    @property
    def log(self) -> BootLog:
        """What the console has said by now."""
        if self._unread:
            with self._reading:
                self._read(b"")
        return self._log

    @property
    def elapsed(self) -> float:
        """Seconds since the machine's start."""
        return self._clock() - self._began

    @property
    def slowness(self) -> float:
        """How many times as long as without waiting for a CPU the guest has taken since its start: 1 to 10."""
        own = self.patient() - self._began_patient
        return min(max(1.0, self.elapsed / own), _SLOWEST) if own > 0 else 1.0

    def on_console(self, data: bytes) -> None:
        """Take in console output."""
        if self._printed <= FILE_LIMIT and not self._file.closed:
            self._keep(data[: FILE_LIMIT - self._printed])
            if self._printed + len(data) > FILE_LIMIT:
                self._keep(_CUT)
        self._printed += len(data)
        self._last_growth = self.patient()
        with self._reading:
            if self._is_too_fast(len(data)):
                self._unread = (self._unread + data)[-_NEWEST:]
            else:
                self._read(data)
        self.woken.set()

    def _is_too_fast(self, more: int) -> bool:
        """Is this a flood after the login, of which enough was read in this second?"""
        if self._printed <= FILE_LIMIT or self._log.stage is not Stage.LOGIN:
            return False
        if self._second != (second := int(self.elapsed)):
            self._second, self._read_in_second = second, 0
        self._read_in_second += more
        return self._read_in_second > _READ_A_SECOND

    def _read(self, data: bytes) -> None:
        late, self._unread = self._unread, b""
        for name in self._log.feed(late + data, self.elapsed):
            self._sink(MilestoneReached(name=name, seconds=self._log.milestones[name]))

    def _keep(self, data: bytes) -> None:
        """A disk without room must not end the thread that reads the console."""
        with suppress(OSError):
            self._file.write(data)
            self._file.flush()

    def reached(self, name: str) -> None:
        """A milestone that the console does not show."""
        if name not in self.log.milestones:
            self.log.milestones[name] = round(self.elapsed, 3)
            self._sink(MilestoneReached(name=name, seconds=self.log.milestones[name]))

    def trouble(self, end: str, last_words: tuple[str, ...] = ()) -> BootError | HostError | None:
        """Why waiting longer is of no use, None while it may be. ``end``: how the domain ended, if it did."""
        log = self.log
        if end == HOST_DISK_FULL:
            return host_disk_full()
        if words := [line for line in last_words if "KVM internal error" in line]:
            return self._stuck(
                words[0].strip(), "this host's KVM cannot run the guest; `--accel tcg` goes without it"
            )
        if end:
            return self._stuck(end, "; ".join(last_words[-2:]) or hint_of_end(end))
        if log.diagnosis and log.diagnosis.fatal:
            return self._stuck(log.diagnosis.cause, log.diagnosis.hint)
        return self._circling() or self._overdue()

    def _circling(self) -> BootError | None:
        starts = max(self.log.boots, self.log.resets)
        if starts < STARTS:
            return None
        return self._stuck(f"it reboots again and again, and has now started {starts} times", _CIRCLE)

    def _overdue(self) -> BootError | None:
        log = self.log
        silent = self.patient() - self._last_growth
        allowed = self._patience.at_login if log.stage is Stage.LOGIN else self._patience.silence
        if silent > allowed.total_seconds():
            return self._stuck(f"the console has been silent for {self._told(silent)}", self._guess())
        if self._printed > FILE_LIMIT and log.stage is not Stage.LOGIN:
            return self._stuck(f"it printed {FILE_LIMIT >> 20} MiB to its console and is not up", _FLOOD)
        if self.deadline.passed:
            allowed_in_all = self._patience.total.total_seconds()
            return self._stuck(f"it is not up after {self._told(allowed_in_all)}", self._guess())
        return None

    def _told(self, seconds: float) -> str:
        busy = self.slowness > _BUSY
        return f"{seconds:.0f} s" + (", not counting what it waited for the busy host's CPUs" if busy else "")

    def _stuck(self, cause: str, hint: str) -> BootError:
        return BootError(f"the boot stopped in stage “{self.log.stage}”: {cause}", hint)

    def _guess(self) -> str:
        if self.log.diagnosis:
            return f"{self.log.diagnosis.cause}; {self.log.diagnosis.hint}"
        return _GUESSES.get(self.log.stage.name, "look at console.log")


_GUESSES: Final = {
    "NOTHING": "nothing was printed at all: the image may not be bootable with this firmware",
    "FIRMWARE": "the firmware found nothing to boot: is the image made for this firmware (bios or uefi)?",
    "BOOTLOADER": "the kernel printed nothing: it needs console=ttyS0 on its command line",
    "KERNEL": "the kernel hangs; under emulation this can be a CPU feature that QEMU emulates wrongly",
    "INITRD": "the initramfs waits for something, most often for the root disk",
    "USERSPACE": "a service blocks the boot; the console's last lines name the job",
    "CLOUD_INIT": "cloud-init waits for something; see the console's last lines",
    "LOGIN": "the guest is up, but no SSH server answers: does the image contain one, and cloud-init?",
}
_CIRCLE: Final = "something in the image reboots it, or its kernel crashes early: console.log has each start"
_FLOOD: Final = "something in the guest prints the same lines again and again: see the end of console.log"


def hint_of_end(end: str) -> str:
    """Where to look when a domain has ended like that."""
    if end == QEMU_DIED:
        return "its process crashed, or somebody killed it: for lack of memory? see `journalctl -k` of the host"
    return "the console's last lines may tell why"


def host_disk_full() -> HostError:
    """QEMU pauses a machine whose overlay cannot grow."""
    return DiskFullError("the host's disk is full, so the machine was paused", "free space where KVM_E2E_HOME is")


@contextmanager
def watching_boot(path: Path, sink: Sink, patience: Patience) -> Iterator[BootWatch]:
    """A watch whose console goes to ``path``."""
    with path.open("wb") as file:
        yield BootWatch(file, sink, patience)
