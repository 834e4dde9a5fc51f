"""The seam between machines and everything that looks at them: protocols only, no code that acts."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from kvm_action.errors import E2EError
from kvm_action.events import Stream
from kvm_action.results import (
    AccelInfo,
    CheckResult,
    GuestInfo,
    ImageInfo,
    Measures,
    Milestones,
    NotTestable,
    SnapshotInfo,
    StartInfo,
)

OnOutput = Callable[[Stream, bytes], None]
"""Called with pieces of output as they arrive, of any length; must not block."""


@dataclass(frozen=True)
class GuestOutput:
    """A command that ended in the guest. ``stdout``/``stderr`` are cut at the limit that was asked for."""

    command: str
    status: int
    stdout: bytes
    stderr: bytes
    signal: str = ""
    """The signal's name without SIG, when one ended the command."""
    truncated: bool = False

    @property
    def ok(self) -> bool:
        """Did it exit 0?"""
        return self.status == 0

    @property
    def text(self) -> str:
        """Standard output, decoded with replacement characters, without its last line end."""
        return self.stdout.decode(errors="replace").rstrip("\n")


@dataclass(frozen=True)
class SshAccess:
    """How another program reaches the guest by OpenSSH: the config file holds user, port, key and known host."""

    config: Path
    host: str


@dataclass(frozen=True)
class Tree:
    """A local file or folder that goes into the guest at ``to``; ``exclude`` are glob patterns (see `archive`)."""

    source: Path
    to: str
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True)
class Received:
    """What was copied out of a guest (links included), and a sentence for each thing that was left out."""

    paths: tuple[Path, ...]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """How many paths."""
        return len(self.paths)

    def __iter__(self) -> Iterator[Path]:
        """The paths."""
        return iter(self.paths)


class GuestSocket(Protocol):
    """A TCP connection into a guest, in use like a socket; its errors are OSError."""

    def settimeout(self, seconds: float | None, /) -> None:
        """How long each of the calls below may take; TimeoutError then."""

    def recv(self, size: int, /) -> bytes:
        """What came, at least a byte of it; nothing when the other side has closed."""

    def sendall(self, data: bytes, /) -> None:
        """Send all of it."""

    def shutdown(self, how: int, /) -> None:
        """Say that no more will be sent (`socket.SHUT_WR`), or end both ways and wake who waits."""

    def close(self) -> None:
        """End it."""


class Guest(Protocol):
    """A running machine, as a checker or a step sees it."""

    def run(
        self,
        command: str,
        *,
        timeout: timedelta,
        sudo: bool = False,
        stdin: bytes | None = None,
        on_output: OnOutput | None = None,
        keep_bytes: int = 1 << 20,
    ) -> GuestOutput:
        """Run a shell command as the plan's user (``sudo``: as root) and wait for its end.

        Only the first ``keep_bytes`` of each stream are returned; ``on_output`` gets everything. Raises
        CommandTimeoutError when the time is over (the command is then killed), GuestConnectionError when the
        session breaks.
        """

    def put(self, tree: Tree, timeout: timedelta) -> int:
        """Copy a tree into the guest, modes and links kept; returns the bytes sent."""

    def get(self, pattern: str, into: Path, *, limit_bytes: int, timeout: timedelta) -> Received:
        """Copy what matches an absolute glob pattern out of the guest, safely, up to a limit."""

    def open_port(self, port: int, timeout: timedelta) -> GuestSocket:
        """A connection to a TCP port of the guest, with no port forwarded for others; the caller closes it.

        Raises PortClosedError when nothing takes it, NoWayToPortError when the guest lets nobody try,
        GuestConnectionError when the session breaks.
        """

    def ssh_access(self) -> SshAccess | None:
        """Access for OpenSSH, None for a machine that has no SSH (a container)."""


@dataclass(frozen=True, kw_only=True)
class MachineFacts:
    """What a machine's backend knows of it; grows as the steps go on."""

    accel: AccelInfo | None = None
    start: StartInfo | None = None
    image: ImageInfo | None = None
    guest: GuestInfo | None = None
    milestones: Milestones = field(default_factory=Milestones)
    measures: Measures = field(default_factory=Measures)
    libvirt: str = ""
    hypervisor: str = ""
    not_testable: tuple[NotTestable, ...] = ()


class Skipped(Exception):  # not an error, hence its name: a step that does not exist here
    """Raised by a machine's step that has no meaning for its backend; the text says why."""


class Machine(Protocol):
    """One run's machine, from nothing to running. Each method is a step and returns its line of detail.

    A context manager around it (see `Backend`) ends everything that any of the steps began.
    """

    def check_host(self) -> str:
        """`prerequisites`: the host can run this at all."""

    def create_disk(self) -> str:
        """`overlay`."""

    def create_seed(self) -> str:
        """`seed`."""

    def launch(self) -> str:
        """`launch`: the machine is running when this returns."""

    def wait_for_network(self) -> str:
        """`network`: an address is known and the port answers."""

    def connect(self) -> Guest:
        """`ssh`: an authenticated session, first-boot set-up finished."""

    def snapshot(self, name: str, parent: str | None) -> SnapshotInfo:
        """Take a snapshot; raises Skipped where this host cannot."""

    def assert_reachable(self) -> None:
        """After the script: can the machine still be logged in to? Raises ProvisionError if not."""

    def explain(self, error: E2EError) -> E2EError:
        """What a broken session really means, if the machine knows more than the one who noticed it."""

    def excuse(self, result: CheckResult) -> CheckResult:
        """The same result, or a skipped one when the check failed of what such a machine cannot do."""

    def collect_evidence(self, into: Path, *, quickly: bool) -> str:
        """Save what helps to understand a failure; ``quickly``: within two seconds, we are being killed."""

    def console_tail(self) -> tuple[str, ...]:
        """The console's last lines, for a failure that is not the script's."""

    def stage(self) -> str:
        """How far the boot came; empty where there is none."""

    def facts(self) -> MachineFacts:
        """What is known by now."""

    def keep(self) -> str:
        """Leave the machine behind on purpose; says how to reach and how to end it."""


class Backend(Protocol):
    """A way to make machines."""

    @property
    def name(self) -> str:
        """As in `--backend`."""

    def machine(self) -> AbstractContextManager[Machine]:
        """A machine that does not exist yet; leaving the context removes all of it."""
