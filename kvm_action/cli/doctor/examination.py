"""What `kvm-e2e doctor` looks at, in the order in which it is told.

Here those who ask (libvirt, store, accelerator) meet those who judge the answers.
"""

from collections.abc import Callable, Iterator
from functools import partial

from kvm_action import doctor
from kvm_action.accel import KvmFacts, look_at_kvm
from kvm_action.accel.guest import find_qemu
from kvm_action.cli.doctor import daemons, machine, software
from kvm_action.cli.doctor.circumstances import Circumstances
from kvm_action.containers.where import socket_of
from kvm_action.doctor import Finding, Level, Probe, docker, leftovers, tools
from kvm_action.plan.model import Accel


class Examination:
    """One look at a host. ``kvm_facts`` are there once the probe of KVM has come to its end."""

    def __init__(self, at: Circumstances) -> None:
        """Nothing is looked at before `run`."""
        self.at = at
        self.kvm_facts: KvmFacts | None = None

    def run(self) -> list[Finding]:
        """Look at everything; takes as long as the slowest probe."""
        return doctor.examine([*self.of_the_machine(), *self.of_the_software(), *self.of_what_is_at_hand()])

    def of_the_machine(self) -> Iterator[Probe]:
        """Can it run guests?"""
        at = self.at
        guest = partial(Probe, patience=machine.GUEST_PATIENCE)
        yield Probe(subject="CPU", look=partial(machine.processor, at))
        if at.accel is not Accel.TCG:
            yield guest(subject="KVM", look=self.look_at_kvm, late=at.without_kvm)
        if at.accel is not Accel.KVM:
            yield guest(subject="TCG guest", look=machine.emulation, late=Level.PROBLEM)

    def look_at_kvm(self) -> list[Finding]:
        """And keep what was found: it decides what a run would use."""
        self.kvm_facts = look_at_kvm(self.at.host, thorough=True)
        return machine.kernel_device(self.at, self.kvm_facts)

    def of_the_software(self) -> Iterator[Probe]:
        """Is all of it there, and open to us?"""
        at = self.at
        for each in software.programs(is_root=at.is_root):
            yield Probe(subject=each.names[0], look=partial(tools.programs, [each]))
        yield Probe(subject="user network", look=lambda: [tools.user_network(find_qemu())])
        yield Probe(subject="Docker", look=lambda: [docker.daemon(socket_of())])
        yield Probe(subject="Python", look=tools.python_packages)
        yield from daemons.probes(at)
        yield Probe(subject="groups", look=partial(software.memberships, at))
        yield Probe(subject="system", look=partial(software.surroundings, at))

    def of_what_is_at_hand(self) -> Iterator[Probe]:
        """Images, memory, space, speed, and what dead runs left."""
        at = self.at
        looks: dict[str, Callable[[], list[Finding]]] = {
            "base images": lambda: software.store(at.home),
            "memory": lambda: machine.memories(at.host),
            "disk": lambda: machine.disks(at.home),
            "speed": lambda: machine.speeds(at.host),
            "left-over files": lambda: [leftovers.folders(software.left_files(at.home))],
        }
        for subject, look in looks.items():
            yield Probe(subject=subject, look=look)
