"""Starting a domain: transient and tied to our connection, watched by events, its console read from the start."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Final

import libvirt

from kvm_action.errors import BootError, HostError
from kvm_action.hypervisor.connection import LOST_HINT, Connection, first_sentence, in_our_words, is_lost
from kvm_action.hypervisor.domain import HOST_DISK_FULL, QEMU_DIED, Domain
from kvm_action.hypervisor.ending import ended_for_certain
from kvm_action.hypervisor.owned import find_domain
from kvm_action.hypervisor.qemu_process import end_process

OnConsole = Callable[[bytes], None]


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
        end_process(name)  # a daemon that dies now leaves it behind
        connection.forget_log(name)
        reason = first_sentence(error)
        hint = LOST_HINT if is_lost(reason) else start_hint(str(error))
        raise HostError(f"libvirt cannot start the machine: {reason}", hint) from error
    except BaseException:  # a signal that came while libvirt was at it: the machine may be there
        with suppress(HostError):
            if begun := find_domain(connection, name):
                begun.destroy()
        raise
    domain = Domain(raw, connection)
    with (
        ended_for_certain(domain),
        watching(connection, domain, raw),
        reading_console(connection, raw, on_console),
    ):
        yield domain


NO_MEMORY_HINT: Final = "the host is short of memory: lower machine.memory in the plan"
_HINTS: Final = tuple(
    (re.compile(said), hint)
    for said, hint in (
        (
            r"^(?!.*/dev/kvm).*Permission denied",
            "libvirt runs QEMU as another user, who cannot reach the file: set KVM_E2E_HOME to a folder that "
            "anyone may enter, such as /var/lib/kvm-e2e, and let anyone read the image",
        ),
        (
            r"KVM|/dev/kvm|(-accel|initialize|domaintype=) ?kvm|kvm version",
            "`kvm-e2e doctor` looks into KVM; `--accel tcg` goes without it",
        ),
        (
            "UNIX socket path",
            "sockets have short paths: set KVM_E2E_HOME to a folder with a shorter one, such as /var/lib/kvm-e2e",
        ),
        (
            "O_DIRECT",
            "the file system of KVM_E2E_HOME has a cache that cannot be left out: use disk_cache: unsafe there",
        ),
        ("io_uring", "this host's kernel or QEMU has no io_uring: leave machine.disk_io out"),
        ("annot (allocate|set up guest) memory", NO_MEMORY_HINT),
    )
)


def start_hint(text: str) -> str:
    """What to do about libvirt's or QEMU's refusal to start a machine."""
    line = " ".join(text.splitlines())
    return next((hint for said, hint in _HINTS if said.search(line)), "`kvm-e2e doctor` looks into the host")


@contextmanager
def watching(connection: Connection, domain: Domain, raw: libvirt.virDomain) -> Iterator[None]:
    """Note in ``domain.end`` how the domain stops or is paused by itself."""

    def on_lifecycle(_conn: object, _dom: object, event: int, detail: int, _opaque: object) -> None:
        if event in _ENDS and not (event == libvirt.VIR_DOMAIN_EVENT_SUSPENDED and detail not in _BAD_SUSPENDS):
            is_gone = event != libvirt.VIR_DOMAIN_EVENT_SUSPENDED
            domain.note_end(_ENDS[event].get(detail, "it stopped"), is_gone=is_gone)
        domain.changed.set()

    def on_io_error(
        _conn: object, _dom: object, path: str, _alias: str, _action: int, reason: str, _o: object
    ) -> None:
        if reason == "enospc":
            domain.end = HOST_DISK_FULL
        domain.note_end(f"an I/O error on {Path(path).name} ({reason or 'no reason given'})", is_gone=False)

    register = connection.raw.domainEventRegisterAny
    with in_our_words(f"libvirt does not watch {domain.name}"):
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
        libvirt.VIR_DOMAIN_EVENT_STOPPED_FAILED: QEMU_DIED,
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
    with in_our_words(f"no console of {raw.name()}"):
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
