"""Run folders: everything of one run under one folder that carries its lease, gone when the run is over."""

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from kvm_action.errors import HostError
from kvm_action.leases import FILE_NAME, Lease, lease_for
from kvm_action.units import format_size
from kvm_action.whole_file import write_whole

UNFINISHED: Final = ".new-"


def new_run_id(now: datetime) -> str:
    """An id that sorts by time and that no other run has."""
    return f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


@dataclass
class RunFolder:
    """A run's folder on the host. ``keep`` makes it outlive the context."""

    path: Path
    lease: Lease
    keep: bool = False

    @property
    def overlay(self) -> Path:
        """The copy-on-write disk."""
        return self.path / "overlay.qcow2"

    @property
    def seed(self) -> Path:
        """The NoCloud volume."""
        return self.path / "seed.iso"

    def renew(self, lease: Lease) -> None:
        """Write another lease, atomically."""
        write_whole(self.path / FILE_NAME, lease.to_json())
        self.lease = lease


@contextmanager
def run_folder(runs: Path, run: str) -> Iterator[RunFolder]:
    """Make a run's folder, complete with its lease from its first moment, and remove it at the end."""
    final = runs / run
    aside = runs / f"{UNFINISHED}{run}"
    try:
        aside.mkdir(mode=0o711, parents=True)
        (aside / FILE_NAME).write_text(lease_for(run, final).to_json())
        aside.rename(final)
    except OSError as error:
        shutil.rmtree(aside, ignore_errors=True)
        raise HostError(
            f"cannot make the run's folder {final}: {error.strerror}",
            "free some space, or set KVM_E2E_HOME to another disk",
        ) from error
    folder = RunFolder(final, lease_for(run, final))
    try:
        yield folder
    finally:
        if not folder.keep:
            shutil.rmtree(final, ignore_errors=True)


@dataclass(frozen=True)
class Leftover:
    """A run folder whose owner is gone. ``bytes`` on disk."""

    path: Path
    bytes: int

    def __str__(self) -> str:
        """For a message."""
        return f"{self.path.name} ({format_size(self.bytes)})"


def leftovers(runs: Path, *, kept_too: bool = False) -> list[Leftover]:
    """Folders of dead runs; with ``kept_too`` also those of machines that were kept on purpose."""
    return [
        Leftover(folder, size_of(folder))
        for folder in sorted(runs.glob("*"))
        if folder.is_dir() and not _is_owned(folder, kept_too=kept_too)
    ]


def _is_owned(folder: Path, *, kept_too: bool) -> bool:
    try:
        lease = Lease.from_json((folder / FILE_NAME).read_text())
    except (OSError, ValueError):
        # Half made: its maker died within a moment, or is at it right now.
        return folder.name.startswith(UNFINISHED) and _is_young(folder)
    return lease.is_alive and not (kept_too and lease.kept_until is not None)


def _is_young(folder: Path) -> bool:
    with suppress(OSError):
        return datetime.now().timestamp() - folder.stat().st_mtime < 60  # noqa: DTZ005 - compared with a file's time
    return True


def templates_in_use(runs: Path) -> frozenset[str]:
    """The keys of the templates that living (or kept) machines stand on."""
    used = set()
    for file in runs.glob(f"*/{FILE_NAME}"):
        with suppress(OSError, ValueError):
            lease = Lease.from_json(file.read_text())
            if lease.template and lease.is_alive:
                used.add(lease.template)
    return frozenset(used)


def size_of(folder: Path) -> int:
    """Bytes that the files below ``folder`` occupy on disk."""
    total = 0
    for file in folder.rglob("*"):
        with suppress(OSError):
            total += file.lstat().st_blocks * 512
    return total
