"""libvirt's network and the firewall around it. Neither matters to the user network, which is the default."""

import re
from dataclasses import dataclass, replace

from kvm_action.doctor.finding import Finding, Level, ok, warning

NOT_NEEDED = "the user network, which plans use by default, needs none of it"


def not_needed(finding: Finding) -> Finding:
    """The finding for somebody who does not use libvirt's networks: told, not complained about."""
    if finding.level is Level.OK:
        return finding
    return replace(finding, level=Level.OK, seen=f"{finding.seen}; {NOT_NEEDED}")


@dataclass(frozen=True, kw_only=True)
class Network:
    """A libvirt network. ``dhcp``: the range of addresses, empty without one."""

    name: str
    active: bool
    autostart: bool
    bridge: str
    dhcp: str


def absent(name: str) -> Finding:
    """There is no such network."""
    mend = (
        "sudo virsh net-define /usr/share/libvirt/networks/default.xml\n"
        "sudo virsh net-start default && sudo virsh net-autostart default"
    )
    return warning(f"network {name}", "not defined", mend)


def not_looked_at(name: str) -> Finding:
    """Nobody is there to ask."""
    return ok(
        f"network {name}, DHCP, firewall", f"not checked, as the system's libvirt does not answer; {NOT_NEEDED}"
    )


def findings(network: Network) -> list[Finding]:
    """Is it up, will it be after a boot, and does it give addresses?"""
    return [state(network), dhcp(network)]


def state(network: Network) -> Finding:
    """Up, now and after a boot?"""
    subject, name = f"network {network.name}", network.name
    start, always = f"sudo virsh net-start {name}", f"sudo virsh net-autostart {name}"
    if not network.active:
        return warning(
            subject, "not running: machines on it would wait for an address in vain", f"{start}\n{always}"
        )
    if not network.autostart:
        return warning(subject, "running, but it will not start with the host", always)
    return ok(subject, f"running on {network.bridge}, starts with the host")


def dhcp(network: Network) -> Finding:
    """Does it give addresses?"""
    subject = f"DHCP of {network.name}"
    if network.dhcp:
        return ok(subject, network.dhcp)
    mend = f"sudo virsh net-edit {network.name}  # add <dhcp><range start='…' end='…'/></dhcp> to its <ip>"
    return warning(subject, "no range: machines on it would wait for an address in vain", mend)


def firewall(rules: str, bridge: str) -> Finding:
    """Would the host's own rules (``iptables -S``) stop DHCP from, or traffic of, machines on ``bridge``?"""
    blocked = [
        f"sudo iptables -I {way} -j ACCEPT"
        for chain, ways in (
            ("INPUT", [f"INPUT -i {bridge} -p udp --dport 67"]),
            ("FORWARD", [f"FORWARD -i {bridge}", f"FORWARD -o {bridge}"]),
        )
        if _drops(rules, chain) and not _lets_through(rules, chain, bridge)
        for way in ways
    ]
    if not blocked:
        return ok("firewall", f"lets machines on {bridge} through")
    return warning("firewall", f"drops packets of machines on {bridge}", "\n".join(blocked))


def _drops(rules: str, chain: str) -> bool:
    return f"-P {chain} DROP" in rules.splitlines()


def _lets_through(rules: str, chain: str, bridge: str) -> bool:
    """libvirt's own chains count: it fills them for the bridges it runs."""
    accepts = rf"^-A {chain} .*-[io] {re.escape(bridge)} .*-j ACCEPT|^-A {chain} -j LIBVIRT_"
    return re.search(accepts, rules, re.MULTILINE) is not None
