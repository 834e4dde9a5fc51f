"""Snapshots of a running domain, with disk and memory."""

import time
from datetime import UTC, datetime

import libvirt

from kvm_action.guest import Skipped
from kvm_action.hypervisor.connection import first_sentence
from kvm_action.hypervisor.domain import Domain
from kvm_action.results import SnapshotInfo
from kvm_action.templating import render


def take_snapshot(domain: Domain, name: str, parent: str | None) -> SnapshotInfo:
    """Take an internal snapshot: the memory goes into the overlay too, and the guest stands still meanwhile.

    Raises Skipped with libvirt's reason where this host, firmware or disk cannot.
    """
    created, began = datetime.now(UTC), time.monotonic()
    try:
        domain.create_snapshot(render("snapshot.xml.j2", name=name))
    except libvirt.libvirtError as error:
        raise Skipped(f"no snapshot “{name}”: {first_sentence(error)}") from error
    return SnapshotInfo(
        name=name,
        parent=parent,
        created=created,
        created_by="kvm-e2e",
        method="internal",
        memory=True,
        seconds=round(time.monotonic() - began, 3),
    )
