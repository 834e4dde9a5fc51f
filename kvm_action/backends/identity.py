"""What makes a machine itself, and unlike every other one. Knows nothing of how it reaches the guest."""

from dataclasses import dataclass

from kvm_action import ssh
from kvm_action.hypervisor.domain_xml import random_mac


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Name and card of a machine, its own SSH host key, and the key that opens it."""

    hostname: str
    mac: str
    host_key: ssh.KeyPair
    user_key: ssh.KeyPair


def new_identity(run: str) -> Identity:
    """Fresh keys and a fresh MAC address."""
    return Identity(
        hostname=f"e2e-{run[-6:]}",
        mac=random_mac(),
        host_key=ssh.generate_key(),
        user_key=ssh.generate_key(),
    )
