"""Virtual machines by libvirt: image, overlay, seed, domain and SSH session put together into a Machine."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Final, TypeVar
from uuid import uuid4

from kvm_action import accel, results, seed, ssh
from kvm_action.backends import evidence, first_boot
from kvm_action.backends.boot_watch import EVIDENCE_LINES, PATIENCE, BootWatch, host_disk_full, watching_boot
from kvm_action.backends.identity import Identity, new_identity
from kvm_action.backends.reaping import reap
from kvm_action.boot import Stage
from kvm_action.errors import BootError, E2EError, GuestConnectionError, HostError, NetworkError, ProvisionError
from kvm_action.events import Note, Sink
from kvm_action.guest import Guest, Machine, MachineFacts
from kvm_action.hypervisor.connection import Connection, open_connection
from kvm_action.hypervisor.domain import HOST_DISK_FULL, Domain, launched
from kvm_action.hypervisor.domain_xml import USER_NETWORK, DomainSpec, domain_name, domain_xml
from kvm_action.hypervisor.networks import require_network
from kvm_action.hypervisor.qemu_process import peak_memory
from kvm_action.hypervisor.snapshots import take_snapshot
from kvm_action.images import qemu_img
from kvm_action.images.store import Image, Store
from kvm_action.plan.model import Accel, Keep, Plan
from kvm_action.reach import Address, speaks_ssh
from kvm_action.results import AccelInfo, GuestInfo, ImageInfo, Measures, Milestones, SnapshotInfo, StartInfo
from kvm_action.runs import RunFolder, run_folder, size_of
from kvm_action.units import format_size
from kvm_action.wait import Deadline, until

LOGIN: Final = {"kvm": timedelta(seconds=30), "tcg": timedelta(minutes=2)}
"""From the SSH server's banner to an authenticated session."""

T = TypeVar("T")

