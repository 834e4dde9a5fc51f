"""Ending a domain for certain: by libvirt, by libvirt asked anew, and by a signal where no libvirt answers."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

from kvm_action.errors import HostError
from kvm_action.hypervisor.connection import open_connection
from kvm_action.hypervisor.domain import Domain
from kvm_action.hypervisor.owned import find_domain
from kvm_action.hypervisor.qemu_process import end_process, has_process
from kvm_action.wait import Deadline, until

ANEW: Final = timedelta(seconds=3)
"""For a daemon that is being started again."""


@contextmanager
def ended_for_certain(domain: Domain) -> Iterator[None]:
    """Destroy the domain at the end of the context, unless it was told to stay."""
    try:
        yield
    finally:
        if not domain.kept:
            end(domain)


def end(domain: Domain) -> None:
    """Destroy the domain, also when the daemon that started it is gone.

    Raises HostError when it still runs: libvirt does not answer, and its process is not ours to end.
    """
    try:
        domain.destroy()
    except HostError:
        if not (until(lambda: _end_anew(domain), Deadline(ANEW), every=0.2) or end_process(domain.name)):
            raise
        domain.connection.forget_log(domain.name)


def _end_anew(domain: Domain) -> bool:
    """By a connection of its own; a daemon that was started again takes up the machines of the one before."""
    try:
        with open_connection(domain.connection.uri) as connection:
            if found := find_domain(connection, domain.name):
                found.destroy()
        return not has_process(domain.name)
    except HostError:
        return False
