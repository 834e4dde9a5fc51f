"""The connection to libvirt: which daemon, how to get it running, and libvirt's errors in our words.

Ordinary users get their own session daemon, which libvirt starts by itself. For root, libvirt takes
``qemu:///session`` to be the system daemon (`remoteGetURIDaemonInfo` asks for ``geteuid() > 0``), so that
root is given an unprivileged daemon of our own in a user namespace: the same mode for everyone.
"""

import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, cached_property
from pathlib import Path
from threading import Lock, Thread
from typing import Final

import libvirt
from filelock import FileLock

from kvm_action import proc
from kvm_action.errors import HostError
from kvm_action.wait import Deadline, until

ROOT_RUNTIME: Final = Path("/run/kvm-e2e")
"""Where root's daemon lives. Short, since sockets below it must stay within 107 bytes."""

SYSTEM_URI: Final = "qemu:///system"
"""The privileged daemon of the whole host."""

SYSTEM_LOGS: Final = Path("/var/log/libvirt/qemu")

DAEMON_START: Final = timedelta(seconds=20)
OLD_LOG: Final = timedelta(days=1)


@dataclass(frozen=True)
class Connection:
    """An open connection. ``raw`` is libvirt's own object and stays within this package."""

    raw: libvirt.virConnect
    uri: str
    log_folder: Path | None
    """Where the daemon writes one log per domain (QEMU's own words); None when we may not read it."""

    libvirt_version: str
    """``libvirt 9.0.0``; still known when the daemon is gone."""

    @cached_property
    def hypervisor_version(self) -> str:
        """``QEMU 7.2.22``. Raises HostError when the daemon does not tell."""
        with in_our_words("libvirt does not tell the version of QEMU"):
            return f"{self.raw.getType()} {_dotted(self.raw.getVersion())}"

    @property
    def is_system(self) -> bool:
        """Does a privileged daemon answer, so that QEMU runs as another user than we do?"""
        return "/system" in self.uri

    def require_alive(self) -> None:
        """Raise HostError when the daemon is gone."""
        if self.raw.isAlive() != 1:
            raise HostError("the connection to libvirt is lost", LOST_HINT)

    def log_of(self, domain: str) -> Path | None:
        """The file of QEMU's own words about a domain, None when we may not read it."""
        return self.log_folder / f"{domain}.log" if self.log_folder else None

    def forget_log(self, domain: str) -> None:
        """Remove that file, which libvirt never does."""
        if log := self.log_of(domain):
            log.unlink(missing_ok=True)

    def forget_old_logs(self, beginning: str, older: timedelta = OLD_LOG) -> None:
        """The same for machines whose name begins so, that are gone, and of which nobody knows any more."""
        if not self.log_folder:
            return
        with suppress(libvirt.libvirtError, OSError):
            there = {domain.name() for domain in self.raw.listAllDomains()}
            for log in self.log_folder.glob(f"{beginning}*.log"):
                if log.stem not in there and time.time() - log.stat().st_mtime > older.total_seconds():
                    log.unlink()


def _dotted(number: int) -> str:
    """libvirt's 1000000 * major + 1000 * minor + release."""
    return f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"


def default_uri(environ: Mapping[str, str] = os.environ) -> str:
    """``$LIBVIRT_DEFAULT_URI``, else the session daemon of this user."""
    if chosen := environ.get("LIBVIRT_DEFAULT_URI"):
        return chosen
    if os.geteuid() == 0:
        return f"qemu+unix:///session?socket={ROOT_RUNTIME}/libvirt/libvirt-sock"
    return "qemu:///session"


@contextmanager
def open_connection(uri: str | None = None, environ: Mapping[str, str] = os.environ) -> Iterator[Connection]:
    """Connect, starting the user's daemon if need be. Raises HostError when libvirt cannot be reached."""
    uri = uri or default_uri(environ)
    start_event_loop()
    raw = _open_for_root(uri) if str(ROOT_RUNTIME) in uri else _open(uri)
    try:
        raw.setKeepAlive(5, 3)
        version = f"libvirt {_dotted(raw.getLibVersion())}"
        yield Connection(raw, uri, log_folder(uri, environ), version)
    finally:
        raw.close()


def log_folder(uri: str, environ: Mapping[str, str]) -> Path | None:
    """The daemon's folder of domain logs, where its files are ours to read: our session's, or root's."""
    if str(ROOT_RUNTIME) in uri:
        return ROOT_RUNTIME / "cache/libvirt/qemu/log"
    if uri == "qemu:///session":
        caches = environ.get("XDG_CACHE_HOME")
        return (Path(caches) if caches else Path.home() / ".cache") / "libvirt/qemu/log"
    return SYSTEM_LOGS if uri == SYSTEM_URI and os.geteuid() == 0 else None


