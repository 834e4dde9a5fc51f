"""Work folders that say whose they are, so that what a killed process left can be told from work going on."""

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil

_OWNER = "owner.json"


@contextlib.contextmanager
def work_folder(parent: Path, name: str) -> Iterator[Path]:
    """A new folder in ``parent``, marked as this process's, removed at the end."""
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=parent))
    owner = {"pid": os.getpid(), "started": psutil.Process().create_time()}
    (folder / _OWNER).write_text(json.dumps(owner))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_abandoned(parent: Path) -> list[Path]:
    """Remove the work folders whose process is gone; returns them. A folder without a mark is being made."""
    if not parent.is_dir():
        return []
    abandoned = [folder for folder in parent.iterdir() if folder.is_dir() and not _is_owned(folder)]
    for folder in abandoned:
        shutil.rmtree(folder, ignore_errors=True)
    return abandoned


def _is_owned(folder: Path) -> bool:
    try:
        owner = json.loads((folder / _OWNER).read_text())
        started = psutil.Process(owner["pid"]).create_time()
    except (FileNotFoundError, json.JSONDecodeError):
        return True
    except psutil.NoSuchProcess:
        return False
    return abs(started - float(owner["started"])) < 1
