"""How fast this host is right now, in numbers: a slow or busy host explains a slow run."""

import hashlib
import time
from typing import Final

from kvm_action.doctor.finding import Finding, ok, warning
from kvm_action.procfs import Host
from kvm_action.text import counted

ROUNDS: Final = 200_000
SLOW_SECONDS: Final = 0.5
"""For the rounds below; a processor of 2015 takes 0.15 s."""
WAITING: Final = 40.0
"""Percent of the last ten seconds in which something waited for a CPU."""


def processor() -> Finding:
    """One core's speed."""
    return judge_processor(measure())


def measure() -> float:
    """Seconds of processor time for a fixed amount of small hashes: interpreter, calls and memory together."""
    begun = time.thread_time()
    digest = b""
    for _ in range(ROUNDS):
        digest = hashlib.blake2s(digest).digest()
    return time.thread_time() - begun


def judge_processor(seconds: float) -> Finding:
    """Judge the measure."""
    seen = f"{ROUNDS / seconds / 1000:.0f} thousand small hashes a second on one core"
    if seconds < SLOW_SECONDS:
        return ok("CPU speed", seen)
    return warning(
        "CPU speed", f"{seen}: slow, so give plans more time", "# use a faster host, or longer time-outs"
    )


def load(host: Host) -> Finding:
    """Do others compete for the processors? Pressure if the kernel tells it, else the load."""
    count = host.cpu().count or 1
    average = (host.text("/proc/loadavg").split() or ["0"])[0]
    waiting = parse_pressure(host.text("/proc/pressure/cpu"))
    busy = waiting > WAITING if waiting is not None else float(average) > 1.5 * count
    seen = f"load {average} on {counted(count, 'CPU')}"
    if waiting is not None:
        seen += f", work waited for a CPU {waiting:.0f} % of the time"
    if not busy:
        return ok("load", seen)
    return warning("load", f"{seen}: runs will be slow", "ps -eo pcpu,comm --sort=-pcpu | head")


def parse_pressure(text: str) -> float | None:
    """Percent of ten seconds in which some task waited, of /proc/pressure/cpu; None without such a file."""
    for line in text.splitlines():
        kind, *fields = line.split()
        if kind == "some":
            return float(dict(field.split("=") for field in fields)["avg10"])
    return None