FIRST_BOOT: Final = timedelta(minutes=5)
AFTER_SCRIPT: Final = timedelta(seconds=20)
SETTLE: Final = timedelta(seconds=20)
KEPT_FOR: Final = timedelta(hours=4)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a run needs beside its plan.

    ``image`` is a name in the store or a file; ``runs``: where run folders are made; ``out``: for evidence.
    """

    run: str
    image: str
    accel: Accel
    keep: Keep
    store: Store
    runs: Path
    out: Path
    uri: str | None = None


@dataclass(frozen=True)
class KvmBackend:
    """Makes virtual machines for one plan."""

    plan: Plan
    settings: Settings
    sink: Sink
    name: str = "kvm"

    @contextmanager
    def machine(self) -> Iterator[Machine]:
        """A virtual machine; all of it is gone at the end, unless it was told to stay."""
        with ExitStack() as stack:
            yield VirtualMachine(self.plan, self.settings, self.sink, stack)


@dataclass
class VirtualMachine:
    """One run's machine. Its parts come into being as the steps ask for them, and end with ``stack``."""

    plan: Plan
    settings: Settings
    sink: Sink
    stack: ExitStack
    boot_id: str = ""
    guest_info: GuestInfo = field(default_factory=GuestInfo)

    # --- the parts, each made when it is first asked for

    @cached_property
    def image(self) -> Image:
        """The base image."""
        return self.settings.store.get(self.settings.image)

    @cached_property
    def accel(self) -> AccelInfo:
        """KVM or emulation, probed."""
        return accel.choose(self.settings.accel)

    @cached_property
    def connection(self) -> Connection:
        """The connection to libvirt; our domains die with it."""
        return self.stack.enter_context(open_connection(self.settings.uri))

    @cached_property
    def folder(self) -> RunFolder:
        """Where the overlay and the seed live."""
        return self.stack.enter_context(run_folder(self.settings.runs, self.settings.run))

    @cached_property
    def identity(self) -> Identity:
        """Fresh keys and a fresh MAC address."""
        return new_identity(self.settings.run)

    @cached_property
    def watch(self) -> BootWatch:
        """The reader of the console."""
        patience = PATIENCE[self.accel.name]
        return self.stack.enter_context(watching_boot(self.settings.out / "console.log", self.sink, patience))

    @cached_property
    def domain(self) -> Domain:
        """The domain, paused at its first instruction."""
        spec = self._spec()
        xml = domain_xml(spec)
        (self.settings.out / "domain.xml").write_text(xml)
        self.watch.begin()
        return self.stack.enter_context(
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
        """The one SSH session that everything goes through."""
        return self.stack.enter_context(
            ssh.connect(
                self.address,
                user=self.plan.user.name,
                private_key=self.identity.user_key.private,
                host_key=self.identity.host_key.public,
                deadline=Deadline(LOGIN[self.accel.name]),
                access_folder=self.folder.path,
            )
        )

    def has(self, part: str) -> bool:
        """Does a part exist already? (A cached property lives in the instance once it was asked for.)"""
        return part in self.__dict__

    # --- the steps

    def check_host(self) -> str:
        """Look for all that the other steps need, before anything is made; take away what dead runs left."""
        image, accel, connection = self.image, self.accel, self.connection
        if self.plan.machine.network != USER_NETWORK:
            require_network(connection, self.plan.machine.network)
        if gone := reap(connection, self.settings.runs):
            self.sink(Note(text=f"removed what {len(gone.folders) or len(gone.domains)} dead run(s) left"))
        return f"{image.name} on {accel.name}, {connection.hypervisor_version}"

    def create_disk(self) -> str:
        """A qcow2 overlay, as large as the plan wants its disk, or as the image is."""
        size = max(self.plan.machine.disk, self.image.virtual_bytes)
        self.folder.overlay.touch(mode=0o600)  # it will hold the guest's memory, secrets included
        qemu_img.create_overlay(self.image.path, self.folder.overlay, size)
        return f"{format_size(size)} over {self.image.sha256[:12]}"

    def create_seed(self) -> str:
        """The NoCloud volume with this machine's identity."""
        user, identity = self.plan.user, self.identity
        spec = seed.SeedSpec(
            instance_id=self.settings.run,
            hostname=identity.hostname,
            mac=identity.mac,
            user=user.name,
            sudo=user.sudo,
            authorized_key=identity.user_key.public,
            host_key_private=identity.host_key.private,
            host_key_public=identity.host_key.public,
            password=user.password.get_secret_value() if user.password else "",
        )
        return format_size(seed.write(spec, self.folder.seed))

    def launch(self) -> str:
        """Start the domain and let it run; with user-mode networking its port is forwarded before."""
        domain = self.domain
        if self.plan.machine.network == USER_NETWORK:
            self.address  # noqa: B018 - the forward must exist before the guest runs
        domain.resume()
        return domain.name

    def wait_for_network(self) -> str:
        """Wait until the guest's SSH server greets, or the boot is known to have failed."""
        address = self.address
        self._while_booting(lambda: speaks_ssh(address, timedelta(seconds=2)))
        self.watch.reached("port_open")
        return str(address)

    def connect(self) -> Guest:
        """Log in, and wait until first-boot set-up has finished."""
        session = self.session
        self.watch.reached("ssh_authenticated")
        told = first_boot.finished(session, FIRST_BOOT)
        if told.cloud_init:
            self.watch.reached("cloud_init_done")
        self.boot_id = told.boot_id
        self.guest_info = GuestInfo(
            os=told.os, kernel=told.kernel, hostname=told.hostname, address=str(self.address)
        )
        return session

    def snapshot(self, name: str, parent: str | None) -> SnapshotInfo:
        """Disk and memory, by libvirt."""
        return take_snapshot(self.domain, name, parent)

    def assert_reachable(self) -> None:
        """After the script: is the machine still one that can be logged in to? Raises ProvisionError if not."""
        deadline = Deadline(AFTER_SCRIPT)
        if not until(lambda: speaks_ssh(self.address, timedelta(seconds=2)), deadline):
            raise ProvisionError(
                "after the script, nothing answers as an SSH server in the guest any more",
                "did the script stop sshd, break its configuration, or close port 22? see guest/journal.txt",
            )

    # --- when something goes wrong

    def explain(self, error: E2EError) -> E2EError:
        """What a broken session or a time-out really means, if we know more than the one who noticed it."""
        if not self.has("domain") or not isinstance(error, GuestConnectionError):
            return error
        end = self._settle()
        if not self.boot_id:
            return self.watch.trouble(end, self.domain.last_words()) or error
        if words := [line for line in self.domain.last_words() if "KVM internal error" in line]:
            # QEMU then only pauses: the domain has no end
            return BootError(f"the machine died of a {words[0]}", "this host's KVM cannot run it; try --accel tcg")
        return self._explain_end(end) if end else self._explain_silence(error)

    def excuse(self, result: results.CheckResult) -> results.CheckResult:
        """A virtual machine can do all that a server can."""
        return result

    def _explain_end(self, end: str) -> E2EError:
        if end == HOST_DISK_FULL:
            return host_disk_full()
        if "guest" in end:
            return ProvisionError(f"the machine stopped while it was being used: {end}", "see console.log")
        return BootError(f"the machine was lost: {end}", "see console.log and the host's logs")

    def _settle(self) -> str:
        """Wait a little for the cause to show: a guest that goes down cuts its sessions first. Returns its end."""
        domain, log = self.domain, self.watch.log
        shown = until(
            lambda: domain.end or log.boots > 1 or log.going_down or (log.diagnosis and log.diagnosis.fatal),
            Deadline(SETTLE),
            woken_by=self.watch.woken,
        )
        if shown and log.going_down:
            until(lambda: domain.end or log.boots > 1, Deadline(SETTLE), woken_by=self.watch.woken)
        return domain.end

    def _explain_silence(self, error: E2EError) -> E2EError:
        if self.watch.log.boots > 1 or self.watch.log.going_down:
            return ProvisionError(
                "the guest rebooted while it was being used", "a script under test must not reboot its machine"
            )
        if self.watch.log.diagnosis and self.watch.log.diagnosis.fatal:
            return ProvisionError(f"{self.watch.log.diagnosis.cause}", self.watch.log.diagnosis.hint)
        if evidence.agent_answers(self.domain):
            return ProvisionError(
                "the guest runs, but its SSH session was cut",
                "did the script stop sshd or the network? see guest/",
            )
        return error

    def collect_evidence(self, into: Path, *, quickly: bool) -> str:
        """Screen, QEMU's words, and, if there is time, logs from inside the guest."""
        if not self.has("domain"):
            return "no machine was made"
        with suppress(HostError, OSError):
            (into / "screenshots").mkdir(exist_ok=True)
            self.domain.screenshot(into / "screenshots/console.png")
        if words := self.domain.last_words():
            (into / "qemu.log").write_text("\n".join(words) + "\n")
        if quickly or self.domain.end:
            return "console and screen"
        return self._ask_guest(into / "guest")

    def _ask_guest(self, into: Path) -> str:
        if self.has("session") and self.session.is_alive and evidence.save(evidence.over_ssh(self.session), into):
            return "console, screen, and logs over SSH"
        if evidence.save(evidence.over_agent(self.domain), into):
            return "console, screen, and logs by the guest agent"
        return "console and screen; the guest does not answer"

    def console_tail(self) -> tuple[str, ...]:
        """The console's last lines."""
        return self.watch.log.tail[-EVIDENCE_LINES:] if self.has("watch") else ()

    def stage(self) -> str:
        """How far the boot came."""
        return str(self.watch.log.stage) if self.has("watch") else ""

    def facts(self) -> MachineFacts:
        """What is known by now."""
        return MachineFacts(
            accel=self.accel if self.has("accel") else None,
            start=StartInfo(mode="boot"),
            image=ImageInfo(name=self.image.name, sha256=self.image.sha256) if self.has("image") else None,
            guest=self.guest_info if self.boot_id else None,
            milestones=Milestones(**self.watch.log.milestones) if self.has("watch") else Milestones(),
            measures=self._measures(),
            libvirt=self.connection.libvirt_version if self.has("connection") else "",
            hypervisor=self.connection.hypervisor_version if self.has("connection") else "",
        )

    def _measures(self) -> Measures:
        return Measures(
            memory_peak_bytes=peak_memory(self.domain.name) if self.has("domain") else None,
            disk_bytes=size_of(self.folder.path) if self.has("folder") else None,
        )

    def keep(self) -> str:
        """Leave the machine running under a lease that ends by itself."""
        lease = replace(self.folder.lease, kept_until=datetime.now(UTC) + KEPT_FOR)
        self.domain.keep(lease.to_json())
        self.folder.renew(lease)
        self.folder.keep = True
        access = self.session.ssh_access() if self.has("session") else None
        reach = f"ssh -F {access.config} {access.host}" if access else f"virsh -c {self.connection.uri} console"
        return f"kept {self.domain.name} until {lease.kept_until:%H:%M} UTC: {reach}; `kvm-e2e reap --all` ends it"

    # --- inner

    def _address_on(self, network: str) -> str:
        try:
            return self._while_booting(lambda: self.domain.address_of(self.identity.mac))
        except BootError as error:
            if self.watch.log.stage is not Stage.LOGIN or self.domain.end:
                raise
            raise NetworkError(
                f"the guest is up, but got no address on the network {network}",
                f"does anything give addresses there? `virsh net-dumpxml {network}` shows its <dhcp> range",
            ) from error

    def _while_booting(self, check: Callable[[], T | None]) -> T:
        """Wait for ``check`` as long as the boot may still succeed. Raises BootError as soon as it cannot."""
        domain, watch = self.domain, self.watch

        def look() -> T | None:
            found = check()
            if not found and (trouble := watch.trouble(domain.end, domain.last_words())):
                raise trouble
            return found

        found = until(look, Deadline(watch.deadline.allowed + timedelta(seconds=5)), every=0.2)
        if found is None:
            raise NetworkError("the guest cannot be reached", "`kvm-e2e doctor` looks into the network")
        return found

    def _spec(self) -> DomainSpec:
        machine = self.plan.machine
        return DomainSpec(
            name=domain_name(self.settings.run),
            uuid=uuid4(),
            lease=self.folder.lease.to_json(),
            memory=machine.memory,
            cpus=machine.cpus,
            cpu=machine.cpu,
            accel=self.accel.name,
            firmware=machine.firmware,
            base=self.image.path,
            base_format=self.image.format,
            overlay=self.folder.overlay,
            seed=self.folder.seed,
            network=machine.network,
            mac=self.identity.mac,
            is_system=self.connection.is_system,
        )
