"""A running domain: started transient and tied to our connection, watched by events, ended for certain."""

import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread
from typing import Final
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import libvirt
import libvirt_qemu
from PIL import Image

from kvm_action.errors import BootError, HostError, NetworkError
from kvm_action.hypervisor.connection import Connection, first_sentence
from kvm_action.hypervisor.domain_xml import LEASE_NAMESPACE, NIC

OnConsole = Callable[[bytes], None]

HOST_DISK_FULL: Final = "the host's disk is full"
"""How `Domain.end` says it."""

_FORWARD: Final = re.compile(r"TCP\[HOST_FORWARD\]\s+\d+\s+(?P<host>\S+)\s+(?P<port>\d+)\s+\S+\s+22\b")
_ALREADY_GONE: Final = (libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_OPERATION_INVALID)


class Domain:
    """A domain that runs. Made by `launched`; thread-safe, as libvirt is."""

    def __init__(self, raw: libvirt.virDomain, connection: Connection) -> None:
        """Wrap a domain; nothing is started here."""
        self._raw = raw
        self._connection = connection
        self.name: str = raw.name()
        self.changed = Event()
        """Set at each lifecycle event, for those who wait."""
        self.kept = False
        self.end = ""
        """Why the domain does not run any more, in libvirt's words; empty while it does."""

    @property
    def raw(self) -> libvirt.virDomain:
        """libvirt's own object, for this package only."""
        return self._raw

    @property
    def connection(self) -> Connection:
        """The connection to the libvirt that has it."""
        return self._connection

    def look_up_again(self) -> None:
        """It was ended and came back under its name."""
        self._raw = self._connection.raw.lookupByName(self.name)

    @property
    def is_running(self) -> bool:
        """Does libvirt say that it runs, at this moment?"""
        with suppress(libvirt.libvirtError):
            return bool(self._raw.state()[0] == libvirt.VIR_DOMAIN_RUNNING)
        return False

    def resume(self) -> None:
        """Let the processors run."""
        self._raw.resume()

    def disk(self) -> Path:
        """The file that its first writable disk is now: a new layer after an external snapshot."""
        for disk in ElementTree.fromstring(self.xml()).iterfind("devices/disk"):  # noqa: S314 - libvirt's own XML
            source = disk.find("source")
            if disk.find("readonly") is None and source is not None:
                return Path(source.get("file", ""))
        raise HostError(f"{self.name} has no disk that can be written")

    def xml(self) -> str:
        """The domain's live XML."""
        return str(self._raw.XMLDesc())

    def ssh_forward(self) -> int | None:
        """The loopback port that is forwarded to the guest's port 22, None when there is none (any more)."""
        match = _FORWARD.search(self.monitor("info usernet"))
        return int(match["port"]) if match else None

    def forward_ssh(self) -> int:
        """Forward a free loopback port to the guest's port 22; returns it.

        The port is chosen by the host's kernel as QEMU binds it, so that two machines never fight for one.
        """
        answer = self.monitor(f"hostfwd_add hostua-{NIC} tcp:127.0.0.1:0-:22")
        if port := self.ssh_forward():
            return port
        raise NetworkError(
            f"QEMU did not forward a port to the guest's SSH: {answer.strip() or 'no reason given'}"
        )

    def address_of(self, mac: str) -> str | None:
        """The IPv4 address of the card ``mac``, None while it has none.

        libvirt's DHCP leases tell it; on a network whose DHCP server is somebody else's, the guest agent does.
        """
        for source in (
            libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE,
            libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT,
        ):
            with suppress(libvirt.libvirtError):
                for card in self._raw.interfaceAddresses(source).values():
                    for address in card["addrs"] or ():
                        if card["hwaddr"] == mac and address["type"] == libvirt.VIR_IP_ADDR_TYPE_IPV4:
                            return str(address["addr"])
        return None

    def agent(self, command: str, timeout: timedelta) -> str | None:
        """Send a JSON command to the guest agent; its JSON answer, None when it does not answer in time."""
        seconds = max(1, round(timeout.total_seconds()))
        try:
            return str(libvirt_qemu.qemuAgentCommand(self._raw, command, seconds, 0))
        except libvirt.libvirtError:
            return None

    def set_clock(self, now: datetime) -> bool:
        """Set the guest's clock by its agent; False when the agent does not do it."""
        seconds, rest = divmod(now.timestamp(), 1)
        try:
            self._raw.setTime({"seconds": int(seconds), "nseconds": int(rest * 1e9)})
        except libvirt.libvirtError:
            return False
        return True

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Pause it with its file systems whole on the disk, as far as the guest agent brings that about.

        Raises HostError when it cannot be paused or does not go on.
        """
        with suppress(libvirt.libvirtError):
            self._raw.fsFreeze()
        try:
            self._raw.suspend()
            yield
        except libvirt.libvirtError as error:
            raise HostError(f"{self.name} cannot be paused: {first_sentence(error)}") from error
        finally:
            with suppress(libvirt.libvirtError):
                self._raw.resume()
            with suppress(libvirt.libvirtError):
                self._raw.fsThaw()

    def screenshot(self, path: Path) -> None:
        """Save the machine's screen as PNG. Raises HostError when there is none to be had."""
        stream = self._connection.raw.newStream()
        picture = io.BytesIO()
        try:
            self._raw.screenshot(stream, 0)
            stream.recvAll(lambda _stream, data, sink: sink.write(data), picture)
            stream.finish()
        except libvirt.libvirtError as error:
            raise HostError(f"no screenshot of {self.name}: {first_sentence(error)}") from error
        with Image.open(picture) as image:
            image.save(path, "PNG")

    def open_screen(self, password: str, until: datetime) -> int:
        """Let its screen be seen by VNC on 127.0.0.1 with ``password`` (8 characters count) for a while.

        Returns the port. Raises HostError for a machine that has no such screen.
        """
        try:
            graphics = ElementTree.fromstring(self.xml()).find("devices/graphics[@type='vnc']")  # noqa: S314
            if graphics is None:
                raise HostError(f"{self.name} was started without a screen that can be opened later")
            graphics.set("passwd", password)
            graphics.set("passwdValidTo", f"{until.astimezone(UTC):%Y-%m-%dT%H:%M:%S}")
            self._raw.updateDeviceFlags(ElementTree.tostring(graphics, "unicode"), libvirt.VIR_DOMAIN_AFFECT_LIVE)
        except libvirt.libvirtError as error:
            raise HostError(f"the screen of {self.name} cannot be opened: {first_sentence(error)}") from error
        return int(graphics.get("port", "0"))

    def last_words(self) -> tuple[str, ...]:
        """What QEMU itself printed since its start, where we may read it."""
        log = self._connection.log_of(self.name)
        if log is None or not log.exists():
            return ()
        lines = log.read_text(errors="replace").splitlines()
        spoken = [
            line
            for line in lines
            if not re.match(r"^\d{4}-\d\d-\d\d .*(starting up|shutting down)|^LC_ALL|^[A-Z_]+=|^/|^-", line)
        ]
        return tuple(spoken[-20:])

    def suspend(self) -> None:
        """Stop the processors."""
        self._raw.suspend()

    def plug_in(self, xml: str) -> None:
        """Add a device to the running machine. Raises HostError when libvirt refuses it."""
        try:
            self._raw.attachDeviceFlags(xml, libvirt.VIR_DOMAIN_AFFECT_LIVE)
        except libvirt.libvirtError as error:
            raise HostError(f"a device cannot be plugged into {self.name}: {first_sentence(error)}") from error

    def change(self, xml: str) -> None:
        """Change a device of the running machine. Raises HostError when libvirt refuses it."""
        try:
            self._raw.updateDeviceFlags(xml, libvirt.VIR_DOMAIN_AFFECT_LIVE)
        except libvirt.libvirtError as error:
            raise HostError(f"a device of {self.name} cannot be changed: {first_sentence(error)}") from error

    def qmp(
        self, execute: str, arguments: Mapping[str, object] | None = None, files: Sequence[int] = ()
    ) -> object:
        """A command to QEMU's monitor (QMP), with file descriptors handed along; returns what it returns.

        Raises HostError with QEMU's own words.
        """
        command = json.dumps({"execute": execute} | ({"arguments": arguments} if arguments else {}))
        try:
            if files:
                text, _ = libvirt_qemu.qemuMonitorCommandWithFiles(self._raw, command, list(files), 0)
            else:
                text = libvirt_qemu.qemuMonitorCommand(self._raw, command, 0)
        except libvirt.libvirtError as error:
            raise HostError(f"QEMU does not answer to {execute}: {first_sentence(error)}") from error
        answer = json.loads(text)
        if "error" in answer:
            raise HostError(f"QEMU refuses {execute}: {answer['error'].get('desc', text)}")
        return answer.get("return")

    def keep(self, lease: str) -> None:
        """Let the domain outlive the context it was launched in, under another lease. Raises HostError."""
        element = f"<lease>{escape(lease)}</lease>"
        try:
            self._raw.setMetadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, element, "lease", LEASE_NAMESPACE)
        except libvirt.libvirtError as error:
            raise HostError(f"{self.name} cannot be given a lease: {first_sentence(error)}") from error
        self.kept = True

    def destroy(self) -> None:
        """End the domain and remove QEMU's log of it. Not an error when it is gone already."""
        try:
            self._raw.destroy()
        except libvirt.libvirtError as error:
            if error.get_error_code() not in _ALREADY_GONE:
                raise HostError(f"cannot destroy {self.name}: {first_sentence(error)}") from error
        self._connection.forget_log(self.name)

    def monitor(self, command: str) -> str:
        """QEMU's answer to a command of its human monitor. Raises HostError when there is none."""
        human = libvirt_qemu.VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP
        try:
            return str(libvirt_qemu.qemuMonitorCommand(self._raw, command, human))
        except libvirt.libvirtError as error:
            raise HostError(f"the monitor of {self.name} does not answer: {first_sentence(error)}") from error


