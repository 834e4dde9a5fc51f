"""Leases: who owes a machine or a folder, and whether that owner still lives.

A lease names its owner by pid, start time and boot id, so that a reused pid is never taken for the owner. A pid
means something only where it was taken: a container that shares our home or our libvirt has its own. So an owner
of another place (PID namespace) is taken for alive, for a day. The same text stands in the run's folder and in the
domain's metadata.
"""

import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

FILE_NAME: Final = "lease.json"
KEPT_FOR: Final = timedelta(hours=4)
"""How long a machine stays that was kept on purpose."""
_ELSEWHERE: Final = 24 * 3600
"""Seconds for which the owner in another place is believed to be alive."""
_HIDDEN: Final = -2
"""The start of a process that there is, and of which we may see no more."""


@dataclass(frozen=True, kw_only=True)
class Owner:
    """A process that owns something. ``started`` in clock ticks after the boot, ``since`` in seconds after it."""

    pid: int
    started: int
    boot_id: str
    place: str = ""
    since: float = 0

    @classmethod
    def this_process(cls) -> "Owner":
        """We."""
        pid = os.getpid()
        return cls(pid=pid, started=started(pid), boot_id=boot_id(), place=place(), since=_now())

    @property
    def is_alive(self) -> bool:
        """Does it still run? One in another place may."""
        if self.boot_id != boot_id():
            return False
        if self.place and self.place != place():
            return _now() - self.since < _ELSEWHERE
        return started(self.pid) in (self.started, _HIDDEN)


@dataclass(frozen=True, kw_only=True)
class Lease:
    """What a machine owes to the run that made it. ``owner_started`` is in clock ticks after the boot."""

    run: str
    folder: str
    owner_pid: int
    owner_started: int
    boot_id: str
    repository: str = ""
    job: str = ""
    template: str = ""
    """The key of the template that the machine stands on, which must stay as long as the machine does."""
    image: str = ""
    """The sha256 of the base image below all that, which must stay as well."""
    uri: str = ""
    """The libvirt daemon that has the machine; empty in a lease of an older version."""
    place: str = ""
    since: float = 0
    kept_until: datetime | None = None
    """Set for a machine that was kept on purpose: it then outlives its owner until that moment (UTC)."""

    @property
    def is_alive(self) -> bool:
        """Does the owner still run, or is the machine kept and its time not over?"""
        if self.kept_until is not None:
            return datetime.now(UTC) < self.kept_until
        owner = Owner(
            pid=self.owner_pid,
            started=self.owner_started,
            boot_id=self.boot_id,
            place=self.place,
            since=self.since,
        )
        return owner.is_alive

    def to_json(self) -> str:
        """One line of JSON."""
        values = asdict(self)
        values["kept_until"] = self.kept_until.isoformat() if self.kept_until else None
        return json.dumps(values)

    @classmethod
    def from_json(cls, text: str) -> "Lease":
        """The lease in ``text``. Raises ValueError when it is none of ours."""
        try:
            values = json.loads(text)
            until = values.pop("kept_until")
            known = {field.name for field in fields(cls)}  # a newer version may have more to say
            return cls(
                **{name: value for name, value in values.items() if name in known},
                kept_until=datetime.fromisoformat(until) if until else None,
            )
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"not a lease: {text[:80]!r}") from error


def lease_for(run: str, folder: Path, uri: str = "", environ: Mapping[str, str] = os.environ) -> Lease:
    """A lease that this process holds. ``uri``: the libvirt daemon of its machine."""
    owner = Owner.this_process()
    return Lease(
        run=run,
        folder=str(folder),
        owner_pid=owner.pid,
        owner_started=owner.started,
        boot_id=owner.boot_id,
        place=owner.place,
        since=owner.since,
        repository=environ.get("GITHUB_REPOSITORY", ""),
        job=environ.get("GITHUB_JOB", ""),
        uri=uri,
    )


def boot_id() -> str:
    """What identifies this boot of the host."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def place() -> str:
    """Where our process ids mean something."""
    return str(Path("/proc/self/ns/pid").readlink())


def started(pid: int) -> int:
    """When ``pid`` started, in clock ticks after the boot (proc(5), field 22); -1 when it does not run."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return _HIDDEN if _is_hidden(pid) else -1
    state, *rest = text.rpartition(")")[2].split()
    return -1 if state == "Z" else int(rest[18])


def _now() -> float:
    """Seconds after the boot, which no clock that is set can change."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _is_hidden(pid: int) -> bool:
    """Is it another user's, on a host that shows each user only its own (`hidepid`)?"""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return False
