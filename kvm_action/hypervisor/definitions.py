"""What a snapshot says of its machine, made fit for going back: a definition of the past has traps in it.

* Its lease is that of the run, which is over since: the next run of anybody would take the machine for dead.
* A machine that was woken from a template was told to wait for its memory (`-incoming defer`). The QEMU that
  libvirt starts for the way back gets its memory from the snapshot, and must not wait.
"""

from itertools import pairwise
from typing import Final
from xml.etree import ElementTree

import libvirt

from kvm_action.hypervisor.connection import in_our_words
from kvm_action.hypervisor.domain import Domain
from kvm_action.hypervisor.domain_xml import LEASE_NAMESPACE

QEMU: Final = "http://libvirt.org/schemas/domain/qemu/1.0"
_INCOMING: Final = ["-incoming", "defer"]

ElementTree.register_namespace("qemu", QEMU)
ElementTree.register_namespace("lease", LEASE_NAMESPACE)


def fit(definition: ElementTree.Element, lease: str | None) -> None:
    """Change a `<domain>`; ``lease`` None leaves its lease as it is."""
    for element in definition.iterfind(f"metadata/{{{LEASE_NAMESPACE}}}lease"):
        element.text = lease or element.text
    for command_line in definition.iterfind(f"{{{QEMU}}}commandline"):
        arguments = list(command_line)
        for first, second in pairwise(arguments):
            if [first.get("value"), second.get("value")] == _INCOMING:
                command_line.remove(first)
                command_line.remove(second)


def refit(domain: Domain, lease: str | None = None) -> None:
    """Make the definitions in all snapshots of the domain fit. Raises HostError."""
    with in_our_words(f"the snapshots of {domain.name} cannot be kept"):
        for raw in domain.raw.listAllSnapshots(libvirt.VIR_DOMAIN_SNAPSHOT_LIST_TOPOLOGICAL):
            _refit(domain, raw, lease)


def _refit(domain: Domain, raw: libvirt.virDomainSnapshot, lease: str | None) -> None:
    tree = ElementTree.fromstring(raw.getXMLDesc(libvirt.VIR_DOMAIN_XML_SECURE))  # noqa: S314 - libvirt's own XML
    for definition in tree.iterfind("domain"):
        fit(definition, lease)
    flags = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE
    if raw.isCurrent():
        flags |= libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_CURRENT
    domain.raw.snapshotCreateXML(ElementTree.tostring(tree, "unicode"), flags)
