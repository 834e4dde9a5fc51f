"""Domains that carry our lease: found by their metadata alone, whoever made them."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import libvirt

from kvm_action.errors import HostError
from kvm_action.hypervisor.connection import Connection, first_sentence
from kvm_action.hypervisor.domain import Domain
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


def find_domain(connection: Connection, name: str) -> Domain | None:
    """The domain of that name, None when the daemon has none. Raises HostError when it cannot tell."""
    try:
        return Domain(connection.raw.lookupByName(name), connection)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return None
        raise HostError(f"libvirt cannot tell about {name}: {first_sentence(error)}") from error


def has_domain(connection: Connection, name: str) -> bool:
    """Does the daemon have a domain of that name, running or not? When it cannot tell, it may."""
    try:
        return find_domain(connection, name) is not None
    except HostError:
        return True


def destroy_abandoned(connection: Connection, *, kept_below: Path | None = None) -> list[OwnedDomain]:
    """Destroy (and undefine) the domains whose lease is dead, whoever made them; returns them.

    With ``kept_below`` also those that were kept on purpose, if their folder lies below it: the daemon may have
    kept machines of other homes and other users too.
    """
    gone = []
    for raw, lease in _with_lease(connection):
        if lease.is_alive and not (kept_below and lease.kept_until and _lies_below(lease, kept_below)):
            continue
        gone.append(OwnedDomain(raw.name(), lease))
        with suppress(libvirt.libvirtError):
            raw.destroy()
        with suppress(libvirt.libvirtError):
            raw.undefineFlags(_UNDEFINE)
        connection.forget_log(raw.name())
    return gone


def _lies_below(lease: Lease, folder: Path) -> bool:
    return Path(lease.folder).resolve().is_relative_to(folder.resolve())


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