@contextmanager
def launched(
    connection: Connection, name: str, xml: str, on_console: OnConsole, *, may_outlive_us: bool = False
) -> Iterator[Domain]:
    """Start a transient domain, paused, whose console is read from its first byte; destroyed at the end.

    libvirt destroys it as well when our connection ends, whatever happened to us, unless it may be kept: then
    only its lease speaks for it. Raises HostError when libvirt or QEMU refuse it.
    """
    flags = libvirt.VIR_DOMAIN_START_PAUSED
    if not may_outlive_us:
        flags |= libvirt.VIR_DOMAIN_START_AUTODESTROY
    try:
        raw = connection.raw.createXML(xml, flags)
    except libvirt.libvirtError as error:
        connection.forget_log(name)
        raise HostError(
            f"libvirt cannot start the machine: {first_sentence(error)}", _start_hint(str(error))
        ) from error
    domain = Domain(raw, connection)
    with (
        watching(connection, domain, raw),
        ended_for_certain(domain),
        reading_console(connection, raw, on_console),
    ):
        yield domain


@contextmanager
def ended_for_certain(domain: Domain) -> Iterator[None]:
    """Destroy the domain at the end of the context, unless it was told to stay."""
    try:
        yield
    finally:
        if not domain.kept:
            domain.destroy()