_STARTING: Final = Lock()


def start_event_loop() -> None:
    """Run libvirt's event loop in a daemon thread, once per process: it must exist before any connection.

    Any thread may call it at any time; it returns when the loop is there, whoever has started it.
    """
    with _STARTING:
        _start_event_loop_once()


@cache
def _start_event_loop_once() -> None:
    libvirt.registerErrorHandler(lambda _context, _error: None, None)  # errors are raised; stderr is the user's
    libvirt.virEventRegisterDefaultImpl()

    def turn() -> None:
        while libvirt.virEventRunDefaultImpl() == 0:
            pass

    Thread(target=turn, name="libvirt-events", daemon=True).start()


def _open(uri: str) -> libvirt.virConnect:
    try:
        return libvirt.open(uri)
    except libvirt.libvirtError as error:
        raise HostError(
            f"libvirt does not answer at {uri}: {first_sentence(error)}", _connect_hint(uri, error)
        ) from error


def _connect_hint(uri: str, error: libvirt.libvirtError) -> str:
    text = str(error)
    if "ermission denied" in text or "authentication" in text:
        return "join the group of libvirt: sudo usermod -aG libvirt $USER, then log in again"
    if "/system" in uri:
        return "start the daemon: sudo systemctl enable --now libvirtd"
    if "No such file" in text or "Failed to find" in text or "Cannot find" in text:
        return "install libvirt: sudo apt-get install libvirt-daemon-system libvirt-clients"
    return "`kvm-e2e doctor` looks into it"


def _open_for_root(uri: str) -> libvirt.virConnect:
    """Root's own session daemon: the running one, or a new one. A lock keeps two runs from starting two."""
    ROOT_RUNTIME.mkdir(mode=0o700, exist_ok=True)
    with FileLock(ROOT_RUNTIME / "start.lock"):
        try:
            return libvirt.open(uri)
        except libvirt.libvirtError:
            _start_root_daemon()
        if found := until(lambda: _try_open(uri), Deadline(DAEMON_START), every=0.05):
            return found
        raise HostError(
            f"the libvirt daemon for root did not answer within {DAEMON_START.total_seconds():.0f} s",
            f"its words are in {ROOT_RUNTIME / 'cache/libvirt/libvirtd.log'}",
        )


def _try_open(uri: str) -> libvirt.virConnect | None:
    try:
        return libvirt.open(uri)
    except libvirt.libvirtError:
        return None


def _start_root_daemon() -> None:
    folders = {
        "XDG_RUNTIME_DIR": ROOT_RUNTIME,
        "XDG_CONFIG_HOME": ROOT_RUNTIME / "config",
        "XDG_CACHE_HOME": ROOT_RUNTIME / "cache",
        "XDG_DATA_HOME": ROOT_RUNTIME / "data",
    }
    # An Actions runner kills at the end of its job whatever carries this name; other jobs may use the daemon.
    environment = {name: str(folder) for name, folder in folders.items()} | {"RUNNER_TRACKING_ID": ""}
    mapped = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
    started = proc.run([*mapped, "libvirtd", "--daemon", "--timeout", "60"], environment=environment)
    if not started.ok:
        raise HostError(
            f"the libvirt daemon for root did not start: {started.last_words}",
            "root needs user namespaces (`unshare --user true` must work); or run as an ordinary user",
        )


_QEMU_ENDED: Final = re.compile(
    r"^internal error: (process exited while connecting to monitor|qemu unexpectedly closed the monitor)"
    r"( \(vm='[^']*'\))?(: (\S+Z )?(\S*qemu\S*: )?)?",
    re.IGNORECASE,
)


def first_sentence(error: libvirt.libvirtError) -> str:
    """libvirt's message without its trailing lines; QEMU's own last words without how libvirt met them."""
    line = (error.get_error_message() or str(error)).strip().splitlines()[0]
    return _QEMU_ENDED.sub("QEMU ended: ", line).removesuffix(": ")


_LOST: Final = re.compile(r"socket is closed|Broken pipe|Connection reset|End of file|keepalive|not connected")
LOST_HINT: Final = "libvirt's daemon ended, or was restarted, under this run: see `journalctl -u libvirtd`"


def is_lost(reason: str) -> bool:
    """Does libvirt's message say that its daemon is gone?"""
    return bool(_LOST.search(reason))


@contextmanager
def in_our_words(what: str, hint: str = "") -> Iterator[None]:
    """Raise HostError, "``what``: libvirt's reason", for an error of libvirt; a lost daemon is said so."""
    try:
        yield
    except libvirt.libvirtError as error:
        reason = first_sentence(error)
        raise HostError(f"{what}: {reason}", LOST_HINT if is_lost(reason) else hint) from error
