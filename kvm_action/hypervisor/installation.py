"""The machine that an installer runs in: its kernel is handed over directly, and it speaks on two serial ports."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kvm_action.hypervisor.connection import Connection
from kvm_action.hypervisor.domain import Domain
from kvm_action.hypervisor.domain_xml import LEASE_NAMESPACE
from kvm_action.hypervisor.launching import OnConsole, launched, reading_console
from kvm_action.templating import render


@dataclass(frozen=True, kw_only=True)
class InstallationSpec:
    """One installation. ``memory`` in bytes; ``arguments`` are the kernel's; ``disc`` goes into a CD-ROM drive."""

    name: str
    lease: str
    memory: int
    cpus: int
    accel: str
    kernel: Path
    initrd: Path
    arguments: str
    disk: Path
    disc: Path | None
    mac: str
    is_system: bool = False
    """QEMU runs as another user than we do."""


def installation_xml(spec: InstallationSpec) -> str:
    """The domain."""
    return render("installation.xml.j2", spec=spec, lease_namespace=LEASE_NAMESPACE)


@contextmanager
def installing(
    connection: Connection, spec: InstallationSpec, on_screen: OnConsole, on_log: OnConsole
) -> Iterator[Domain]:
    """Start it; both ports are read from their first byte. Gone at the end. Raises HostError, BootError."""
    with (
        launched(connection, spec.name, installation_xml(spec), on_screen) as domain,
        reading_console(connection, domain.raw, on_log, device="serial1"),
    ):
        domain.resume()
        yield domain
