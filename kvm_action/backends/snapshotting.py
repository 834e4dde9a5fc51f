"""A machine's snapshots: taken by a method whose way back works on this host, looked at again, written down."""

import json
import re
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from kvm_action.errors import HostError, PlanError
from kvm_action.guest import Skipped
from kvm_action.hypervisor import snapshots
from kvm_action.hypervisor.connection import Connection
from kvm_action.hypervisor.definitions import refit
from kvm_action.hypervisor.domain import Domain
from kvm_action.hypervisor.snapshot_probe import Ability, ability
from kvm_action.hypervisor.snapshots import Snapshot, Way
from kvm_action.paths import Home
from kvm_action.results import SnapshotInfo
from kvm_action.units import format_size
from kvm_action.whole_file import write_whole

RECORDS: Final = "snapshots.json"
BY_US: Final = "kvm-e2e"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Snapshots:
    """The snapshots of the machine ``domain``, whose files are in ``folder``."""

    connection: Connection
    domain: Domain
    folder: Path
    firmware: str

    @property
    def files(self) -> Path:
        """Where external snapshots have their files."""
        return self.folder / "snapshots"

    def ability(self) -> Ability:
        """Can it go back, and how? Raises HostError when that cannot be found out."""
        home = Home(self.folder.parent.parent)
        return ability(self.connection, home, self.firmware)

    def require_ability(self) -> Way:
        """The way back. Raises HostError, with the reason, where there is none."""
        able = self.ability()
        if able.way is None:
            raise HostError(
                f"machines of this host cannot go back to a snapshot ({self.firmware}): {able.reason}",
                "`kvm-e2e doctor` shows which firmware can; a plan with firmware: bios most often does",
            )
        return able.way

    def take(self, name: str, created_by: str = BY_US, description: str = "made by kvm-e2e") -> SnapshotInfo:
        """Take one with disk and memory, and look whether it is there. Raises HostError, PlanError."""
        way = self.require_ability()
        require_new_name(name, [each.name for each in self.listed()])
        created, began = datetime.now(UTC), time.monotonic()
        snapshots.take(self.domain, name, description, way, self.files)
        refit(self.domain)
        seconds = round(time.monotonic() - began, 3)
        taken = self._find(name)
        memory = self._bytes_on_disk(taken)
        info = SnapshotInfo(
            name=name,
            parent=taken.parent,
            created=created,
            created_by=created_by,
            method=taken.method,
            memory=taken.memory,
            state=taken.state,
            seconds=seconds,
            bytes=memory,
            verified=taken.memory and memory > 0,
            detail=f"found again with {format_size(memory)} of memory; the way back, by {way}, works on this host"
            if memory
            else "libvirt took it, but its memory is not on the disk",
        )
        self.record({**self.records(), name: info})
        return info

    def take_in_run(self, name: str, run: str) -> SnapshotInfo:
        """Take one of a run's own. Raises Skipped, with the reason, where this host cannot."""
        try:
            return self.take(name, description=f"made by kvm-e2e in the run {run}")
        except HostError as error:
            raise Skipped(error.message) from error

    def listed(self) -> list[Snapshot]:
        """As libvirt knows them, oldest first."""
        return snapshots.listed(self.domain)

    def delete(self, name: str) -> None:
        """Delete one. Raises HostError, PlanError."""
        require_known_name(name, [each.name for each in self.listed()])
        snapshots.delete(self.domain, name)
        parents = {each.name: each.parent for each in self.listed()}
        left = {key: info for key, info in self.records().items() if key in parents}
        self.record({key: replace(info, parent=parents[key]) for key, info in left.items()})

    def records(self) -> dict[str, SnapshotInfo]:
        """What was written down when they were taken; nothing of those that others took."""
        return read_records(self.folder)

    def record(self, records: Mapping[str, SnapshotInfo]) -> None:
        """Write it down."""
        listed = [asdict(info) | {"created": info.created.isoformat()} for info in records.values()]
        write_whole(self.folder / RECORDS, json.dumps(listed, indent=2) + "\n")

    def _find(self, name: str) -> Snapshot:
        for each in self.listed():
            if each.name == name:
                return each
        raise HostError(f"libvirt took the snapshot “{name}”, and does not know it", "see libvirt's log")

    def _bytes_on_disk(self, taken: Snapshot) -> int:
        if taken.memory_file:
            return taken.memory_file.stat().st_size if taken.memory_file.exists() else 0
        return snapshots.memory_bytes(self.domain, taken.name)


def read_records(folder: Path) -> dict[str, SnapshotInfo]:
    """The records in a run's folder by name; what cannot be read is left out."""
    try:
        listed = json.loads((folder / RECORDS).read_text())
        known = {field.name for field in fields(SnapshotInfo)}
        infos = [
            SnapshotInfo(
                **{key: value for key, value in each.items() if key in known and key != "created"},
                created=datetime.fromisoformat(each["created"]),
            )
            for each in listed
        ]
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}
    return {info.name: info for info in infos}


def require_new_name(name: str, there: list[str]) -> None:
    """Raise PlanError for a name that a snapshot cannot have, or that another one has."""
    if not _NAME.fullmatch(name):
        raise PlanError(
            f"{name!r} cannot name a snapshot", "use up to 64 letters, digits, dots, dashes and underscores"
        )
    if name in there:
        raise PlanError(
            f"there is a snapshot “{name}” already",
            f"choose another name, or delete it first; there are: {', '.join(there)}",
        )


def require_known_name(name: str, there: list[str]) -> None:
    """Raise PlanError when there is no snapshot of that name."""
    if name not in there:
        raise PlanError(f"there is no snapshot {name!r}", f"there are: {', '.join(there) or 'none'}")