def _start_hint(text: str) -> str:
    if "Permission denied" in text and "/dev/kvm" not in text:
        return (
            "libvirt runs QEMU as another user, who cannot reach the file: set KVM_E2E_HOME to a folder that "
            "anyone may enter, such as /var/lib/kvm-e2e, and let anyone read the image"
        )
    if "KVM" in text or "/dev/kvm" in text:
        return "`kvm-e2e doctor` looks into KVM; `--accel tcg` goes without it"
    if "annot allocate memory" in text or "annot set up guest memory" in text:
        return "the host is short of memory: lower machine.memory in the plan"
    return "`kvm-e2e doctor` looks into the host"


@contextmanager
def watching(connection: Connection, domain: Domain, raw: libvirt.virDomain) -> Iterator[None]:
    """Note in ``domain.end`` how the domain stops or is paused by itself."""

    def on_lifecycle(_conn: object, _dom: object, event: int, detail: int, _opaque: object) -> None:
        if event in _ENDS and not (event == libvirt.VIR_DOMAIN_EVENT_SUSPENDED and detail not in _BAD_SUSPENDS):
            domain.end = domain.end or _ENDS[event].get(detail, "it stopped")
        domain.changed.set()

    def on_io_error(
        _conn: object, _dom: object, path: str, _alias: str, _action: int, reason: str, _o: object
    ) -> None:
        if reason == "enospc":
            domain.end = HOST_DISK_FULL
        else:
            domain.end = domain.end or f"an I/O error on {Path(path).name} ({reason or 'no reason given'})"
        domain.changed.set()

    register = connection.raw.domainEventRegisterAny
    ids = [
        register(raw, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, on_lifecycle, None),
        register(raw, libvirt.VIR_DOMAIN_EVENT_ID_IO_ERROR_REASON, on_io_error, None),
    ]
    try:
        yield
    finally:
        for callback in ids:
            with suppress(libvirt.libvirtError):
                connection.raw.domainEventDeregisterAny(callback)


