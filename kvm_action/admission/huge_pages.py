"""Huge pages: memory that the host's administrator has set apart. It is asked for, never taken from the rest."""

from kvm_action.errors import HostError
from kvm_action.procfs import HugePages
from kvm_action.units import format_size


def require_huge_pages(memory: int, pages: HugePages) -> None:
    """Raise HostError, with numbers and the command, when not enough of them are free for ``memory`` bytes."""
    if not pages.size:
        raise HostError(
            "the plan asks for huge pages, and this host's kernel has none", "leave machine.hugepages out"
        )
    if memory % pages.size:
        raise HostError(
            f"machine.memory is not a multiple of this host's huge pages of {format_size(pages.size)}",
            f"make it a multiple of {format_size(pages.size)}",
        )
    wanted = memory // pages.size
    if wanted > pages.free:
        raise HostError(
            f"the plan asks for {format_size(memory)} in huge pages, {wanted} of {format_size(pages.size)};"
            f" of {pages.total} that this host has reserved, {pages.free} are free",
            f"sudo sysctl -w vm.nr_hugepages={pages.total - pages.free + wanted}, or leave machine.hugepages out",
        )
