"""Which processes have an image open. Sees those of the same user, and everybody's when it is root."""

import contextlib
from pathlib import Path

import psutil


def processes_that_use(path: Path) -> list[int]:
    """The ids of the processes that hold ``path`` open."""
    place = str(path.resolve())
    return [process.pid for process in psutil.process_iter() if _has_open(process, place)]


def _has_open(process: psutil.Process, place: str) -> bool:
    with contextlib.suppress(psutil.Error):
        return any(file.path == place for file in process.open_files())
    return False
