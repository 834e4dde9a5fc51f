"""QEMU as a process of this host: what libvirt does not tell of it."""

import re
from contextlib import suppress
from pathlib import Path

import psutil


def peak_memory(domain: str) -> int | None:
    """The most resident bytes that the QEMU of ``domain`` ever had; None when its process is not ours to see."""
    return _sum(domain, "status", r"VmHWM:\s+(\d+) kB")


def unique_memory(domain: str) -> int | None:
    """The bytes that the QEMU of ``domain`` shares with nobody: what would be free without it."""
    return _sum(domain, "smaps_rollup", r"Private_(?:Clean|Dirty):\s+(\d+) kB")


def _sum(domain: str, file: str, figure: str) -> int | None:
    for process in psutil.process_iter(["cmdline"]):
        if f"guest={domain}," in " ".join(process.info["cmdline"] or ()):
            with suppress(OSError):
                found = re.findall(figure, Path(f"/proc/{process.pid}/{file}").read_text())
                return sum(map(int, found)) * 1024 if found else None
    return None
