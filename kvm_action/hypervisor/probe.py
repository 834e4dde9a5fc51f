"""Questions to libvirt that only a look at the host asks: how fast it answers, and what its networks are like."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from xml.etree import ElementTree

import libvirt

from kvm_action.hypervisor.connection import Connection


@dataclass(frozen=True, kw_only=True)
class NetworkFacts:
    """A libvirt network. ``dhcp``: its first range, as ``192.168.122.2 to 192.168.122.254``, or empty."""

    active: bool
    autostart: bool
    bridge: str
    dhcp: str


def measure_calls(connection: Connection, clock: Callable[[], float] = time.monotonic) -> tuple[float, ...]:
    """Seconds of two calls that need the capabilities of QEMU, one after the other.

    libvirt may probe QEMU for the first one. When it does so again, it distrusts what it remembers: a privileged
    daemon of libvirt 9.0 took 4 s for every call where the user of its QEMU could not open /dev/kvm.
    """
    return tuple(_timed(connection, clock) for _ in range(2))


def _timed(connection: Connection, clock: Callable[[], float]) -> float:
    begun = clock()
    connection.raw.getVersion()
    return clock() - begun


def network_facts(connection: Connection, name: str) -> NetworkFacts | None:
    """Facts of a network, None when there is none of that name (or no network driver)."""
    try:
        network = connection.raw.networkLookupByName(name)
    except libvirt.libvirtError:
        return None
    return NetworkFacts(
        active=bool(network.isActive()),
        autostart=bool(network.autostart()),
        bridge=bridge_of(network.XMLDesc()),
        dhcp=dhcp_range(network.XMLDesc()),
    )


def bridge_of(xml: str) -> str:
    """The bridge's name in a network's XML, empty without one."""
    bridge = ElementTree.fromstring(xml).find("bridge")  # noqa: S314 - libvirt's own XML
    return bridge.get("name", "") if bridge is not None else ""


def dhcp_range(xml: str) -> str:
    """The first range of addresses in a network's XML, empty without one."""
    found = ElementTree.fromstring(xml).find("ip/dhcp/range")  # noqa: S314 - libvirt's own XML
    return f"{found.get('start')} to {found.get('end')}" if found is not None else ""
