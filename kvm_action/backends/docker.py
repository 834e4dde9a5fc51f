"""Containers by Docker: the same steps as a virtual machine's, told of a container with systemd in it."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from shlex import quote
from typing import Final

from kvm_action.admission import Admission
from kvm_action.backends import container_image, evidence
from kvm_action.backends.boot_watch import EVIDENCE_LINES, PATIENCE, BootWatch, watching_boot
from kvm_action.backends.container_limits import Limit, excused, hit, limits_of, not_testable
from kvm_action.backends.container_reaping import reap_containers
from kvm_action.backends.container_setup import FirstStart, first_files, first_start
from kvm_action.backends.identity import Identity, new_identity
from kvm_action.backends.queueing import queued
from kvm_action.containers.command import Login
from kvm_action.containers.container import Container, console, created
from kvm_action.containers.engine import Engine, open_engine
from kvm_action.containers.images import ContainerImage
from kvm_action.containers.owned import labels
from kvm_action.containers.session import Session
from kvm_action.containers.spec import ContainerSpec
from kvm_action.errors import (
    BootError,
    CommandTimeoutError,
    E2EError,
    GuestConnectionError,
    HostError,
    NetworkError,
    ProvisionError,
)
from kvm_action.events import Note, Sink
from kvm_action.guest import Guest, Machine, MachineFacts, Skipped, SshAccess
from kvm_action.images.store import Store
from kvm_action.leases import KEPT_FOR
from kvm_action.patience import stretched
from kvm_action.plan.model import Keep, Plan
from kvm_action.procfs import Host
from kvm_action.reach import Address, speaks_ssh
from kvm_action.results import (
    AccelInfo,
    CheckOutcome,
    CheckResult,
    GuestInfo,
    ImageInfo,
    Measures,
    Milestones,
    SnapshotInfo,
    StartInfo,
)
from kvm_action.runs import RunFolder, run_folder
from kvm_action.ssh.access import write_access
from kvm_action.text import counted
from kvm_action.wait import Deadline, until

FIRST_START: Final = timedelta(minutes=2)
ASKING: Final = timedelta(seconds=10)
_GREETING: Final = timedelta(seconds=2)
SETTLE: Final = timedelta(seconds=0.5)
USER_NETWORK: Final = "user"
DOCKER_NETWORK: Final = "bridge"


def _went_down() -> ProvisionError:
    return ProvisionError(
        "the container went down while it was being used",
        "a container cannot reboot; see console.log, or run it with --backend kvm",
    )


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a run needs beside its plan.

    ``image`` is a name in the store, a file, or ``docker://REFERENCE``; ``privileged`` gives the container all
    powers of the host's root.
    """

    run: str
    image: str
    keep: Keep
    store: Store
    runs: Path
    out: Path
    privileged: bool = False


@dataclass(frozen=True)
class DockerBackend:
    """Makes containers for one plan."""

    plan: Plan
    settings: Settings
    sink: Sink
    name: str = "docker"

    @contextmanager
    def machine(self) -> Iterator[Machine]:
        """A container; all of it is gone at the end, unless it was told to stay."""
        with ExitStack() as stack:
            yield ContainerMachine(self.plan, self.settings, self.sink, stack)


