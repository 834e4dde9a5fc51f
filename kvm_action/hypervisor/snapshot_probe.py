"""Can machines of this host go back to a snapshot, and how? Found out on a tiny machine with an empty disk.

That a snapshot can be taken says nothing: libvirt 11.3 takes one, fails to go back to it, and loses the machine.
"""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import libvirt

from kvm_action import proc
from kvm_action.errors import HostError
from kvm_action.hypervisor import snapshots
from kvm_action.hypervisor.connection import Connection, in_our_words
from kvm_action.hypervisor.domain import Domain
from kvm_action.hypervisor.domain_xml import LEASE_NAMESPACE, domain_name
from kvm_action.hypervisor.ending import ended_for_certain
from kvm_action.hypervisor.snapshots import Way
from kvm_action.paths import Home
from kvm_action.runs import run_folder
from kvm_action.templating import render
from kvm_action.whole_file import write_whole

NAME: Final = "probe"
_CACHE: Final = "snapshots.json"


@dataclass(frozen=True)
class Ability:
    """``way`` is None where no machine can go back; ``reason`` then says why, else what was seen."""

    way: Way | None
    reason: str


def ability(connection: Connection, home: Home, firmware: str) -> Ability:
    """What `probe` found for this libvirt, this QEMU and this firmware, remembered in ``home``."""
    key = f"{connection.libvirt_version}, {connection.hypervisor_version}, {firmware}" + (
        ", system" if connection.is_system else ""
    )
    known = _remembered(home.probes)
    if key in known:
        way, reason = known[key]
        return Ability(Way(way) if way else None, reason)
    found = probe(connection, home.runs, firmware)
    home.probes.mkdir(parents=True, exist_ok=True)
    remembered = _remembered(home.probes) | {key: (found.way, found.reason)}
    write_whole(home.probes / _CACHE, json.dumps(remembered, indent=1) + "\n")
    return found


def probe(connection: Connection, runs: Path, firmware: str) -> Ability:
    """Take a snapshot, go back, delete it; by libvirt first, then by QEMU alone, then by files.

    Raises HostError when not even the tiny machine can be made: that says nothing about snapshots.
    """
    reasons: list[str] = []
    takes_internal = True
    for way in Way:
        if way is not Way.RESTORE and not takes_internal:
            continue
        with tiny_machine(connection, runs, firmware) as domain:
            files = domain.disk().parent / "snapshots"
            try:
                snapshots.take(domain, NAME, "", way, files)
                takes_internal, back = True, _go_back(domain, way, files)
            except HostError as error:
                takes_internal, back = False, error.message
        if not back:
            return Ability(way, f"a machine went back to a snapshot with its memory, by {way}")
        reasons.append(back)
    return Ability(None, "; ".join(dict.fromkeys(reasons)))


def _go_back(domain: Domain, way: Way, files: Path) -> str:
    """Empty, or why it did not go back."""
    try:
        snapshots.revert(domain, NAME, way, files)
        if [each.name for each in snapshots.listed(domain)] != [NAME]:
            return "the snapshot was gone after the machine went back to it"
        snapshots.delete(domain, NAME)
    except HostError as error:
        return error.message
    return ""


@contextmanager
def tiny_machine(connection: Connection, runs: Path, firmware: str) -> Iterator[Domain]:
    """A machine of 16 MiB with nothing to boot, gone at the end of the context.

    It is a run like any other, with a lease: a machine that went back to a snapshot outlives our connection.
    """
    with run_folder(runs, f"probe-{secrets.token_hex(4)}", connection.uri) as folder:
        made = proc.run(
            ["qemu-img", "create", "-q", "-f", "qcow2", folder.overlay, "1M"], timeout=timedelta(seconds=20)
        )
        if not made.ok:
            raise HostError(f"no disk for a look at snapshots: {made.last_words}")
        xml = render(
            "tiny.xml.j2",
            name=domain_name(folder.path.name),
            lease=folder.lease.to_json(),
            lease_namespace=LEASE_NAMESPACE,
            disk=folder.overlay,
            firmware=firmware,
            nvram=folder.path / "nvram.fd",
        )
        domain = Domain(_start(connection, xml), connection)
        with ended_for_certain(domain):
            yield domain


def _start(connection: Connection, xml: str) -> libvirt.virDomain:
    with in_our_words("no machine for a look at snapshots"):
        return connection.raw.createXML(xml, libvirt.VIR_DOMAIN_START_AUTODESTROY)


def _remembered(folder: Path) -> dict[str, tuple[str | None, str]]:
    try:
        known = json.loads((folder / _CACHE).read_text())
        return {str(key): (way, str(reason)) for key, (way, reason) in known.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
