"""The XML of a domain as a pure function of a frozen value."""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

from kvm_action.templating import render

LEASE_NAMESPACE: Final = "https://kvm-e2e.dev/lease/1"
NIC: Final = "nic0"
USER_NETWORK: Final = "user"
_LONGEST_SOCKET: Final = 107
"""Bytes of a path (unix(7))."""


@dataclass(frozen=True)
class BackingFile:
    """A disk file that is only read, below an overlay."""

    path: Path
    format: str


@dataclass(frozen=True, kw_only=True)
class DomainSpec:
    """One machine. ``memory`` in bytes.

    ``backing``: what ``overlay`` stands on, nearest first. ``network``: ``user``, a libvirt network, or
    empty for a machine whose card is plugged in later. ``memory_file``: a file that is the guest's memory.
    ``incoming``: the machine does not boot, its state is loaded; the memory file is then only read.
    ``is_system``: QEMU runs as another user than we do. ``hugepages``: not together with a memory file.
    """

    name: str
    uuid: UUID
    lease: str
    memory: int
    cpus: int
    cpu: str
    accel: str
    firmware: str
    backing: tuple[BackingFile, ...]
    overlay: Path
    seed: Path
    network: str
    mac: str
    memory_file: Path | None = None
    incoming: bool = False
    is_system: bool = False
    hugepages: bool = False
    disk_cache: str = "unsafe"
    disk_io: str = "threads"
    viewable: bool = False
    """Its screen can be opened later, by VNC on loopback (`Domain.open_screen`)."""
    agent_socket: Path | None = None
    """The host's end of the guest agent's channel, from `agent_socket`; None leaves its place to libvirt."""


def domain_name(run: str) -> str:
    """The name of a run's machine."""
    return f"kvm-e2e-{run}"


def template_name(machine: str) -> str:
    """The name of the machine in which the run of ``machine`` makes a template."""
    return f"{machine}-template"


def agent_socket(folder: Path, *, is_system: bool) -> Path | None:
    """A place in ``folder``, which is private, for the socket of the guest agent; None where libvirt's has to do.

    Before libvirt 11, that of a session is below the home folder, and too long for a socket (108 bytes) where the
    user has a name like github-runner. In the system's libvirt it is short, and QEMU may not enter the folder.
    """
    socket = folder / "agent.sock"
    return None if is_system or len(os.fsencode(socket)) > _LONGEST_SOCKET else socket


def domain_xml(spec: DomainSpec) -> str:
    """The domain, with as few devices as a server has: each one costs time in firmware and kernel."""
    return render(
        "domain.xml.j2", spec=spec, lease_namespace=LEASE_NAMESPACE, nic=NIC, secret=secrets.token_hex(4)
    )


def network_card_xml(spec: DomainSpec, *, link: str, driver: str = "") -> str:
    """The network card alone, to be plugged in; ``link``: is its cable ``up`` or ``down``?

    ``driver``: who moves its packets, ``vhost`` (the host's kernel) or ``qemu``; empty leaves that to libvirt.
    """
    return render("network_card.xml.j2", spec=spec, nic=NIC, link=link, driver=driver)


def random_mac() -> str:
    """A random address in QEMU's range 52:54:00."""
    return "52:54:00:" + ":".join(f"{byte:02x}" for byte in secrets.token_bytes(3))
