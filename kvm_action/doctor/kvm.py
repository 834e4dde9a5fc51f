"""KVM, from its modules to a guest that really runs. ``missing`` is how bad it is to be without: TCG works too."""

import os
import stat
from grp import getgrgid
from pathlib import Path

from kvm_action.doctor.finding import Finding, Level, ok
from kvm_action.procfs import Host

OPEN_TO_GROUP = """\
sudo chgrp kvm /dev/kvm && sudo chmod 660 /dev/kvm
echo 'KERNEL=="kvm", GROUP="kvm", MODE="0660"' | sudo tee /etc/udev/rules.d/65-kvm.rules"""
"""Now, and after the next boot."""


def load_modules(module: str) -> str:
    """The commands that load KVM, now and at each boot."""
    return (
        f"sudo modprobe kvm && sudo modprobe {module}\n"
        f"printf 'kvm\\n{module}\\n' | sudo tee /etc/modules-load.d/kvm.conf"
    )


def modules(host: Host, missing: Level) -> Finding:
    """Is the module for this CPU loaded?"""
    wanted = host.cpu().kvm_module
    loaded = sorted(name for name in host.modules() if name == "kvm" or name.startswith("kvm_"))
    if not wanted:
        seen = ", ".join(loaded) or "none loaded"
        return ok("KVM modules", f"{seen}; without virtualization in the CPU none would help")
    if wanted in loaded:
        return ok("KVM modules", ", ".join(loaded))
    seen = f"{wanted} is not loaded (loaded: {', '.join(loaded) or 'none'})"
    return Finding(subject="KVM modules", level=missing, seen=seen, mend=load_modules(wanted))


def device_node(host: Host, missing: Level) -> Finding:
    """/dev/kvm: there, and ours to open?"""
    node = host.path("/dev/kvm")
    if not node.exists():
        module = host.cpu().kvm_module
        mend = load_modules(module) if module else "# comes with the KVM module, once the CPU shows virtualization"
        return Finding(subject="/dev/kvm", level=missing, seen="does not exist", mend=mend)
    seen, mode = describe(node), node.stat().st_mode
    if os.access(node, os.R_OK | os.W_OK):
        return ok("/dev/kvm", seen)
    by_group = mode & stat.S_IRGRP and mode & stat.S_IWGRP and group_of(node) != "root"
    mend = join_group(group_of(node)) if by_group else f"{OPEN_TO_GROUP}\n{join_group('kvm')}"
    return Finding(subject="/dev/kvm", level=missing, seen=f"permission denied: {seen}", mend=mend)


def describe(node: Path) -> str:
    """As ``ls -l`` shows it."""
    return f"{stat.filemode(node.stat().st_mode)} {node.owner()} {group_of(node)}"


def group_of(node: Path) -> str:
    """The name of the file's group, or its number."""
    number = node.stat().st_gid
    try:
        return getgrgid(number).gr_name
    except KeyError:
        return str(number)


def join_group(group: str) -> str:
    """The command that makes this user a member."""
    return f'sudo usermod -aG {group} "$USER"\n# then log out and in again; a runner: restart its service'


def api(trouble: str, missing: Level) -> Finding:
    """Whether the device did what was asked; ``trouble`` is empty if so."""
    if not trouble:
        return ok("KVM API", "/dev/kvm opened, version 12, a VM and a vCPU made")
    return Finding(subject="KVM API", level=missing, seen=trouble)


def guest(trouble: str, sentence: str, missing: Level) -> Finding:
    """Whether a guest really ran under KVM."""
    if not trouble:
        return ok("KVM guest", sentence)
    mend = "# this KVM cannot run guests: use bare metal, or a virtual machine with nested virtualization"
    return Finding(subject="KVM guest", level=missing, seen=sentence, mend=mend)
