"""QEMU as a process of this host: what libvirt does not tell of it, and its end where no libvirt answers."""

import re
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

from kvm_action.wait import Clock

_EVERY: Final = 0.05
"""Seconds between looks at what a process waited: a console's reader asks for the time very often."""
_SEARCH_EVERY: Final = 0.5
"""Seconds after which a process is looked for again: that takes the list of all of them."""
_LAST_BREATH: Final = 5
"""Seconds that the kernel may take to give a killed machine's memory back."""


def peak_memory(domain: str) -> int | None:
    """The most resident bytes that the QEMU of ``domain`` ever had; None when its process is not ours to see."""
    return _sum(domain, "status", r"VmHWM:\s+(\d+) kB")


def unique_memory(domain: str) -> int | None:
    """The bytes that the QEMU of ``domain`` shares with nobody: what would be free without it."""
    return _sum(domain, "smaps_rollup", r"Private_(?:Clean|Dirty):\s+(\d+) kB")


class GuestClock:
    """A clock for what a guest may take: while its processors wait for a CPU of the host, it stands still.

    On a host with more machines than CPUs, a guest that is well needs several times as long. Of QEMU's threads
    the one counts that waited most (proc_pid_schedstat(5)). Where that cannot be known, it is the host's clock.
    """

    def __init__(self, domain: str, clock: Clock = time.monotonic) -> None:
        """``domain`` may start later."""
        self._domain = domain
        self._clock = clock
        self._pid: int | None = None
        self._waited = 0.0
        self._next_look = clock()

    def __call__(self) -> float:
        """Seconds, from no certain moment."""
        now = self._clock()
        if now >= self._next_look:
            self._look()
            self._next_look = now + (_EVERY if self._pid else _SEARCH_EVERY)
        return now - self._waited

    def _look(self) -> None:
        if self._pid is None:
            self._pid = next((process.pid for process in _processes(self._domain)), None)
        if self._pid is not None:
            self._waited = max(self._waited, waited_for_cpu(self._pid))


def waited_for_cpu(pid: int) -> float:
    """Seconds that a process's thread was ready and did not run, of the one that waited most; 0 if unknown."""
    waits = [0.0]
    for file in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with suppress(OSError, ValueError, IndexError):
            waits.append(int(file.read_text().split()[1]) / 1e9)
    return max(waits)


def has_process(domain: str) -> bool:
    """Does the QEMU of ``domain`` run?"""
    return any(_processes(domain))


def end_process(domain: str) -> bool:
    """Kill the QEMU of ``domain``. False when it still runs, since it is another user's."""
    for process in _processes(domain):
        with suppress(psutil.Error):  # psutil looks whether the pid is still that process
            process.kill()
            process.wait(_LAST_BREATH)
    return not has_process(domain)


def _sum(domain: str, file: str, figure: str) -> int | None:
    for process in _processes(domain):
        with suppress(OSError):
            found = re.findall(figure, Path(f"/proc/{process.pid}/{file}").read_text())
            return sum(map(int, found)) * 1024 if found else None
    return None


def _processes(domain: str) -> Iterator[psutil.Process]:
    for process in psutil.process_iter(["cmdline"]):
        if f"guest={domain}," in " ".join(process.info["cmdline"] or ()):
            yield process
