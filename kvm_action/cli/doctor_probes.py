"""What `kvm-e2e doctor` looks at.

Here those who ask (libvirt, store, accelerator) meet those who judge the answers.
"""

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from tempfile import gettempdir
from typing import Final

import psutil

from kvm_action import doctor, proc
from kvm_action.accel import KvmFacts, look_at_kvm
from kvm_action.accel.guest import find_qemu, run_guest
from kvm_action.doctor import (
    Finding,
    Level,
    Probe,
    cpu,
    disk,
    groups,
    images,
    kvm,
    leftovers,
    libvirt,
    memory,
    network,
    snapshots,
    speed,
    system,
    tools,
    tuning,
)
from kvm_action.doctor.tools import Program
from kvm_action.errors import HostError
from kvm_action.hypervisor.connection import Connection, default_uri, open_connection, start_event_loop
from kvm_action.hypervisor.owned import owned_domains
from kvm_action.hypervisor.probe import measure_calls, network_facts
from kvm_action.hypervisor.snapshot_probe import ability
from kvm_action.images.store import Store
from kvm_action.images.tools import MMDEBSTRAP, NEWUIDMAP, QEMU_IMG, SETPRIV
from kvm_action.images.tools import Tool as ImageTool
from kvm_action.paths import Home
from kvm_action.plan.model import Accel, Firmware
from kvm_action.procfs import Host
from kvm_action.runs import leftovers as left_folders
from kvm_action.wait import Deadline

SYSTEM: Final = "qemu:///system"
NETWORK: Final = "default"
GUEST_PATIENCE: Final = timedelta(seconds=15)
LIBVIRT_PATIENCE: Final = timedelta(seconds=20)
"""A daemon that probes QEMU for each call takes 9 s for ours."""


