"""Work folders that say whose they are, so that what a killed process left can be told from work going on."""

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Final

from kvm_action.leases import Owner

_OWNER: Final = "owner.json"
_SCRATCH: Final = "kvm-e2e-"


@contextlib.contextmanager
def work_folder(parent: Path, name: str) -> Iterator[Path]:
    """A new folder in ``parent``, marked as this process's, removed at the end."""
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=parent))
    try:
        (folder / _OWNER).write_text(json.dumps(asdict(Owner.this_process())))
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def scratch(purpose: str) -> Iterator[Path]:
    """A work folder below ``$TMPDIR``: its path is short, as those of sockets must be."""
    with work_folder(Path(tempfile.gettempdir()), f"{_SCRATCH}{purpose}") as folder:
        yield folder


def abandoned(parent: Path) -> list[Path]:
    """The work folders whose process is gone."""
    return [folder for folder in sorted(parent.iterdir()) if _is_abandoned(folder)] if parent.is_dir() else []


def remove_abandoned(parent: Path) -> list[Path]:
    """Remove them; returns them."""
    return _remove(abandoned(parent))


def remove_abandoned_scratch() -> list[Path]:
    """The same for scratch folders. Those of other users are theirs to remove."""
    scratch_folders = sorted(Path(tempfile.gettempdir()).glob(f"{_SCRATCH}*"))
    return _remove([folder for folder in scratch_folders if _is_abandoned(folder)])


def _remove(folders: list[Path]) -> list[Path]:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    return folders


def _is_abandoned(folder: Path) -> bool:
    try:
        if folder.is_symlink() or folder.stat().st_uid != os.geteuid():
            return False
        return not Owner(**json.loads((folder / _OWNER).read_text())).is_alive
    except (OSError, ValueError, TypeError):  # it is being made this very moment, or not ours
        return False
