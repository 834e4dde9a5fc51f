"""QEMU as a process of this host: what libvirt does not tell of it, and its end where no libvirt answers."""

import re
import time
from collections.abc import Iterator, Mapping
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
    """A clock for what a guest may take: while QEMU waits for a CPU of the host, it stands still.

    On a host with more machines than CPUs, a guest that is well takes several times as long. Between looks, the
    thread counts that waited most (Linux, Documentation/scheduler/sched-stats.rst), be it for another thread of
    the same QEMU. Where it cannot be known, this is the host's clock.
    """

    def __init__(self, domain: str, clock: Clock = time.monotonic) -> None:
        """``domain`` may start later."""
        self._domain = domain
        self._clock = clock
        self._pid: int | None = None
        self._waits: Mapping[str, float] = {}
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
            with suppress(OSError, psutil.Error):
                self._pid = next((process.pid for process in _processes(self._domain)), None)
        if self._pid is not None:
            before, self._waits = self._waits, waits_for_cpu(self._pid)
            self._waited += max((wait - before.get(thread, 0) for thread, wait in self._waits.items()), default=0)


def waits_for_cpu(pid: int) -> Mapping[str, float]:
    """Seconds that each thread of a process was ready to run and did not; none that cannot be known."""
    waits = {}
    with suppress(OSError):
        for folder in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError, ValueError, IndexError):
                waits[folder.name] = int((folder / "schedstat").read_text().split()[1]) / 1e9
    return waits


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
