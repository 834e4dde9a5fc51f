"""libvirt's daemons: reached or not, how quick, what they keep, and the system's network."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from threading import Event
from typing import Final

from kvm_action import proc
from kvm_action.cli.doctor.circumstances import Circumstances
from kvm_action.doctor import Finding, Level, Probe, kvm, leftovers, libvirt, network, snapshots
from kvm_action.errors import HostError
from kvm_action.hypervisor.connection import SYSTEM_URI, Connection, default_uri, open_connection
from kvm_action.hypervisor.owned import owned_domains
from kvm_action.hypervisor.probe import measure_calls, network_facts
from kvm_action.hypervisor.snapshot_probe import ability
from kvm_action.plan.model import Firmware

NETWORK: Final = "default"
PATIENCE: Final = timedelta(seconds=20)
"""A daemon that probes QEMU for each call takes 9 s for ours."""


def probes(at: Circumstances) -> list[Probe]:
    """The session's daemon, the system's, and the one that LIBVIRT_DEFAULT_URI names, if it is another."""
    targets = {default_uri({}): "libvirt session", SYSTEM_URI: "libvirt system"}
    targets.setdefault(default_uri(), "libvirt")
    looks = [Daemon(at, subject, uri).probe() for uri, subject in targets.items()]
    for firmware in Firmware:
        has_begun = Event()
        look = partial(going_back, at, firmware, has_begun)
        looks.append(Probe(subject=f"snapshots ({firmware})", look=look, patience=PATIENCE, has_begun=has_begun))
    return looks


class Daemon:
    """One daemon to look at; ``needed`` when a run would use it."""

    def __init__(self, at: Circumstances, subject: str, uri: str) -> None:
        """Nothing is asked here."""
        self.at = at
        self.subject = subject
        self.uri = uri
        self.needed = uri == default_uri()

    def probe(self) -> Probe:
        """The look, and what it means when it takes too long."""
        return Probe(
            subject=self.subject,
            look=self.look,
            patience=PATIENCE,
            late=Level.PROBLEM if self.needed else Level.WARNING,
            mend_late="sudo systemctl restart libvirtd\n# and if it is slow at every call:\n" + kvm.OPEN_TO_GROUP,
        )

    def look(self) -> list[Finding]:
        """Reach it, time it, and ask for what it has."""
        try:
            with open_connection(self.uri) as connection:
                return self.ask(connection)
        except HostError as error:
            has_systemd = self.at.host.path("/run/systemd/system").is_dir()
            found = libvirt.unreachable(self.subject, error.message, needed=self.needed, has_systemd=has_systemd)
            return [found, network.not_looked_at(NETWORK)] if self.uri == SYSTEM_URI else [found]

    def ask(self, connection: Connection) -> list[Finding]:
        """Everything that an open connection tells."""
        daemon = libvirt.Daemon(
            uri=connection.uri, libvirt=connection.libvirt_version, calls=measure_calls(connection)
        )
        owned = [(domain.name, domain.lease) for domain in owned_domains(connection)]
        found = libvirt.reachable(self.subject, daemon)
        found.append(replace(leftovers.machines(owned), subject=f"{self.subject}, left-overs"))
        if connection.is_system:
            seen = default_network(connection, is_root=self.at.is_root)
            found += seen if self.needed else [network.not_needed(each) for each in seen]
        return found


def going_back(at: Circumstances, firmware: Firmware, begins: Event) -> list[Finding]:
    """Going back to a snapshot, tried on a tiny machine once for each version of libvirt and QEMU."""
    try:
        with open_connection() as connection:
            begins.set()
            able = ability(connection, at.home, firmware)
    except HostError as error:
        return [snapshots.not_looked_at(firmware, error.message)]
    return [snapshots.going_back(firmware, able.way, able.reason)]


def default_network(connection: Connection, *, is_root: bool) -> Sequence[Finding]:
    """libvirt's default network, its DHCP, and the firewall around it."""
    facts = network_facts(connection, NETWORK)
    if facts is None:
        return [network.absent(NETWORK)]
    known = network.Network(
        name=NETWORK, active=facts.active, autostart=facts.autostart, bridge=facts.bridge, dhcp=facts.dhcp
    )
    found = network.findings(known)
    if facts.active and is_root:
        rules = proc.run(["iptables", "-S"], timeout=timedelta(seconds=5))
        found.append(network.firewall(rules.stdout, facts.bridge))
    return found
