"""Snapshots in files of their own, where disk or firmware take no internal ones (UEFI, before libvirt 10.9).

libvirt writes the memory to a file and goes on in a new disk layer. To go back, that memory is restored on another
layer over the disk as it was; libvirt does that by itself from 9.9 on only, and for fewer machines.
"""

import secrets
from contextlib import suppress
from copy import deepcopy
from datetime import timedelta
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

import libvirt

from kvm_action import proc
from kvm_action.errors import HostError
from kvm_action.hypervisor.connection import first_sentence, in_our_words
from kvm_action.hypervisor.definitions import fit
from kvm_action.hypervisor.domain import Domain
from kvm_action.templating import render

QUICK: Final = timedelta(seconds=20)
Xml = ElementTree.Element


def take(domain: Domain, name: str, description: str, folder: Path) -> None:
    """Take one whose files are in ``folder``, which is made. Raises HostError with libvirt's reason."""
    folder.mkdir(mode=0o711, exist_ok=True)
    layers = {disk: folder / f"{name}-{secrets.token_hex(4)}-{disk}.qcow2" for disk in _writable(domain.xml())}
    xml = render(
        "external_snapshot.xml.j2",
        name=name,
        description=description,
        memory=folder / f"{name}-{secrets.token_hex(4)}.memory",
        layers=layers,
        others=[disk for disk in _targets(domain.xml()) if disk not in layers],
    )
    with in_our_words(f"no snapshot “{name}”", "see QEMU's log"):
        domain.raw.snapshotCreateXML(xml)


def revert(domain: Domain, name: str, folder: Path) -> str:
    """Restore the memory on a fresh layer. What the machine is now is saved before, and restored if that fails.

    Returns the snapshots that libvirt does not know any more, with its reasons; empty for none. Raises HostError,
    libvirtError.
    """
    raw = domain.raw.snapshotLookupByName(name)
    memory = memory_file(raw.getXMLDesc())
    if memory is None or not memory.exists():
        raise HostError(f"{domain.name} cannot go back to “{name}”: the file of its memory is gone")
    known, before = _definitions(domain), _current(domain)
    xml = _on_fresh_layers(domain, memory, folder)
    present = folder / f"present-{secrets.token_hex(4)}.memory"
    domain.raw.save(str(present))
    is_back = False
    try:
        _restore(domain, memory, xml)
        is_back = True
    finally:
        if not is_back:  # an interruption too
            _restore(domain, present, ElementTree.tostring(_definition(domain, present), "unicode"))
        refused = _define(domain, known, name if is_back else before)
        with suppress(OSError):
            present.unlink()
    return refused


def forget(domain: Domain, name: str) -> None:
    """Delete one: its memory goes. The disk layers stay, since the machine and other snapshots stand on them."""
    raw = domain.raw.snapshotLookupByName(name)
    memory = memory_file(raw.getXMLDesc())
    raw.delete(libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY)
    if memory:
        with suppress(OSError):
            memory.unlink()


def memory_file(xml: str) -> Path | None:
    """The file of the memory in a snapshot's XML, None when the memory is elsewhere."""
    memory = ElementTree.fromstring(xml).find("memory")  # noqa: S314 - libvirt's own XML
    file = memory.get("file") if memory is not None else None
    return Path(file) if file else None


def wrap_disk(disk: Xml, layer: Path) -> None:
    """Let a disk be ``layer``, standing on what the disk was."""
    source, below = disk.find("source"), disk.find("backingStore")
    base = ElementTree.Element("backingStore", {"type": "file"})
    ElementTree.SubElement(base, "format", {"type": "qcow2"})
    if source is not None:
        moved = deepcopy(source)
        moved.attrib.pop("index", None)
        base.append(moved)
        disk.remove(source)
    if below is not None:
        disk.remove(below)
        base.append(below)
    ElementTree.SubElement(disk, "source", {"file": str(layer)})
    disk.append(base)


def _on_fresh_layers(domain: Domain, memory: Path, folder: Path) -> str:
    """The XML in the file of the memory, its disks replaced by new layers over them."""
    tree = _definition(domain, memory)
    _keep_metadata(tree, domain.xml())
    for disk in tree.iterfind("devices/disk"):
        source = disk.find("source")
        if disk.find("readonly") is None and source is not None:
            layer = folder / f"layer-{secrets.token_hex(4)}.qcow2"
            _make_layer(Path(source.get("file", "")), layer)
            wrap_disk(disk, layer)
    return ElementTree.tostring(tree, "unicode")


def _definition(domain: Domain, memory: Path) -> Xml:
    """Of the machine whose memory it is."""
    flags = libvirt.VIR_DOMAIN_SAVE_IMAGE_XML_SECURE
    tree = ElementTree.fromstring(domain.connection.raw.saveImageGetXMLDesc(str(memory), flags))  # noqa: S314
    fit(tree, None)
    return tree


def _keep_metadata(tree: Xml, now: str) -> None:
    """The lease of the present, not of the snapshot's time."""
    present, old = ElementTree.fromstring(now).find("metadata"), tree.find("metadata")  # noqa: S314
    if present is not None and old is not None:
        old[:] = list(present)


def _make_layer(base: Path, layer: Path) -> None:
    layer.touch(mode=0o600)
    options = ("-q", "-f", "qcow2", "-b", base, "-F", "qcow2")
    made = proc.run(["qemu-img", "create", *options, layer], timeout=QUICK)
    if not made.ok:
        raise HostError(f"no layer over {base} could be made: {made.last_words}")


def _restore(domain: Domain, memory: Path, xml: str) -> None:
    domain.connection.raw.restoreFlags(str(memory), xml, libvirt.VIR_DOMAIN_SAVE_RUNNING)
    domain.look_up_again()


def _definitions(domain: Domain) -> list[tuple[str, str]]:
    """Names and XML of all snapshots, parents first: libvirt forgets them when a transient machine ends."""
    in_order = domain.raw.listAllSnapshots(libvirt.VIR_DOMAIN_SNAPSHOT_LIST_TOPOLOGICAL)
    return [(raw.getName(), raw.getXMLDesc(libvirt.VIR_DOMAIN_XML_SECURE)) for raw in in_order]


def _current(domain: Domain) -> str:
    with suppress(libvirt.libvirtError):
        return str(domain.raw.snapshotCurrent().getName())
    return ""


def _define(domain: Domain, known: list[tuple[str, str]], current: str) -> str:
    """Tell libvirt of the snapshots again; returns which it refused, and why. Empty: none."""
    refused = []
    for name, xml in known:
        flags = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE
        if name == current:
            flags |= libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_CURRENT
        try:
            domain.raw.snapshotCreateXML(xml, flags)
        except libvirt.libvirtError as error:
            refused.append(f"“{name}” ({first_sentence(error)})")
    return ", ".join(refused)


def _targets(xml: str) -> list[str]:
    tree = ElementTree.fromstring(xml)  # noqa: S314 - libvirt's own XML
    return [target.get("dev", "") for target in tree.iterfind("devices/disk/target")]


def _writable(xml: str) -> list[str]:
    tree = ElementTree.fromstring(xml)  # noqa: S314 - libvirt's own XML
    disks = [disk for disk in tree.iterfind("devices/disk") if disk.find("readonly") is None]
    return [target.get("dev", "") for disk in disks for target in disk.iterfind("target")]
