"""Domains that carry our lease: found by their metadata alone, whoever made them."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from xml.etree import ElementTree

import libvirt

from kvm_action.hypervisor.connection import Connection
from kvm_action.hypervisor.domain_xml import LEASE_NAMESPACE
from kvm_action.leases import Lease


@dataclass(frozen=True)
class OwnedDomain:
    """A domain of ours, with its lease."""

    name: str
    lease: Lease


def owned_domains(connection: Connection) -> list[OwnedDomain]:
    """All domains with a readable lease of ours; a foreign machine has none and is never seen here."""
    return [OwnedDomain(raw.name(), lease) for raw, lease in _with_lease(connection)]


def destroy_abandoned(connection: Connection, *, kept_too: bool = False) -> list[OwnedDomain]:
    """Destroy (and undefine) the domains whose lease is dead; returns them."""
    gone = []
    for raw, lease in _with_lease(connection):
        if lease.is_alive and not (kept_too and lease.kept_until is not None):
            continue
        gone.append(OwnedDomain(raw.name(), lease))
        with suppress(libvirt.libvirtError):
            raw.destroy()
        with suppress(libvirt.libvirtError):
            raw.undefineFlags(_UNDEFINE)
        connection.forget_log(raw.name())
    return gone


_UNDEFINE = (
    libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
    | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
)


def _with_lease(connection: Connection) -> Iterator[tuple[libvirt.virDomain, Lease]]:
    for raw in connection.raw.listAllDomains():
        with suppress(libvirt.libvirtError, ValueError, ElementTree.ParseError):
            element = raw.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, LEASE_NAMESPACE)
            text = ElementTree.fromstring(element).text  # noqa: S314 - libvirt's own XML
            yield raw, Lease.from_json(text or "")
