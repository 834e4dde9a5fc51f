"""The parts of one run's machine. Each comes into being when a step asks for it, and ends with its stack."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Final, TypeVar
from uuid import uuid4

from kvm_action import accel, ssh
from kvm_action.admission import Admission
from kvm_action.backends.boot_watch import PATIENCE, BootWatch, watching_boot
from kvm_action.backends.identity import Identity, new_identity
from kvm_action.backends.queueing import queued
from kvm_action.backends.settings import Settings
from kvm_action.backends.start_choice import BOOT, Start
from kvm_action.boot import Stage
from kvm_action.errors import BootError, NetworkError
from kvm_action.events import Sink
from kvm_action.frozen import TemplateStore
from kvm_action.hypervisor.connection import Connection, open_connection
from kvm_action.hypervisor.domain import Domain
from kvm_action.hypervisor.domain_xml import (
    USER_NETWORK,
    BackingFile,
    DomainSpec,
    agent_socket,
    domain_name,
    domain_xml,
)
from kvm_action.hypervisor.launching import launched
from kvm_action.hypervisor.qemu_process import GuestClock
from kvm_action.images.store import Image
from kvm_action.patience import stretched
from kvm_action.plan.model import Keep, Plan
from kvm_action.reach import Address
from kvm_action.results import AccelInfo, GuestInfo, StartInfo
from kvm_action.runs import RunFolder, run_folder, templates_in_use
from kvm_action.wait import Deadline, until

T = TypeVar("T")

BY_BOOTING: Final = Start(StartInfo(mode=BOOT))

LOGIN: Final = {"kvm": timedelta(seconds=30), "tcg": timedelta(minutes=2)}
"""From the SSH server's banner to an authenticated session."""


@dataclass
class Parts:
    """What the steps put together."""

    plan: Plan
    settings: Settings
    sink: Sink
    stack: ExitStack
    start: Start = BY_BOOTING
    boot_id: str = ""
    guest_info: GuestInfo = field(default_factory=GuestInfo)

    @cached_property
    def image(self) -> Image:
        """The base image."""
        return self.settings.store.get(self.settings.image)

    @cached_property
    def accel(self) -> AccelInfo:
        """KVM or emulation, probed."""
        return accel.choose(self.settings.accel)

    @cached_property
    def admission(self) -> Admission:
        """Our place among the runs of this host."""
        return self.stack.enter_context(queued(self.plan, self.settings.run, self.settings.runs, self.sink))

    @cached_property
    def connection(self) -> Connection:
        """The connection to libvirt; our domains die with it."""
        return self.stack.enter_context(open_connection(self.settings.uri))

    @cached_property
    def templates(self) -> TemplateStore:
        """Frozen machines; those that living machines stand on stay."""
        return TemplateStore(self.settings.templates, lambda: templates_in_use(self.settings.runs))

    @cached_property
    def attempt(self) -> ExitStack:
        """What one way of starting has made; ended before another way is tried."""
        return self.stack.enter_context(ExitStack())

    @cached_property
    def folder(self) -> RunFolder:
        """Where the overlay and the seed live."""
        return self.stack.enter_context(run_folder(self.settings.runs, self.settings.run, self.connection.uri))

    @cached_property
    def identity(self) -> Identity:
        """Fresh keys and a fresh MAC address."""
        return new_identity(self.settings.run)

    @cached_property
    def watch(self) -> BootWatch:
        """The reader of the console."""
        patience = PATIENCE[self.accel.name].stretched()
        return self.stack.enter_context(watching_boot(self.settings.out / "console.log", self.sink, patience))

    @cached_property
    def domain(self) -> Domain:
        """The domain, paused at its first instruction, or with nothing in it yet."""
        spec = self.spec()
        xml = domain_xml(spec)
        (self.settings.out / "domain.xml").write_text(xml)
        self.watch.begin(GuestClock(spec.name))
        return self.attempt.enter_context(
            launched(
                self.connection,
                spec.name,
                xml,
                self.watch.on_console,
                may_outlive_us=self.settings.keep != Keep.NEVER,
            )
        )

    @cached_property
    def address(self) -> Address:
        """Where the guest's SSH server is reached from this host."""
        if self.plan.machine.network == USER_NETWORK:
            return Address("127.0.0.1", self.domain.forward_ssh())
        return Address(self._address_on(self.plan.machine.network), 22)

    @cached_property
    def session(self) -> ssh.Session:
        """The one SSH session that everything goes through. It ends with the machine, which may not say so."""
        session = self.attempt.enter_context(
            ssh.connect(
                self.address,
                user=self.plan.user.name,
                private_key=self.identity.user_key.private,
                host_key=self.identity.host_key.public,
                deadline=Deadline(stretched(LOGIN[self.accel.name]), self.watch.patient),
                access_folder=self.folder.path,
                on_milestone=self.watch.reached,
            )
        )
        self.domain.when_gone(session.close)
        return session

    def has(self, part: str) -> bool:
        """Does a part exist already? (A cached property lives in the instance once it was asked for.)"""
        return part in self.__dict__

    @property
    def disk_size(self) -> int:
        """Bytes: as the plan wants, or as the image is."""
        return max(self.plan.machine.disk, self.image.virtual_bytes)

    def spec(self) -> DomainSpec:
        """The domain as it is to be started now."""
        machine, template = self.plan.machine, self.start.template
        image = BackingFile(self.image.path, self.image.format)
        return DomainSpec(
            name=domain_name(self.settings.run),
            uuid=uuid4(),
            lease=self.folder.lease.to_json(),
            memory=machine.memory,
            cpus=machine.cpus,
            cpu=machine.cpu,
            accel=self.accel.name,
            firmware=machine.firmware,
            backing=(*([BackingFile(template.disk, "qcow2")] if template else []), image),
            overlay=self.folder.overlay,
            seed=template.seed if template else self.folder.seed,
            network="" if template else machine.network,
            memory_file=template.memory_file if template else None,
            incoming=template is not None,
            mac=self.identity.mac,
            is_system=self.connection.is_system,
            hugepages=machine.hugepages,
            disk_cache=machine.disk_cache,
            disk_io=machine.disk_io,
            viewable=self.settings.keep != Keep.NEVER,
            agent_socket=agent_socket(self.folder.private, is_system=self.connection.is_system),
        )

    def while_booting(self, check: Callable[[], T | None]) -> T:
        """Wait for ``check`` as long as the boot may still succeed. Raises BootError as soon as it cannot."""
        domain, watch = self.domain, self.watch

        def look() -> T | None:
            found = check()
            if not found:
                self.connection.require_alive()
                if trouble := watch.trouble(domain.end, domain.last_words()):
                    raise trouble
            return found

        allowed = watch.deadline.allowed + timedelta(seconds=5)
        found = until(look, Deadline(allowed, watch.patient), every=0.2)
        if found is None:
            raise NetworkError("the guest cannot be reached", "`kvm-e2e doctor` looks into the network")
        return found

    def _address_on(self, network: str) -> str:
        try:
            return self.while_booting(lambda: self.domain.address_of(self.identity.mac))
        except BootError as error:
            if self.watch.log.stage is not Stage.LOGIN or self.domain.end:
                raise
            raise NetworkError(
                f"the guest is up, but got no address on the network {network}",
                f"does anything give addresses there? `virsh net-dumpxml {network}` shows its <dhcp> range",
            ) from error