@dataclass
class ContainerMachine:
    """One run's container. Its parts come into being as the steps ask for them, and end with ``stack``."""

    plan: Plan
    settings: Settings
    sink: Sink
    stack: ExitStack
    first: FirstStart | None = None
    limits: tuple[Limit, ...] = ()
    stays: bool = False
    _sessions: list[Session] = field(default_factory=list)

    # --- the parts, each made when it is first asked for

    @cached_property
    def engine(self) -> Engine:
        """The connection to the daemon."""
        return self.stack.enter_context(open_engine())

    @cached_property
    def image(self) -> ContainerImage:
        """What the container is made of."""
        return container_image.provide(
            self.engine, self.settings.store, self.settings.image, lambda text: self.sink(Note(text=text))
        )

    @cached_property
    def admission(self) -> Admission:
        """Our place among the runs of this host."""
        return self.stack.enter_context(queued(self.plan, self.settings.run, self.settings.runs, self.sink))

    @cached_property
    def folder(self) -> RunFolder:
        """Holds the lease, which a label could not renew, and files for OpenSSH."""
        return self.stack.enter_context(run_folder(self.settings.runs, self.settings.run))

    @cached_property
    def identity(self) -> Identity:
        """Fresh keys."""
        return new_identity(self.settings.run)

    @cached_property
    def watch(self) -> BootWatch:
        """The reader of the console."""
        out = self.settings.out / "console.log"
        return self.stack.enter_context(watching_boot(out, self.sink, PATIENCE["kvm"]))

    @cached_property
    def container(self) -> Container:
        """The container, not started yet."""
        return self.stack.enter_context(created(self.engine, self._spec(), stays=lambda: self.stays))

    def has(self, part: str) -> bool:
        """Does a part exist already?"""
        return part in self.__dict__

    # --- the steps

    def check_host(self) -> str:
        """The daemon answers, the image is there (imported once), what dead runs left is gone."""
        engine = self.engine
        if gone := reap_containers(engine, self.settings.runs):
            self.sink(Note(text=f"removed {counted(len(gone), 'container')} of dead runs"))
        image = self.image
        self.admission  # noqa: B018 - wait for room on the host
        return f"{image.reference} on {engine.name}"

    def create_disk(self) -> str:
        """The container, with a writable layer on its image."""
        self.folder  # noqa: B018 - the lease must be there before what it is for
        return f"a layer over {self.image.sha256[:12]}, {self.container.name}"

    def create_seed(self) -> str:
        """What the container has to know before it starts."""
        files = first_files(self.identity)
        self.container.put(files)
        return f"{len(files)} files"

    def launch(self) -> str:
        """Start it."""
        self.stack.enter_context(console(self.container, self.watch.on_console))
        self.watch.begin()
        self.container.start()
        return self.container.name

    def wait_for_network(self) -> str:
        """Docker has set the network up before the container's first process."""
        if not (address := self.container.address()):
            if not self.container.is_running():
                raise self._ended_early()
            raise NetworkError(
                "the container has no address", f"look at `docker network inspect {self._network()}`"
            )
        return address

    def connect(self) -> Guest:
        """Wait for systemd, make the plan's user, find out what cannot be tested here."""
        root = Session(self.container, Login(), lambda: None)
        self.first = first = first_start(
            root, self.plan.user, self.identity.user_key.public, stretched(FIRST_START)
        )
        self.watch.reached("ssh_authenticated")
        if first.failed:
            self.sink(Note(text=f"did not start in the container: {', '.join(first.failed)}", warning=True))
        self.limits = limits_of(first.limits)
        self.sink(Note(text=f"not testable in a container: {'; '.join(limit.what for limit in self.limits)}"))
        session = Session(self.container, first.login, self._ssh_access)
        self._sessions.append(session)
        return session

    def snapshot(self, name: str, parent: str | None) -> SnapshotInfo:
        """The files, by a commit."""
        try:
            return self.container.snapshot(name, parent)
        except HostError as error:
            raise Skipped(f"no snapshot “{name}”: {error.message}") from error

    def assert_reachable(self) -> None:
        """After the script: does the container still run? Raises ProvisionError if not."""
        if not self.container.is_running():
            raise _went_down()

    # --- when something goes wrong

    def explain(self, error: E2EError) -> E2EError:
        """What a broken session, or a script that failed of the container's limits, really means."""
        try:
            return self._explained(error)
        except HostError as silent:  # Docker's daemon is gone, so nobody knows
            return silent

    def _explained(self, error: E2EError) -> E2EError:
        if isinstance(error, GuestConnectionError | CommandTimeoutError) and self.has("container"):
            return self._explain_silence(error)
        if isinstance(error, ProvisionError) and self._sessions:
            if self._goes_down():
                return _went_down()
            words = self._sessions[0].last_words.decode(errors="replace")
            if limit := hit(words, self.limits):
                hint = f"this may be the container's limit ({limit.what}: {limit.why}); run it with --backend kvm"
                return ProvisionError(error.message, f"{hint}; {error.hint}" if error.hint else hint)
        return error

    def _explain_silence(self, error: E2EError) -> E2EError:
        if self.container.is_running():
            slow = self.first is None and isinstance(error, CommandTimeoutError)
            return BootError("systemd did not come up in the container in time", self._guess()) if slow else error
        if self.first is None:
            return self._ended_early()
        return _went_down()

    def _goes_down(self) -> bool:
        """A shutdown ends the script before it ends the container."""
        down = until(lambda: self.watch.log.going_down or not self.container.is_running(), Deadline(SETTLE))
        return bool(down)

    def _ended_early(self) -> BootError:
        last = self.console_tail()[-1:] or ("it said nothing",)
        return BootError(f"the container ended at its start: {last[0]}", "see console.log")

    def _guess(self) -> str:
        return f"it got to stage “{self.watch.log.stage}”; see console.log"

    def excuse(self, result: CheckResult) -> CheckResult:
        """A check that failed of what a container cannot do is not testable here."""
        if result.outcome not in (CheckOutcome.FAILED, CheckOutcome.ERROR):
            return result
        status = ""
        if result.kind == "service" and self._sessions:
            unit = quote(result.name.removeprefix("service ").split()[0])
            with suppress(GuestConnectionError, CommandTimeoutError, HostError):
                status = self._sessions[0].run(f"systemctl status --no-pager -- {unit}", timeout=ASKING).text
        return excused(result, self.limits, status)

    def collect_evidence(self, into: Path, *, quickly: bool) -> str:
        """Logs from inside; the console is kept anyway."""
        if not self.has("container"):
            return "no container was made"
        try:
            if quickly or not self.container.is_running():
                return "console"
        except HostError:
            return "console; Docker does not answer"
        root = Session(self.container, Login(), lambda: None)
        saved = evidence.save(evidence.over_ssh(root), into / "guest")
        return "console and logs" if saved else "console; the container does not answer"

    def console_tail(self) -> tuple[str, ...]:
        """The console's last lines."""
        return self.watch.log.tail[-EVIDENCE_LINES:] if self.has("watch") else ()

    def stage(self) -> str:
        """How far systemd came."""
        return str(self.watch.log.stage) if self.has("watch") else ""

    def facts(self) -> MachineFacts:
        """What is known by now."""
        image = ImageInfo(name=self.settings.image, sha256=self.image.sha256) if self.has("image") else None
        return MachineFacts(
            accel=AccelInfo(name="none", reason="a container runs on the host's kernel"),
            start=StartInfo(mode="boot", reason="systemd, without kernel or firmware"),
            image=image,
            guest=self._guest_info(),
            milestones=Milestones(**self.watch.log.milestones) if self.has("watch") else Milestones(),
            measures=self._measures(),
            hypervisor=self.engine.name if self.has("engine") else "",
            not_testable=not_testable(self.limits),
        )

    def _guest_info(self) -> GuestInfo | None:
        if self.first is None:
            return None
        with suppress(GuestConnectionError, HostError):
            return replace(self.first.guest, address=self.container.address())
        return self.first.guest

    def _measures(self) -> Measures:
        if not self.has("container"):
            return Measures()
        memory = self.container.memory(Host())
        return Measures(
            memory_peak_bytes=memory.peak,
            memory_own_bytes=memory.own,
            queued_seconds=self.admission.queued_seconds,
            disk_bytes=self.container.disk_bytes(),
        )

    def keep(self) -> str:
        """Leave the container running under a lease that ends by itself. Raises HostError when there is none."""
        if not self.has("container"):
            raise HostError("it was not started yet")
        name = self.container.name
        lease = replace(self.folder.lease, kept_until=datetime.now(UTC) + KEPT_FOR)
        self.folder.renew(lease)
        self.folder.keep = self.stays = True
        until = f"{lease.kept_until:%H:%M} UTC"
        return f"kept {name} until {until}: docker exec -it {name} bash; `kvm-e2e reap --all` ends it"

    # --- inner

    def _ssh_access(self) -> SshAccess | None:
        """None where no SSH server is installed. Raises NetworkError for one that does not answer."""
        address = Address(self.container.address(), 22)
        greeted = until(lambda: speaks_ssh(address, _GREETING), Deadline(ASKING)) if address.host else None
        if greeted:
            key, host_key = self.identity.user_key.private, self.identity.host_key.public
            return write_access(self.folder.path, address, self.plan.user.name, key, host_key)
        if self._sessions and self._sessions[0].run("test -x /usr/sbin/sshd", timeout=ASKING).ok:
            raise NetworkError(
                "the container's SSH server does not answer this host",
                "did the script stop it? containers of a rootless Docker cannot be reached from the host",
            )
        return None

    def _network(self) -> str:
        network = self.plan.machine.network
        return DOCKER_NETWORK if network == USER_NETWORK else network

    def _spec(self) -> ContainerSpec:
        machine = self.plan.machine
        return ContainerSpec(
            name=f"kvm-e2e-{self.settings.run}",
            image=self.image.reference,
            hostname=self.identity.hostname,
            cpus=min(machine.cpus, self.engine.cpus),  # Docker refuses to promise more than there are
            memory=machine.memory,
            network=self._network(),
            labels=labels(self.folder.lease),
            privileged=self.settings.privileged,
        )
