"""libvirt's own networks: is the one that a plan names there, and does it run?"""

from shlex import join
from typing import Final

import libvirt

from kvm_action.errors import HostError
from kvm_action.hypervisor.connection import Connection, first_sentence
from kvm_action.text import did_you_mean

DEFAULT_XML: Final = "/usr/share/libvirt/networks/default.xml"


def require_network(connection: Connection, name: str) -> None:
    """Raise HostError, with what mends it, when machines cannot be put on the network ``name``."""
    try:
        is_active = connection.raw.networkLookupByName(name).isActive()
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_NETWORK:
            raise HostError(
                f"libvirt cannot tell about the network {name}: {first_sentence(error)}",
                "is its network driver installed, and does it run?",
            ) from error
        raise HostError(f"libvirt at {connection.uri} has no network {name}", _hint(connection, name)) from error
    if not is_active:
        start, always = (_virsh(connection, verb, name) for verb in ("net-start", "net-autostart"))
        raise HostError(f"libvirt's network {name} is not running", f"{start}, and {always} for the next boot")


def _hint(connection: Connection, name: str) -> str:
    if not connection.is_system:
        return "networks are the system's: set LIBVIRT_DEFAULT_URI=qemu:///system, or let machine.network be user"
    if name == "default":
        return f"{_virsh(connection, 'net-define', DEFAULT_XML)} && {_virsh(connection, 'net-start', name)}"
    there = sorted(network.name() for network in connection.raw.listAllNetworks())
    define = _virsh(connection, "net-define", "FILE")
    return f"{did_you_mean(name, there)}it has: {', '.join(there) or 'none'}; {define} makes one"


def _virsh(connection: Connection, verb: str, argument: str) -> str:
    return join(["virsh", "-c", connection.uri, verb, argument])
