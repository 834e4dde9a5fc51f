"""Putting a finished file in its place so that it is there whole or not at all."""

import os
from pathlib import Path


def publish(finished: Path, place: Path) -> None:
    """Move ``finished`` to ``place`` on the same file system, read-only and safe from a power cut."""
    finished.chmod(0o444)
    _sync(finished)
    finished.replace(place)
    _sync(place.parent)


def write_whole(text: str, place: Path) -> None:
    """Write a small text file; a reader sees the old text or the new one."""
    aside = place.with_name(f".{place.name}.{os.getpid()}")
    aside.write_text(text)
    publish(aside, place)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
