"""What the kernel says of this host in /proc and /sys: read here, parsed by pure functions. It judges nothing."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Cpu:
    """The processors, as the kernel shows them. ``flags`` are those of the first one."""

    model: str
    count: int
    flags: frozenset[str]

    @property
    def virtualization(self) -> str:
        """``vmx`` (Intel VT-x), ``svm`` (AMD-V), or empty."""
        return next((flag for flag in ("vmx", "svm") if flag in self.flags), "")

    @property
    def kvm_module(self) -> str:
        """The kernel module that drives this virtualization, empty without one."""
        return {"vmx": "kvm_intel", "svm": "kvm_amd"}.get(self.virtualization, "")

    @property
    def is_virtual(self) -> bool:
        """Is this host itself a virtual machine?"""
        return "hypervisor" in self.flags


@dataclass(frozen=True)
class HugePages:
    """Those of the usual size that the host has set apart; ``size`` in bytes, 0 where the kernel has none.

    ``free``: nobody uses them, and nobody was promised them.
    """

    size: int
    total: int
    free: int


@dataclass(frozen=True)
class Host:
    """The files of a host below ``root``, so that another host's can be looked at too."""

    root: Path = Path("/")

    def path(self, name: str) -> Path:
        """The file that the host calls ``name``."""
        return self.root / name.lstrip("/")

    def text(self, name: str) -> str:
        """The file's text without the white space around it; empty when there is none or we may not read it."""
        try:
            return self.path(name).read_text(errors="replace").strip()
        except OSError:
            return ""

    def cpu(self) -> Cpu:
        """The processors of the host."""
        return parse_cpuinfo(self.text("/proc/cpuinfo"))

    def memory(self) -> dict[str, int]:
        """/proc/meminfo in bytes (libvirt's node information can be far off)."""
        return parse_meminfo(self.text("/proc/meminfo"))

    def huge_pages(self) -> HugePages:
        """Huge pages that are set apart."""
        counted = self.memory()
        total, free, promised = (counted.get(f"HugePages_{name}", 0) for name in ("Total", "Free", "Rsvd"))
        return HugePages(counted.get("Hugepagesize", 0), total, free - promised)

    def modules(self) -> frozenset[str]:
        """Kernel modules that are loaded or built in with parameters."""
        folder = self.path("/sys/module")
        loaded = parse_modules(self.text("/proc/modules"))
        return loaded | {entry.name for entry in folder.iterdir()} if folder.is_dir() else loaded


def parse_cpuinfo(text: str) -> Cpu:
    """/proc/cpuinfo of an x86 machine; elsewhere the flags are empty."""
    pairs = [(key.strip(), value.strip()) for key, _, value in (line.partition(":") for line in text.splitlines())]
    first = dict(reversed(pairs))
    return Cpu(
        model=first.get("model name", ""),
        count=sum(key == "processor" for key, _ in pairs),
        flags=frozenset(first.get("flags", "").split()),
    )


def parse_meminfo(text: str) -> dict[str, int]:
    """Name to bytes; names without a unit (``HugePages_Total``) to their count."""
    found = {}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if words := value.split():
            found[name] = int(words[0]) * (1024 if words[1:] == ["kB"] else 1)
    return found


def parse_modules(text: str) -> frozenset[str]:
    """The names in /proc/modules."""
    return frozenset(line.split()[0] for line in text.splitlines() if line)
