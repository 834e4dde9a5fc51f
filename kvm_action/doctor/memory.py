"""Memory, swap, huge pages and shared memory, as the kernel counts them."""

import re
from typing import Final

from kvm_action.doctor.finding import Finding, Level, ok, warning
from kvm_action.procfs import Host, HugePages
from kvm_action.units import format_size

GIB: Final = 1 << 30
LEAST: Final = GIB
"""Below this not even a small guest starts."""
USUAL: Final = 5 * GIB // 2
"""A guest of 2 GiB, QEMU, libvirt and the tool."""


def memory(host: Host) -> Finding:
    """Enough for the usual guest? A limit of the container counts too."""
    counted = host.memory()
    total, available = counted.get("MemTotal", 0), counted.get("MemAvailable", 0)
    free, limit = available, container_limit(host)
    seen = f"{format_size(available)} of {format_size(total)} available"
    if limit is not None and limit < available:
        free, seen = limit, f"{seen}, but this container may only take {format_size(limit)} more"
    level = Level.OK if free >= USUAL else Level.WARNING if free >= LEAST else Level.PROBLEM
    if level is Level.OK:
        return ok("memory", seen)
    mend = "ps -eo rss,comm --sort=-rss | head  # end what is not needed; or plan less: machine.memory=1GiB"
    return Finding(subject="memory", level=level, seen=f"{seen}; a run takes {format_size(USUAL)}", mend=mend)


def container_limit(host: Host) -> int | None:
    """Bytes that our control group may still take, None when there is no limit."""
    limit, used = host.text("/sys/fs/cgroup/memory.max"), host.text("/sys/fs/cgroup/memory.current")
    if not (limit.isdigit() and used.isdigit()):
        return None
    cache = re.search(r"^inactive_file (\d+)$", host.text("/sys/fs/cgroup/memory.stat"), re.MULTILINE)
    return max(0, int(limit) - int(used) + (int(cache[1]) if cache else 0))  # the kernel gives cache back


def swap(host: Host) -> Finding:
    """Swap that is in use makes times unpredictable."""
    counted = host.memory()
    total = counted.get("SwapTotal", 0)
    used = total - counted.get("SwapFree", 0)
    if not total:
        return ok("swap", "none, so times are predictable")
    seen = f"{format_size(used)} of {format_size(total)} in use"
    if used * 10 < total:
        return ok("swap", seen)
    fits = used < counted.get("MemAvailable", 0) // 2
    mend = "sudo swapoff -a" if fits else "# give the host more memory, or end what is not needed"
    return warning("swap", f"{seen}: times are not predictable", mend)


def huge_pages(host: Host) -> Finding:
    """QEMU asks for transparent huge pages; reserved ones are only for plans with `machine.hugepages`."""
    setting, pages = host.text("/sys/kernel/mm/transparent_hugepage/enabled"), host.huge_pages()
    reserved = pages.total * pages.size
    seen = f"transparent: {_chosen(setting)}; {_reserved(pages)}"
    if _chosen(setting) == "never":
        mend = "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled"
        return warning("huge pages", f"{seen}: guests are slower", mend)
    if reserved > host.memory().get("MemTotal", 0) // 2:
        mend = "sudo sysctl -w vm.nr_hugepages=0  # unless plans have machine.hugepages: true"
        return warning("huge pages", f"{seen}: only plans with machine.hugepages use these", mend)
    return ok("huge pages", seen)


def _reserved(pages: HugePages) -> str:
    if not pages.total:
        return "none reserved"
    size = format_size(pages.total * pages.size)
    return f"{size} reserved, {pages.free} of {pages.total} pages of {format_size(pages.size)} free"


def _chosen(setting: str) -> str:
    """The word in brackets of ``always [madvise] never``."""
    return setting.partition("[")[2].partition("]")[0] or "not in this kernel"


SHM: Final = "/dev/shm"  # noqa: S108 - its size is looked at, nothing is put there


def shared_memory(size: int) -> Finding:
    """``size`` of /dev/shm in bytes; it holds a guest's memory when a machine starts from a template."""
    if size >= 2 * GIB:
        return ok(SHM, format_size(size))
    seen = f"{format_size(size)}: too small for the memory of a guest that starts from a template"
    return warning(SHM, seen, "sudo mount -o remount,size=4G /dev/shm")
