"""The queue of a host: one file a run in a folder that all users share, held by flock.

The kernel lets go of a lock when its process ends, however it ends, so that a crash frees the place. The folder
itself is locked for each look, so that two never judge at once. A file that nobody holds counts for nothing.
"""

import fcntl
import json
import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from kvm_action.admission.limits import Need
from kvm_action.errors import HostError
from kvm_action.wait import Deadline, until

SHARED: Final = (Path("/run/lock/kvm-e2e"), Path("/var/tmp/kvm-e2e-queue"))  # noqa: S108 - sticky, owner checked
SUFFIX: Final = ".ticket"
HALF_MADE: Final = timedelta(seconds=0.3)
LOOK: Final = timedelta(seconds=30)
_SIZE: Final = 4096
_DIGITS: Final = 20


@dataclass(frozen=True, kw_only=True)
class Ticket:
    """A place in the queue. ``admitted_at``: seconds since the epoch, None while it waits."""

    name: str
    need: Need
    admitted_at: float | None = None


def shared_folder(fallback: Path, candidates: Sequence[Path] = SHARED) -> Path:
    """The folder of the queue: the first that all users can share, else ``fallback``, for this user alone."""
    for folder in candidates:
        with suppress(OSError):
            if not folder.exists() and folder.parent.is_dir():
                _make_shared(folder)
            if until(lambda: _is_shared(folder), Deadline(HALF_MADE), every=0.02):  # noqa: B023 - used at once
                return folder
    fallback.mkdir(parents=True, exist_ok=True)
    return fallback


def _make_shared(folder: Path) -> None:
    """Like /tmp: anybody may add a file, and take away his own only."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o755)
        folder.chmod(0o1777)


def _is_shared(folder: Path) -> bool:
    mode = folder.lstat().st_mode
    return stat.S_ISDIR(mode) and mode & 0o1777 == 0o1777 and os.access(folder, os.W_OK | os.R_OK)


class Queue:
    """This run's place in the queue of ``folder``. Used once, within `taken`."""

    def __init__(self, folder: Path, descriptor: int, name: str, need: Need) -> None:
        """Holds the lock on the file ``descriptor``, which is its place."""
        self._folder = folder
        self._descriptor = descriptor
        self._ticket = Ticket(name=name, need=need)

    def look(self, judge: Callable[[Sequence[Ticket]], bool]) -> bool:
        """Show ``judge`` the living tickets before this one, oldest first; its yes admits this one."""
        with locked(self._folder):
            before = [each for each in living(self._folder) if each.name < self._ticket.name]
            if not judge(before):
                return False
            self._write(Ticket(name=self._ticket.name, need=self._ticket.need, admitted_at=time.time()))
            return True

    def _write(self, ticket: Ticket) -> None:
        os.pwrite(self._descriptor, _text(ticket), 0)


@contextmanager
def taken(folder: Path, run: str, need: Need) -> Iterator[Queue]:
    """Take a ticket, behind all that are there, and give it back at the end."""
    try:
        with locked(folder):
            name = f"{_next(folder):0{_DIGITS}d}-{run}{SUFFIX}"
            path = folder / name
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
            os.fchmod(descriptor, 0o644)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            os.pwrite(descriptor, _text(Ticket(name=name, need=need)), 0)
    except OSError as error:
        raise HostError(
            f"the queue of this host, {folder}, cannot be used: {error.strerror}",
            "KVM_E2E_ADMISSION=off goes without it",
        ) from error
    try:
        yield Queue(folder, descriptor, name, need)
    finally:
        with suppress(OSError):
            path.unlink()
        os.close(descriptor)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Be the only one who looks at the queue. Raises HostError when another one does so for ever."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if not until(lambda: _try_lock(descriptor), Deadline(LOOK), every=0.02):
            raise HostError(
                f"another process has kept the queue {folder} locked for {LOOK.seconds} s",
                f"`fuser -v {folder}` names it; KVM_E2E_ADMISSION=off goes without the queue",
            )
        yield
    finally:
        os.close(descriptor)


def living(folder: Path) -> list[Ticket]:
    """The tickets that a process holds, oldest first; those of dead ones go, where they are ours to remove."""
    found = []
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        with suppress(OSError, ValueError, TypeError, KeyError, OverflowError):
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                if _try_lock(descriptor):
                    path.unlink()
                else:
                    found.append(_read(path.name, os.pread(descriptor, _SIZE, 0)))
            finally:
                os.close(descriptor)
    return found


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _next(folder: Path) -> int:
    """A number above all that are there, whatever the clock does; most often the time."""
    numbers = [path.name.partition("-")[0] for path in folder.glob(f"*-*{SUFFIX}")]
    after = [int(number) + 1 for number in numbers if number.isdecimal() and len(number) <= _DIGITS]
    return max([time.time_ns(), *(number for number in after if number < 10**_DIGITS)])


def _text(ticket: Ticket) -> bytes:
    """Padded, so that a shorter text leaves nothing of a longer one."""
    values = asdict(ticket.need) | {"pid": os.getpid(), "admitted_at": ticket.admitted_at}
    return json.dumps(values).encode().ljust(_SIZE - 1) + b"\n"


def _read(name: str, text: bytes) -> Ticket:
    values = json.loads(text)
    at = values["admitted_at"]
    need = Need(memory=int(values["memory"]), cpus=int(values["cpus"]), disk=int(values["disk"]))
    return Ticket(name=name, need=need, admitted_at=float(at) if at is not None else None)
