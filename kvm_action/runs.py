"""Run folders: everything of one run under one folder that carries its lease, gone when the run is over."""

import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from kvm_action.errors import HostError
from kvm_action.leases import FILE_NAME, Lease, lease_for
from kvm_action.shortage import lack_of
from kvm_action.units import format_size
from kvm_action.whole_file import write_whole

UNFINISHED: Final = ".new-"
LOCK: Final = "lock"
"""Held by whoever changes a kept machine, so that nobody takes its folder away meanwhile."""
PRIVATE: Final = "private"


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

    @property
    def private(self) -> Path:
        """A folder in it that nobody else may enter."""
        return self.path / PRIVATE

    def renew(self, lease: Lease) -> None:
        """Write another lease, atomically."""
        write_whole(self.path / FILE_NAME, lease.to_json())
        self.lease = lease


@contextmanager
def run_folder(runs: Path, run: str, uri: str = "") -> Iterator[RunFolder]:
    """Make a run's folder, complete with its lease from its first moment, and remove it at the end.

    ``uri``: the libvirt daemon that will have its machine.
    """
    final = runs / run
    aside = runs / f"{UNFINISHED}{run}"
    try:
        aside.mkdir(mode=0o711, parents=True)
        (aside / PRIVATE).mkdir(mode=0o700)
        (aside / FILE_NAME).write_text(lease_for(run, final, uri).to_json())
        aside.rename(final)
    except OSError as error:
        shutil.rmtree(aside, ignore_errors=True)
        raise HostError(
            f"cannot make the run's folder {final}: {error.strerror}",
            "free some space, or set KVM_E2E_HOME to another disk",
        ) from error
    folder = RunFolder(final, lease_for(run, final, uri))
    try:
        yield folder
    finally:
        if not folder.keep:
            shutil.rmtree(final, ignore_errors=True)


@dataclass(frozen=True)
class Leftover:
    """A folder whose owner is gone. ``bytes`` on disk."""

    path: Path
    bytes: int

    def __str__(self) -> str:
        """For a message."""
        return f"{self.path.name} ({format_size(self.bytes)})"


def read_lease(folder: Path) -> Lease | None:
    """The lease of a run's folder, None when there is no readable one.

    Raises HostError when this host has no more files or memory for us now, which says nothing of the run.
    """
    try:
        return Lease.from_json((folder / FILE_NAME).read_text())
    except ValueError:
        return None
    except OSError as error:
        if lack := lack_of(error):
            raise lack from error
        return None


def kept_leases(runs: Path) -> list[Lease]:
    """The leases of the machines that were kept on purpose, oldest first, whether their time is over or not."""
    leases = (read_lease(folder) for folder in sorted(runs.glob("*")))
    return [lease for lease in leases if lease and lease.kept_until]


def _nobody(_lease: Lease) -> bool:
    return False


def leftovers(runs: Path, is_over: Callable[[Lease], bool] = _nobody) -> list[Leftover]:
    """Folders of dead runs, and of kept machines of which ``is_over`` says that they are no more.

    ``is_over`` is asked while nobody changes the machine.
    """
    return [
        Leftover(folder, size_of(folder))
        for folder in sorted(runs.glob("*"))
        if folder.is_dir() and not _is_owned(folder, is_over)
    ]


def _is_owned(folder: Path, is_over: Callable[[Lease], bool]) -> bool:
    try:
        lease = read_lease(folder)
    except HostError:
        return True
    if lease is None:
        # Half made: its maker died within a moment, or is at it right now.
        return folder.name.startswith(UNFINISHED) and _is_young(folder)
    if lease.kept_until is None or not lease.is_alive:
        return lease.is_alive
    try:
        with FileLock(folder / LOCK, timeout=0):
            return not is_over(lease)
    except (Timeout, OSError):
        return True


def _is_young(folder: Path) -> bool:
    with suppress(OSError):
        return datetime.now().timestamp() - folder.stat().st_mtime < 60  # noqa: DTZ005 - compared with a file's time
    return True


def templates_in_use(runs: Path) -> frozenset[str]:
    """The keys of the templates that living (or kept) machines stand on."""
    return frozenset(lease.template for lease in _living(runs) if lease.template)


def images_in_use(runs: Path) -> dict[str, str]:
    """The runs whose living (or kept) machines stand on a base image, by its sha256."""
    return {lease.image: lease.run for lease in _living(runs) if lease.image}


def _living(runs: Path) -> list[Lease]:
    leases = (read_lease(folder) for folder in sorted(runs.glob("*")))
    return [lease for lease in leases if lease and lease.is_alive]


def size_of(folder: Path) -> int:
    """Bytes that the files below ``folder`` occupy on disk."""
    total = 0
    with suppress(OSError):  # another run may be removing it
        for file in folder.rglob("*"):
            with suppress(OSError):
                total += file.lstat().st_blocks * 512
    return total
