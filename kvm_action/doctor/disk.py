"""Disk space and speed where images, runs and temporary files live."""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final

import psutil

from kvm_action.doctor.finding import Finding, Level, ok, problem, warning
from kvm_action.units import format_seconds, format_size

GIB: Final = 1 << 30
LEAST: Final = 2 * GIB
USUAL: Final = 10 * GIB
"""An image, its making, and an overlay with a desktop."""
SLOW: Final = 40 << 20
"""Bytes per second; a spinning disk writes more than twice that."""

CHUNK: Final = 1 << 20
CHUNKS: Final = 32
MEASURE_SECONDS: Final = 0.3


def space(places: Mapping[str, Path]) -> list[Finding]:
    """One finding per file system; ``places`` tells what each folder is for. The folders need not exist yet."""
    by_device: dict[int, list[str]] = {}
    folders: dict[int, Path] = {}
    for purpose, folder in places.items():
        existing = nearest(folder)
        device = existing.stat().st_dev
        by_device.setdefault(device, []).append(purpose)
        folders.setdefault(device, existing)
    return [
        judge(", ".join(purposes), folders[device], psutil.disk_usage(str(folders[device])).free)
        for device, purposes in by_device.items()
    ]


def nearest(folder: Path) -> Path:
    """The folder, or the closest one above it that exists."""
    return next(place for place in (folder, *folder.parents) if place.is_dir())


def judge(purpose: str, folder: Path, free: int) -> Finding:
    """Judge the free bytes in ``folder``."""
    subject, seen = f"disk for {purpose}", f"{format_size(free)} free at {folder}"
    mend = "export KVM_E2E_HOME=/a/larger/disk TMPDIR=/a/larger/disk\nkvm-e2e reap"
    if not os.access(folder, os.W_OK):
        return problem(subject, f"{folder} is not writable", "export KVM_E2E_HOME=/a/folder/of/yours")
    if free >= USUAL:
        return ok(subject, seen)
    level = Level.WARNING if free >= LEAST else Level.PROBLEM
    return Finding(subject=subject, level=level, seen=f"{seen}; {format_size(USUAL)} are recommended", mend=mend)


def speed(folder: Path) -> Finding:
    """Write for a moment, synchronously, and see how fast the disk is."""
    place = nearest(folder)
    if not os.access(place, os.W_OK):
        return ok("disk speed", "not measured: the folder is not writable")
    return judge_speed(*measure(place))


def measure(folder: Path) -> tuple[float, float]:
    """Bytes per second of writing, and seconds of the final flush to the disk itself."""
    chunk = os.urandom(CHUNK)
    with TemporaryFile(dir=folder) as file:
        begun = time.monotonic()
        written = 0
        while written < CHUNK * CHUNKS and time.monotonic() - begun < MEASURE_SECONDS:
            written += file.write(chunk)
        file.flush()
        flushing = time.monotonic()
        os.fsync(file.fileno())
        ended = time.monotonic()
    return written / (ended - begun), ended - flushing


def judge_speed(rate: float, flush: float) -> Finding:
    """Judge the measure."""
    seen = f"{format_size(int(rate))}/s written, flushed in {format_seconds(flush)}"
    if rate >= SLOW:
        return ok("disk speed", seen)
    mend = "export KVM_E2E_HOME=/a/folder/on/an/ssd"
    return warning("disk speed", f"{seen}: copies and snapshots will be slow", mend)
