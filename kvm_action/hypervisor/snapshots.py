"""Snapshots of a running domain, with disk and memory: taken, listed, reverted to, deleted.

Which way back works on a host is `snapshot_probe`'s business.
"""

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import libvirt

from kvm_action.errors import HostError
from kvm_action.hypervisor import external_snapshots
from kvm_action.hypervisor.connection import in_our_words
from kvm_action.hypervisor.domain import Domain
from kvm_action.templating import render


class Way(StrEnum):
    """How a machine goes back to a snapshot.

    ``libvirt`` starts QEMU anew from an internal snapshot. ``qemu`` loads that into the QEMU that runs (`loadvm`):
    for hosts whose libvirt fails (11.2 and 11.3 lose the machine), at the price of the guest agent, which libvirt
    then takes to be gone. ``restore`` is for external snapshots (`external_snapshots`).
    """

    LIBVIRT = "libvirt"
    QEMU = "qemu"
    RESTORE = "restore"


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A snapshot as libvirt knows it, so that it is called here what `virsh snapshot-list` calls it."""

    name: str
    parent: str | None
    created: datetime
    state: str
    memory: bool
    method: str
    is_current: bool
    memory_file: Path | None = None
    """Of an external one."""


def take(domain: Domain, name: str, description: str, way: Way, files: Path) -> None:
    """Take one for which ``way`` leads back; the guest stands still meanwhile.

    An internal one has its memory in the disk's file, an external one in the folder ``files``. Raises HostError
    with libvirt's reason.
    """
    if way is Way.RESTORE:
        external_snapshots.take(domain, name, description, files)
        return
    with in_our_words(f"no snapshot “{name}”", "see QEMU's log"):
        disks = disks_of(domain.xml())
        domain.raw.snapshotCreateXML(render("snapshot.xml.j2", name=name, description=description, disks=disks))


def disks_of(xml: str) -> list[tuple[str, str]]:
    """The disks in a domain's XML, and how each is in an internal snapshot: what is read-only needs none."""
    tree = ElementTree.fromstring(xml)  # noqa: S314 - libvirt's own XML
    disks = [(disk.find("target"), disk.find("readonly")) for disk in tree.iterfind("devices/disk")]
    return [
        (target.get("dev", ""), "internal" if fixed is None else "no")
        for target, fixed in disks
        if target is not None
    ]


def listed(domain: Domain) -> list[Snapshot]:
    """All snapshots, oldest first. Raises HostError when libvirt does not tell."""
    with in_our_words(f"the snapshots of {domain.name} cannot be listed"):
        found = [_read(raw) for raw in domain.raw.listAllSnapshots()]
    return sorted(found, key=lambda snapshot: (snapshot.created, _depth(snapshot, found)))


def memory_bytes(domain: Domain, name: str) -> int:
    """What an internal snapshot keeps of the memory, as QEMU finds it on the disk; 0 when it is not there.

    QEMU is asked, since the disk may be another user's while the machine runs. Raises HostError.
    """
    devices: Any = domain.qmp("query-block")
    images = [device.get("inserted", {}).get("image", {}) for device in devices]
    found = [each for image in images for each in image.get("snapshots", ()) if each["name"] == name]
    return max((int(each["vm-state-size"]) for each in found), default=0)


def revert(domain: Domain, name: str, way: Way, files: Path) -> str:
    """Go back, and run. Returns the snapshots that were lost by that, with reasons; empty for none.

    Raises HostError; the caller sees whether the machine is still there.
    """
    try:
        with in_our_words(f"{domain.name} did not go back to “{name}”"):
            return _revert(domain, name, way, files)
    finally:
        _go_on(domain)


def _revert(domain: Domain, name: str, way: Way, files: Path) -> str:
    if way is Way.RESTORE:
        return external_snapshots.revert(domain, name, files)
    if way is Way.LIBVIRT:
        wanted = domain.raw.snapshotLookupByName(name)
        domain.raw.revertToSnapshot(wanted, libvirt.VIR_DOMAIN_SNAPSHOT_REVERT_RUNNING)
    else:
        _load(domain, name)
    return ""


def _go_on(domain: Domain) -> None:
    """QEMU 7.2 leaves a machine paused that could not load a snapshot."""
    with suppress(libvirt.libvirtError, HostError):
        if domain.raw.state()[0] == libvirt.VIR_DOMAIN_PAUSED:
            domain.resume()


def delete(domain: Domain, name: str) -> None:
    """Delete one snapshot; its children become its parent's. Raises HostError."""
    with in_our_words(f"“{name}” cannot be deleted"):
        wanted = domain.raw.snapshotLookupByName(name)
        if external_snapshots.memory_file(wanted.getXMLDesc()):
            external_snapshots.forget(domain, name)
        else:
            wanted.delete()


def _load(domain: Domain, name: str) -> None:
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    if trouble := domain.monitor(f'loadvm "{quoted}"').strip():
        raise HostError(f"{domain.name} did not go back to “{name}”: {trouble}")
    raw = domain.raw.snapshotLookupByName(name)  # libvirt has to be told where the machine now is
    flags = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_CURRENT
    domain.raw.snapshotCreateXML(raw.getXMLDesc(libvirt.VIR_DOMAIN_XML_SECURE), flags)


def _read(raw: libvirt.virDomainSnapshot) -> Snapshot:
    tree = ElementTree.fromstring(raw.getXMLDesc())  # noqa: S314 - libvirt's own XML
    memory = tree.find("memory")
    kind = memory.get("snapshot", "no") if memory is not None else "no"
    return Snapshot(
        name=raw.getName(),
        parent=tree.findtext("parent/name"),
        created=datetime.fromtimestamp(int(tree.findtext("creationTime", "0")), UTC),
        state=tree.findtext("state", ""),
        memory=kind != "no",
        method=kind if kind != "no" else "disk",
        is_current=bool(raw.isCurrent()),
        memory_file=external_snapshots.memory_file(raw.getXMLDesc()),
    )


def _depth(snapshot: Snapshot, all_of_them: list[Snapshot]) -> int:
    parents = {each.name: each.parent for each in all_of_them}
    depth, name = 0, snapshot.parent
    while name and depth < len(parents):
        depth, name = depth + 1, parents.get(name)
    return depth
