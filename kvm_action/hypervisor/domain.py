"""A domain that runs: what can be asked of it and done to it. How it is started is `launching`."""

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

from kvm_action.errors import HostError, NetworkError
from kvm_action.hypervisor.bounded import bounded
from kvm_action.hypervisor.connection import Connection, first_sentence, in_our_words
from kvm_action.hypervisor.domain_xml import LEASE_NAMESPACE, NIC
from kvm_action.wait import Deadline

HOST_DISK_FULL: Final = "the host's disk is full"
QEMU_DIED: Final = "QEMU died"
"""How `Domain.end` says it."""

_FORWARD: Final = re.compile(r"TCP\[HOST_FORWARD\]\s+\d+\s+(?P<host>\S+)\s+(?P<port>\d+)\s+\S+\s+22\b")
_NOT_SPOKEN: Final = re.compile(
    r"\d{4}-\d\d-\d\d .*(starting up|shutting down)|LC_ALL|[A-Z_]+=|/|-|char device redirected"
)
"""Lines of a domain's log that libvirt writes, and QEMU's small talk."""
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
        self._mourners: list[Callable[[], None]] = []

    @property
    def raw(self) -> libvirt.virDomain:
        """libvirt's own object, for this package only."""
        return self._raw

    @property
    def connection(self) -> Connection:
        """The connection to the libvirt that has it."""
        return self._connection

    def when_gone(self, act: Callable[[], None]) -> None:
        """Call ``act``, in a thread of its own, as soon as the domain has stopped."""
        self._mourners.append(act)

    def note_end(self, why: str, *, is_gone: bool) -> None:
        """It stopped, or was paused for good. The first reason counts, but a pause explains no death of QEMU."""
        self.end = why if why == QEMU_DIED else self.end or why
        self.changed.set()
        for act in self._mourners if is_gone else ():
            Thread(target=act, name="mourner", daemon=True).start()

    def look_up_again(self) -> None:
        """It was ended and came back under its name. Raises HostError when it is not there."""
        with in_our_words(f"{self.name} did not come back"):
            self._raw = self._connection.raw.lookupByName(self.name)

    @property
    def is_running(self) -> bool:
        """Does libvirt say that it runs, at this moment?"""
        with suppress(libvirt.libvirtError):
            return bool(self._raw.state()[0] == libvirt.VIR_DOMAIN_RUNNING)
        return False

    def resume(self) -> None:
        """Let the processors run. Raises HostError when libvirt does not."""
        with in_our_words(f"{self.name} cannot be started"):
            self._raw.resume()

    def disk(self) -> Path:
        """The file that its first writable disk is now: a new layer after an external snapshot."""
        for disk in ElementTree.fromstring(self.xml()).iterfind("devices/disk"):  # noqa: S314 - libvirt's own XML
            source = disk.find("source")
            if disk.find("readonly") is None and source is not None:
                return Path(source.get("file", ""))
        raise HostError(f"{self.name} has no disk that can be written")

    def xml(self) -> str:
        """The domain's live XML. Raises HostError when libvirt does not tell."""
        with in_our_words(f"libvirt does not describe {self.name}"):
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
            self.suspend()
            try:
                yield
            finally:
                self.resume()
        finally:
            with suppress(libvirt.libvirtError):
                self._raw.fsThaw()

    def screenshot(self, path: Path, allowed: timedelta) -> None:
        """Save the machine's screen as PNG within the time ``allowed``.

        Raises HostError when there is none to be had, SilentQemuError when QEMU stands still.
        """
        picture = bounded(self._screen, Deadline(allowed), f"no screenshot of {self.name}")
        with Image.open(picture) as image:
            image.save(path, "PNG")

    def _screen(self) -> io.BytesIO:
        picture = io.BytesIO()
        with in_our_words(f"no screenshot of {self.name}"):
            stream = self._connection.raw.newStream()
            self._raw.screenshot(stream, 0)
            stream.recvAll(lambda _stream, data, sink: sink.write(data), picture)
            stream.finish()
        picture.seek(0)
        return picture

    def open_screen(self, password: str, until: datetime) -> int:
        """Let its screen be seen by VNC on 127.0.0.1 with ``password`` (8 characters count) for a while.

        Returns the port. Raises HostError for a machine that has no such screen.
        """
        with in_our_words(f"the screen of {self.name} cannot be opened"):
            graphics = ElementTree.fromstring(self.xml()).find("devices/graphics[@type='vnc']")  # noqa: S314
            if graphics is None:
                raise HostError(f"{self.name} was started without a screen that can be opened later")
            graphics.set("passwd", password)
            graphics.set("passwdValidTo", f"{until.astimezone(UTC):%Y-%m-%dT%H:%M:%S}")
            self._raw.updateDeviceFlags(ElementTree.tostring(graphics, "unicode"), libvirt.VIR_DOMAIN_AFFECT_LIVE)
        return int(graphics.get("port", "0"))

    def last_words(self) -> tuple[str, ...]:
        """What QEMU itself printed since its start, where we may read it."""
        log = self._connection.log_of(self.name)
        if log is None or not log.exists():
            return ()
        lines = log.read_text(errors="replace").splitlines()
        spoken = [line for line in lines if not _NOT_SPOKEN.match(line)]
        return tuple(spoken[-20:])

    def suspend(self) -> None:
        """Stop the processors. Raises HostError when libvirt does not."""
        with in_our_words(f"{self.name} cannot be paused"):
            self._raw.suspend()

    def plug_in(self, xml: str) -> None:
        """Add a device to the running machine. Raises HostError when libvirt refuses it."""
        with in_our_words(f"a device cannot be plugged into {self.name}"):
            self._raw.attachDeviceFlags(xml, libvirt.VIR_DOMAIN_AFFECT_LIVE)

    def change(self, xml: str) -> None:
        """Change a device of the running machine. Raises HostError when libvirt refuses it."""
        with in_our_words(f"a device of {self.name} cannot be changed"):
            self._raw.updateDeviceFlags(xml, libvirt.VIR_DOMAIN_AFFECT_LIVE)

    def qmp(
        self, execute: str, arguments: Mapping[str, object] | None = None, files: Sequence[int] = ()
    ) -> object:
        """A command to QEMU's monitor (QMP), with file descriptors handed along; returns what it returns.

        Raises HostError with QEMU's own words.
        """
        command = json.dumps({"execute": execute} | ({"arguments": arguments} if arguments else {}))
        with in_our_words(f"QEMU does not answer to {execute}"):
            if files:
                text, _ = libvirt_qemu.qemuMonitorCommandWithFiles(self._raw, command, list(files), 0)
            else:
                text = libvirt_qemu.qemuMonitorCommand(self._raw, command, 0)
        answer = json.loads(text)
        if "error" in answer:
            raise HostError(f"QEMU refuses {execute}: {answer['error'].get('desc', text)}")
        return answer.get("return")

    def keep(self, lease: str) -> None:
        """Let the domain outlive the context it was launched in, under another lease. Raises HostError."""
        element = f"<lease>{escape(lease)}</lease>"
        with in_our_words(f"{self.name} cannot be given a lease"):
            self._raw.setMetadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, element, "lease", LEASE_NAMESPACE)
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
        with in_our_words(f"the monitor of {self.name} does not answer"):
            return str(libvirt_qemu.qemuMonitorCommand(self._raw, command, human))
