"""QEMU as a process of this host: what libvirt does not tell of it."""

import re
from contextlib import suppress
from pathlib import Path

import psutil


def peak_memory(domain: str) -> int | None:
    """The most resident bytes that the QEMU of ``domain`` ever had; None when its process is not ours to see."""
    for process in psutil.process_iter(["cmdline"]):
        if f"guest={domain}," in " ".join(process.info["cmdline"] or ()):
            with suppress(OSError):
                found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
                return int(found[1]) * 1024 if found else None
    return None
