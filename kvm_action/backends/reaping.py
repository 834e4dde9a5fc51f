"""Removing what dead runs left: their domains, then their folders; nothing of the living, nothing foreign."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from kvm_action.hypervisor.connection import Connection
from kvm_action.hypervisor.domain_xml import domain_name, template_name
from kvm_action.hypervisor.owned import destroy_abandoned, has_domain
from kvm_action.leases import Lease
from kvm_action.runs import leftovers
from kvm_action.work_folder import remove_abandoned_scratch


@dataclass(frozen=True)
class Reaped:
    """What was removed: domains and run folders by name, scratch folders, and the bytes that runs had."""

    domains: tuple[str, ...]
    folders: tuple[str, ...]
    scratch: tuple[Path, ...]
    bytes: int

    def __bool__(self) -> bool:
        """Was there anything?"""
        return bool(self.domains or self.folders or self.scratch)


def reap(connection: Connection | None, runs: Path, *, kept_too: bool = False) -> Reaped:
    """Remove what belongs to dead leases. Without a connection only folders; safe to run twice at once.

    The folder of a kept machine goes when the daemon that had the machine has it no more. ``kept_too`` ends the
    kept machines of this home before.
    """
    domains = destroy_abandoned(connection, kept_below=runs if kept_too else None) if connection else []

    def has_lost_its_machine(lease: Lease) -> bool:
        if connection is None or not (lease.uri == connection.uri or (kept_too and not lease.uri)):
            return False
        return not has_domain(connection, domain_name(lease.run))

    dead = leftovers(runs, has_lost_its_machine)
    for folder in dead:
        shutil.rmtree(folder.path, ignore_errors=True)
        if connection:  # libvirt has destroyed the domain of a killed run, but keeps its log
            connection.forget_log(domain_name(folder.path.name))
            connection.forget_log(template_name(domain_name(folder.path.name)))
    if connection:
        connection.forget_old_logs(domain_name(""))
    return Reaped(
        tuple(domain.name for domain in domains),
        tuple(folder.path.name for folder in dead),
        tuple(remove_abandoned_scratch()),
        sum(folder.bytes for folder in dead),
    )
