"""Machines that were kept: found by their run folders, opened at the libvirt that has them, ended."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from kvm_action.backends.keeping import KeptRecord, read_record
from kvm_action.backends.snapshotting import Snapshots
from kvm_action.errors import HostError, PlanError
from kvm_action.hypervisor.connection import Connection, open_connection
from kvm_action.hypervisor.domain import Domain
from kvm_action.hypervisor.domain_xml import domain_name
from kvm_action.hypervisor.owned import find_domain
from kvm_action.leases import Lease
from kvm_action.reach import Address
from kvm_action.runs import LOCK, kept_leases, read_lease
from kvm_action.ssh.access import CONFIG, move_access, read_address
from kvm_action.text import did_you_mean

LAST: Final = "last"
LOOPBACK: Final = "127.0.0.1"


class GoneError(HostError):
    """The machine is not there any more; its files are."""


@dataclass(frozen=True)
class Kept:
    """A machine that was kept, as its folder tells of it; nobody has looked yet whether it still runs."""

    folder: Path
    lease: Lease
    record: KeptRecord

    @property
    def run(self) -> str:
        """The id of its run, by which it is called."""
        return self.lease.run

    @property
    def domain(self) -> str:
        """libvirt's name of it."""
        return domain_name(self.run)

    @property
    def uri(self) -> str | None:
        """The libvirt that has it; None in an old lease: then it is the default one."""
        return self.lease.uri or None

    @property
    def ssh_config(self) -> Path | None:
        """OpenSSH's configuration for it, None when the run never logged in."""
        file = self.folder / CONFIG
        return file if file.exists() else None


@dataclass(frozen=True)
class Opened:
    """A kept machine, and its domain at an open connection."""

    kept: Kept
    connection: Connection
    domain: Domain

    @property
    def snapshots(self) -> Snapshots:
        """Its snapshots."""
        firmware = self.kept.record.firmware or "bios"
        return Snapshots(self.connection, self.domain, self.kept.folder, firmware)


def kept_machines(runs: Path) -> list[Kept]:
    """All machines of this home that were kept, oldest first."""
    folders = [(lease, runs / lease.run) for lease in kept_leases(runs)]
    return [Kept(folder, lease, read_record(folder)) for lease, folder in folders if folder.is_dir()]


def choose(machines: Sequence[Kept], name: str) -> Kept:
    """The machine that ``name`` means: a run's id, its unique beginning, or `last`. Raises PlanError."""
    if not machines:
        raise PlanError("no machine was kept", "run a plan with --keep on-failure or --keep always")
    if name == LAST:
        return machines[-1]
    name = name.removeprefix(domain_name(""))
    if exact := [machine for machine in machines if machine.run == name]:
        return exact[0]
    matching = [machine for machine in machines if name and machine.run.startswith(name)]
    if len(matching) == 1:
        return matching[0]
    runs = [machine.run for machine in matching or machines]
    if matching:
        raise PlanError(f"{name!r} matches {len(runs)} runs", f"write more of one: {', '.join(runs)}")
    hint = f"{did_you_mean(name, runs)}there are: {', '.join(runs)}; or write last"
    raise PlanError(f"no kept machine belongs to a run {name!r}", hint)


@contextmanager
def opened(kept: Kept) -> Iterator[Opened]:
    """The machine's domain. Raises HostError when its libvirt does not answer or has it no more."""
    with open_connection(kept.uri) as connection:
        domain = find_domain(connection, kept.domain)
        if domain is None:
            raise GoneError(
                f"the machine of run {kept.run} is gone: libvirt at {connection.uri} no longer has it",
                "`kvm-e2e reap` removes its files",
            )
        yield Opened(kept, connection, domain)


def reach(machine: Opened) -> Address | None:
    """Where its SSH server is, None when the run never logged in.

    Whoever goes back to a snapshot, virsh too, starts QEMU anew, which then knows nothing of the port that the
    run had forwarded: another one is, and OpenSSH's configuration follows.
    """
    config = machine.kept.ssh_config
    address = read_address(config) if config else None
    if config and address and address.host == LOOPBACK:
        port = machine.domain.ssh_forward() or machine.domain.forward_ssh()
        if port != address.port:
            address = Address(LOOPBACK, port)
            move_access(config, address)
    return address


@contextmanager
def changing(kept: Kept) -> Iterator[None]:
    """Be the only one who changes the machine. Raises HostError when another command does so now."""
    try:
        with FileLock(kept.folder / LOCK, timeout=0):
            if read_lease(kept.folder) is None:
                raise HostError(f"the machine of run {kept.run} was removed just now")
            yield
    except Timeout as error:
        raise HostError(
            f"another command is changing the machine of run {kept.run}", "wait for its end, then try again"
        ) from error


def destroy(kept: Kept) -> None:
    """End the machine, and remove its files. Raises HostError; not when the machine is gone already."""
    with changing(kept), open_connection(kept.uri) as connection:
        if domain := find_domain(connection, kept.domain):
            end(Opened(kept, connection, domain))
        shutil.rmtree(kept.folder, ignore_errors=True)


def end(machine: Opened) -> None:
    """End the machine, and remove its files. The caller holds its lock."""
    machine.domain.destroy()
    shutil.rmtree(machine.kept.folder, ignore_errors=True)