@dataclass
class Examination:
    """One look at a host. ``kvm_facts`` are there once the probe of KVM has come to its end."""

    host: Host
    home: Home
    accel: Accel
    kvm_facts: KvmFacts | None = None

    @property
    def is_root(self) -> bool:
        """Do we run as root?"""
        return os.geteuid() == 0

    @property
    def opens_kvm(self) -> bool:
        """Is /dev/kvm there, and ours to open?"""
        return os.access(self.host.path("/dev/kvm"), os.R_OK | os.W_OK)

    @property
    def without_kvm(self) -> Level:
        """How bad it is when KVM does not work."""
        return Level.PROBLEM if self.accel is Accel.KVM else Level.WARNING

    def run(self) -> list[Finding]:
        """Look at everything; takes as long as the slowest probe."""
        start_event_loop()  # here, once: the probes open their connections from threads
        return doctor.examine(self.probes())

    def probes(self) -> list[Probe]:
        """All probes, in the order in which they are told."""
        hardware = Probe(subject="CPU", look=self.look_at_cpu)
        emulated = Probe(subject="TCG guest", look=look_at_tcg, patience=GUEST_PATIENCE, late=Level.PROBLEM)
        return [
            hardware,
            *([] if self.accel is Accel.TCG else [self.kvm_probe()]),
            *([] if self.accel is Accel.KVM else [emulated]),
            *[Probe(subject=each.names[0], look=partial(tools.programs, [each])) for each in self.programs()],
            Probe(subject="user network", look=lambda: [tools.user_network(find_qemu())]),
            Probe(subject="Python", look=tools.python_packages),
            *self.libvirt_probes(),
            Probe(subject="snapshots", look=self.look_at_snapshots, patience=LIBVIRT_PATIENCE),
            Probe(subject="groups", look=self.look_at_groups),
            Probe(subject="system", look=self.look_at_system),
            Probe(subject="base images", look=self.look_at_images),
            Probe(subject="memory", look=self.look_at_memory),
            Probe(subject="disk", look=self.look_at_disk),
            Probe(subject="speed", look=self.look_at_speed),
            Probe(subject="left-over files", look=lambda: [leftovers.folders(left_folders(self.home.runs))]),
        ]

    # --- the machine

    def look_at_cpu(self) -> list[Finding]:
        """Architecture, virtualization, nesting."""
        missing = Level.OK if self.accel is Accel.TCG else self.without_kvm
        return [
            cpu.architecture(platform.machine()),
            cpu.virtualization(self.host.cpu(), missing),
            cpu.nested(self.host),
        ]

    def kvm_probe(self) -> Probe:
        """From the modules to a guest."""
        return Probe(subject="KVM", look=self.look_at_kvm, patience=GUEST_PATIENCE, late=self.without_kvm)

    def look_at_kvm(self) -> list[Finding]:
        """Modules, device, ioctls, and a guest of our own."""
        missing = self.without_kvm
        seen = [kvm.modules(self.host, missing), kvm.device_node(self.host, missing)]
        self.kvm_facts = facts = look_at_kvm(self.host, thorough=True)
        if facts.device and self.opens_kvm:
            seen.append(kvm.api(facts.device.trouble, missing))
        if facts.guest:
            seen.append(kvm.guest(facts.trouble, facts.trouble or facts.guest.sentence, missing))
        return seen

    def look_at_memory(self) -> list[Finding]:
        """Memory of all kinds."""
        shared = psutil.disk_usage(memory.SHM).total if Path(memory.SHM).is_dir() else 0
        return [
            memory.memory(self.host),
            memory.swap(self.host),
            memory.huge_pages(self.host),
            memory.shared_memory(shared),
        ]

    def look_at_disk(self) -> list[Finding]:
        """Space and speed."""
        places = {"images": self.home.images, "runs": self.home.runs, "temporary files": Path(gettempdir())}
        return [*disk.space(places), disk.speed(self.home.root)]

    def look_at_speed(self) -> list[Finding]:
        """Processor, load, governor."""
        return [speed.processor(), speed.load(self.host), tuning.governor(self.host)]

    # --- the software

    def programs(self) -> list[Program]:
        """What must be installed."""
        qemu = ("qemu-system-x86_64", "qemu-kvm", "/usr/libexec/qemu-kvm")
        daemons = ("libvirtd",) if self.is_root else ("libvirtd", "virtqemud")
        return [
            Program(names=qemu, package="qemu-system-x86", purpose="to run machines", missing=Level.PROBLEM),
            from_image_tool(QEMU_IMG, "to make disks", Level.PROBLEM),
            Program(
                names=daemons, package="libvirt-daemon-system", purpose="to run machines", missing=Level.PROBLEM
            ),
            from_image_tool(MMDEBSTRAP, "to build base images", Level.WARNING),
            from_image_tool(SETPRIV, "to build base images", Level.WARNING),
            *([] if self.is_root else [from_image_tool(NEWUIDMAP, "to build base images", Level.WARNING)]),
        ]

    def look_at_groups(self) -> list[Finding]:
        """Of libvirt and KVM."""
        of_kvm, wants_kvm = groups.membership("kvm"), self.accel is not Accel.TCG and not self.opens_kvm
        return [
            groups.finding(
                groups.membership("libvirt"),
                needed=default_uri() == SYSTEM and not self.is_root,
                purpose="by root" if self.is_root else "for sessions of one's own",
            ),
            groups.finding(
                of_kvm,
                needed=wants_kvm and of_kvm.configured,
                purpose="before /dev/kvm is there and open to it" if wants_kvm else "as things are",
            ),
        ]

    def look_at_system(self) -> list[Finding]:
        """Namespaces and services."""
        services = system.services(self.host)
        if self.is_root:
            purpose = "to run libvirt without privileges"
            return [services, system.user_namespaces(self.host, Level.PROBLEM, purpose)]
        namespaces = system.user_namespaces(self.host, Level.WARNING, "to build images without root")
        return [services, namespaces, system.subordinate_ids(self.host, groups.user_name())]

    def look_at_images(self) -> list[Finding]:
        """The store."""
        found = Store(self.home.images).list()
        return [images.at_hand([(image.name, image.bytes) for image in found], self.home.images)]

    # --- libvirt

    def libvirt_probes(self) -> list[Probe]:
        """The session's daemon, the system's, and the one that LIBVIRT_DEFAULT_URI names, if it is another."""
        targets = {default_uri({}): "libvirt session", SYSTEM: "libvirt system"}
        targets.setdefault(default_uri(), "libvirt")
        return [self.libvirt_probe(subject, uri, needed=uri == default_uri()) for uri, subject in targets.items()]

    def libvirt_probe(self, subject: str, uri: str, *, needed: bool) -> Probe:
        """One daemon."""
        return Probe(
            subject=subject,
            look=lambda: self.look_at_libvirt(subject, uri, needed=needed),
            patience=LIBVIRT_PATIENCE,
            late=Level.PROBLEM if needed else Level.WARNING,
            mend_late="sudo systemctl restart libvirtd\n# and if it is slow at every call:\n" + kvm.OPEN_TO_GROUP,
        )

    def look_at_libvirt(self, subject: str, uri: str, *, needed: bool) -> list[Finding]:
        """Reach it, time it, and ask for what it has."""
        try:
            with open_connection(uri) as connection:
                return self.ask_libvirt(subject, connection, needed=needed)
        except HostError as error:
            has_systemd = self.host.path("/run/systemd/system").is_dir()
            found = [libvirt.unreachable(subject, error.message, needed=needed, has_systemd=has_systemd)]
            return [*found, network.not_looked_at(NETWORK)] if uri == SYSTEM else found

    def ask_libvirt(self, subject: str, connection: Connection, *, needed: bool) -> list[Finding]:
        """Everything that an open connection tells."""
        found = libvirt.reachable(
            subject,
            libvirt.Daemon(
                uri=connection.uri,
                libvirt=connection.libvirt_version,
                calls=measure_calls(connection),
            ),
        )
        owned = [(domain.name, domain.lease) for domain in owned_domains(connection)]
        found.append(replace(leftovers.machines(owned), subject=f"{subject}, left-overs"))
        if connection.is_system:
            seen = look_at_network(connection, is_root=self.is_root)
            found += seen if needed else [network.not_needed(each) for each in seen]
        return found

    def look_at_snapshots(self) -> list[Finding]:
        """Going back to one, tried on a tiny machine once for each version of libvirt and QEMU."""
        found = []
        try:
            with open_connection() as connection:
                for firmware in Firmware:
                    able = ability(connection, self.home.probes, firmware)
                    found.append(snapshots.going_back(firmware, able.way, able.reason))
        except HostError as error:
            found.append(snapshots.not_looked_at(error.message))
        return found


def look_at_tcg() -> list[Finding]:
    """A guest of our own by emulation: QEMU works."""
    ran = run_guest("tcg", "max,-cx16", Deadline(GUEST_PATIENCE / 2))
    level = Level.OK if ran.ok else Level.PROBLEM
    return [Finding(subject="TCG guest", level=level, seen=ran.sentence)]


def look_at_network(connection: Connection, *, is_root: bool) -> Sequence[Finding]:
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


def from_image_tool(tool: ImageTool, purpose: str, missing: Level) -> Program:
    """A program that the image store names, as one that is looked for."""
    return Program(
        names=(tool.program,),
        package=tool.package,
        purpose=purpose,
        missing=missing,
        has_version=tool is not NEWUIDMAP,
    )
