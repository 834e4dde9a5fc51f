"""Virtual machines by libvirt: image, overlay, seed, domain and SSH session put together into a Machine."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import chain, repeat
from pathlib import Path
from typing import Final

from kvm_action import procfs, results, seed, ssh
from kvm_action.admission import require_huge_pages
from kvm_action.backends import evidence, first_boot, trouble
from kvm_action.backends.boot_watch import EVIDENCE_LINES
from kvm_action.backends.firmware import require_firmware
from kvm_action.backends.keeping import keep_machine, record_of
from kvm_action.backends.parts import Parts
from kvm_action.backends.reaping import reap
from kvm_action.backends.settings import Settings
from kvm_action.backends.snapshotting import Snapshots
from kvm_action.backends.start_choice import BOOT, Start, is_passing, reason_of
from kvm_action.backends.template_start import choose_start, wait_until_online, wake
from kvm_action.errors import (
    BootError,
    E2EError,
    GuestConnectionError,
    HostError,
    ImageError,
    NetworkError,
    ProvisionError,
)
from kvm_action.events import Note, Sink
from kvm_action.frozen import TemplateError
from kvm_action.guest import Guest, Machine, MachineFacts, Skipped
from kvm_action.hypervisor.bounded import SilentQemuError
from kvm_action.hypervisor.domain_xml import USER_NETWORK
from kvm_action.hypervisor.networks import require_network
from kvm_action.hypervisor.qemu_process import peak_memory, unique_memory
from kvm_action.images import qemu_img
from kvm_action.patience import stretched
from kvm_action.plan.model import Plan
from kvm_action.reach import speaks_ssh
from kvm_action.results import GuestInfo, ImageInfo, Measures, Milestones, SnapshotInfo, StartInfo
from kvm_action.runs import size_of
from kvm_action.text import counted
from kvm_action.units import format_size
from kvm_action.wait import Deadline, until

FIRST_BOOT: Final = timedelta(minutes=5)
AFTER_SCRIPT: Final = timedelta(seconds=20)
GREETING: Final = timedelta(seconds=2)
"""For one look whether an SSH server greets."""
SCREEN: Final = {False: timedelta(seconds=20), True: timedelta(seconds=2)}
"""For a picture of the screen; True when we are being killed."""


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


class VirtualMachine(Parts):
    """One run's machine: the steps, over its parts."""

    def check_host(self) -> str:
        """Look for all that the other steps need, before anything is made; take away what dead runs left."""
        image, accel, connection = self.image, self.accel, self.connection
        require_firmware(image, self.plan.machine.firmware)
        if self.plan.machine.network != USER_NETWORK:
            require_network(connection, self.plan.machine.network)
        if gone := reap(connection, self.settings.runs):
            self.sink(
                Note(text=f"removed what {counted(len(gone.folders) or len(gone.domains) or 1, 'dead run')} left")
            )
        if self.plan.machine.hugepages:
            require_huge_pages(self.plan.machine.memory, procfs.Host().huge_pages())
        self.admission  # noqa: B018 - nothing of ours exists before there is room for it
        self.start = choose_start(self)
        return f"{image.name} on {accel.name}, {connection.hypervisor_version}; start: {self.start.info.mode}"

    def create_disk(self) -> str:
        """A qcow2 overlay, as large as the plan wants its disk, or as the image is."""
        size = self.disk_size
        self.folder.overlay.touch(mode=0o600)  # it will hold the guest's memory, secrets included
        self.folder.renew(replace(self.folder.lease, image=self.image.sha256))
        template = self.start.template
        below, below_format = (template.disk, "qcow2") if template else (self.image.path, "")
        try:
            qemu_img.create_overlay(below, self.folder.overlay, size, below_format)
        except ImageError as error:  # what the host lacks, a boot would lack too
            if not self.start.template:
                raise
            self._boot_instead(error)
        return f"{format_size(size)} over {self.start.info.template or self.image.sha256[:12]}"

    def create_seed(self) -> str:
        """The NoCloud volume with this machine's identity. A template's machine learns it when it wakes."""
        if self.start.template:
            raise Skipped("a template's machine gets its identity when it wakes")
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
        """Start the machine in the way that was chosen, or by booting when that comes to nothing."""
        if template := self.start.template:
            try:
                return wake(self, template)
            except (TemplateError, HostError, NetworkError, BootError) as error:
                self._boot_instead(error)
        domain = self.domain
        if self.plan.machine.network == USER_NETWORK:
            self.address  # noqa: B018 - the forward must exist before the guest runs
        domain.resume()
        return domain.name

    def wait_for_network(self) -> str:
        """Wait until the guest's SSH server greets, or the boot is known to have failed."""
        if self.start.template:
            try:
                return wait_until_online(self)
            except (TemplateError, NetworkError) as error:
                self._boot_instead(error)
                self.launch()
        return self._greeted()

    def connect(self) -> Guest:
        """Log in, and wait until first-boot set-up has finished."""
        session = self._logged_in()
        self.watch.reached("ssh_authenticated")
        told = first_boot.finished(session, stretched(FIRST_BOOT))
        if told.cloud_init:
            self.watch.reached("cloud_init_done")
        self.boot_id = told.boot_id
        self.guest_info = GuestInfo(
            os=told.os, kernel=told.kernel, hostname=told.hostname, address=str(self.address)
        )
        return session

    def snapshot(self, name: str, parent: str | None) -> SnapshotInfo:  # noqa: ARG002 - the protocol's
        """Disk and memory, by the method that works here; ``parent`` is libvirt's own affair."""
        of_machine = Snapshots(self.connection, self.domain, self.folder.path, self.plan.machine.firmware)
        return of_machine.take_in_run(name, self.settings.run)

    def assert_reachable(self) -> None:
        """After the script: is the machine still one that can be logged in to? Raises ProvisionError if not."""
        deadline = Deadline(stretched(AFTER_SCRIPT), self.watch.patient)
        longer = chain((2, 4, 8), repeat(16))  # seconds: a guest among many is slow to greet

        def greets() -> bool:
            return speaks_ssh(self.address, timedelta(seconds=max(2, min(next(longer), deadline.left))))

        if not until(greets, deadline):
            raise ProvisionError(
                "after the script, nothing answers as an SSH server in the guest any more",
                "did the script stop sshd, break its configuration, or close port 22? see guest/journal.txt",
            )

    # --- when something goes wrong

    def explain(self, error: E2EError) -> E2EError:
        """What a broken session or a time-out really means, if we know more than the one who noticed it."""
        if not self.has("domain") or not isinstance(error, GuestConnectionError):
            return error
        return trouble.explain(self.domain, self.watch, error, was_up=bool(self.boot_id))

    def excuse(self, result: results.CheckResult) -> results.CheckResult:
        """A virtual machine can do all that a server can."""
        return result

    def collect_evidence(self, into: Path, *, quickly: bool) -> str:
        """Screen, QEMU's words, and, if there is time, logs from inside the guest."""
        if not self.has("domain"):
            return "no machine was made"
        (into / "screenshots").mkdir(exist_ok=True)
        try:
            self.domain.screenshot(into / "screenshots/console.png", SCREEN[quickly])
        except SilentQemuError:
            return "console; QEMU itself stands still"
        except (HostError, OSError) as error:
            self.sink(Note(text=str(error)))
        if words := self.domain.last_words():
            (into / "qemu.log").write_text("\n".join(words) + "\n")
        if quickly or self.domain.end:
            return "console and screen"
        return self._ask_guest(into / "guest")

    def _ask_guest(self, into: Path) -> str:
        if self.has("session") and self.session.is_alive and evidence.save(evidence.over_ssh(self.session), into):
            return "console, screen, and logs over SSH"
        if evidence.agent_answers(self.domain) and evidence.save(evidence.over_agent(self.domain), into):
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
            start=self.start.info,
            image=ImageInfo(name=self.image.name, sha256=self.image.sha256) if self.has("image") else None,
            guest=self.guest_info if self.boot_id else None,
            milestones=Milestones(**self.watch.log.milestones) if self.has("watch") else Milestones(),
            measures=self._measures(),
            libvirt=self.connection.libvirt_version if self.has("connection") else "",
            hypervisor=self._hypervisor(),
        )

    def _hypervisor(self) -> str:
        with suppress(HostError):  # that libvirt has none may be the very failure that is told
            return self.connection.hypervisor_version if self.has("connection") else ""
        return ""

    def _measures(self) -> Measures:
        return Measures(
            memory_peak_bytes=peak_memory(self.domain.name) if self.has("domain") else None,
            memory_own_bytes=unique_memory(self.domain.name) if self.has("domain") else None,
            queued_seconds=self.admission.queued_seconds if self.has("admission") else None,
            disk_bytes=size_of(self.folder.path) if self.has("folder") else None,
        )

    def keep(self) -> str:
        """Leave the machine running under a lease that ends by itself. Raises HostError when there is none."""
        if not self.has("domain"):
            raise HostError("it was not started yet")
        run, key = self.settings.run, self.identity.user_key.public
        record = record_of(run, self.plan, self.image, accel=self.accel.name, key=key, out=self.settings.out)
        access = self.session.ssh_access() if self.has("session") else None
        return keep_machine(self.folder, self.domain, record, access)

    def _logged_in(self) -> ssh.Session:
        try:
            return self.session
        except GuestConnectionError as error:
            if not self.start.template:
                raise
            self._boot_instead(error)
            self.launch()
            self._greeted()
            return self.session

    def _greeted(self) -> str:
        address = self.address
        try:
            self.while_booting(lambda: speaks_ssh(address, GREETING * self.watch.slowness))
        except BootError as error:
            raise trouble.without_network(self.domain, self.watch, self.identity.mac) or error from error
        self.watch.reached("port_open")
        return str(address)

    def _boot_instead(self, error: E2EError | TemplateError) -> None:
        """Give up the template, for good, and get ready to boot."""
        reason = reason_of(error)
        self.sink(Note(text=f"booting instead: {reason}", warning=True))
        self.attempt.close()
        for part in ("attempt", "domain", "address", "session"):
            self.__dict__.pop(part, None)
        with suppress(HostError):  # without space to write it, the template goes with a later run
            self.folder.renew(replace(self.folder.lease, template=""))
        if not is_passing(error):
            self.templates.retire(self.start.info.template, reason)
            if self.start.is_first and isinstance(error, TemplateError | HostError):
                self.templates.refuse(self.start.info.template, reason)
        self.watch.start_again()
        self.start = Start(StartInfo(mode=BOOT, reason=f"{self.start.info.mode} start failed: {reason}"))
        self.create_disk()
        self.create_seed()