_BAD_SUSPENDS: Final = {
    libvirt.VIR_DOMAIN_EVENT_SUSPENDED_IOERROR: "paused after an I/O error",
    libvirt.VIR_DOMAIN_EVENT_SUSPENDED_WATCHDOG: "paused by its watchdog",
    libvirt.VIR_DOMAIN_EVENT_SUSPENDED_API_ERROR: "paused by an error of libvirt",
}
_ENDS: Final[dict[int, dict[int, str]]] = {
    libvirt.VIR_DOMAIN_EVENT_SUSPENDED: _BAD_SUSPENDS,
    libvirt.VIR_DOMAIN_EVENT_STOPPED: {
        libvirt.VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN: "the guest shut itself down",
        libvirt.VIR_DOMAIN_EVENT_STOPPED_DESTROYED: "somebody destroyed it",
        libvirt.VIR_DOMAIN_EVENT_STOPPED_CRASHED: "the guest crashed",
        libvirt.VIR_DOMAIN_EVENT_STOPPED_FAILED: "QEMU died",
    },
    libvirt.VIR_DOMAIN_EVENT_CRASHED: {libvirt.VIR_DOMAIN_EVENT_CRASHED_PANICKED: "the guest panicked"},
}


@contextmanager
def reading_console(
    connection: Connection, raw: libvirt.virDomain, on_console: OnConsole, device: str | None = None
) -> Iterator[None]:
    """Hand everything the serial console (or ``device``) prints to ``on_console``, in a thread, until the end.

    The stream has a connection of its own: on a shared one, a reader that blocks holds up other calls until
    the next keep-alive message (5 s, seen with libvirt 9.0).
    """
    own = libvirt.open(connection.uri)
    stream = own.newStream()
    try:
        own.lookupByUUID(raw.UUID()).openConsole(device, stream, libvirt.VIR_DOMAIN_CONSOLE_FORCE)
    except libvirt.libvirtError as error:
        own.close()
        raise BootError(f"no console of {raw.name()}: {first_sentence(error)}") from error

    def read() -> None:
        with suppress(libvirt.libvirtError):
            while data := stream.recv(1 << 16):
                on_console(data)

    thread = Thread(target=read, name="console", daemon=True)
    thread.start()
    try:
        yield
    finally:
        with suppress(libvirt.libvirtError):
            stream.abort()
        thread.join(2)
        own.close()
