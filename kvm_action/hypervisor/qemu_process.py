"""QEMU as a process of this host: what libvirt does not tell of it, and its end where no libvirt answers."""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

_LAST_BREATH: Final = 5
"""Seconds that the kernel may take to give a killed machine's memory back."""


def peak_memory(domain: str) -> int | None:
    """The most resident bytes that the QEMU of ``domain`` ever had; None when its process is not ours to see."""
    return _sum(domain, "status", r"VmHWM:\s+(\d+) kB")


def unique_memory(domain: str) -> int | None:
    """The bytes that the QEMU of ``domain`` shares with nobody: what would be free without it."""
    return _sum(domain, "smaps_rollup", r"Private_(?:Clean|Dirty):\s+(\d+) kB")


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
