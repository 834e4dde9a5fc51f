"""What cannot be tested in a container: found out by asking it, and told of checks and scripts that ran into it.

Pure, but for the script that the container is asked by.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from kvm_action.results import CheckOutcome, CheckResult, NotTestable

PROBE: Final = """\
awk '/^CapEff/ {print "capabilities " $2}' /proc/1/status
[ -w /proc/sys/vm/swappiness ] || echo sysctl
[ -e /dev/tty0 ] || [ -e /dev/dri ] || echo display
ls /dev/sd* /dev/vd* /dev/nvme* /dev/loop-control >/dev/null 2>&1 || echo disks
"""

# linux/capability.h
_NET_ADMIN: Final = 12
_SYS_MODULE: Final = 16
_SYS_BOOT: Final = 22
_SYS_TIME: Final = 25
_KINDS: Final = {"command", "file", "service", "testinfra"}
"""Users, packages, ports and answers are no different in a container."""


@dataclass(frozen=True)
class Limit:
    """One thing that a container cannot do, and the words by which a failure of it is known."""

    what: str
    why: str
    signs: re.Pattern[str]


def _limit(what: str, why: str, signs: str) -> Limit:
    return Limit(what, why, re.compile(signs, re.IGNORECASE))


_KERNEL: Final = _limit(
    "its own kernel",
    "it runs on the host's",
    r"\buname -r|/boot/(vmlinuz|initrd|grub)|update-(grub|initramfs)|grub-(install|probe|mkconfig)",
)
_MODULES: Final = _limit(
    "kernel modules",
    "none can be loaded",
    r"\b(modprobe|insmod|lsmod|modinfo)\b|/lib/modules|/proc/modules|systemd-modules-load",
)
_SYSCTL: Final = _limit("kernel parameters", "/proc/sys is read-only", r"\bsysctl\b|/proc/sys/")
_CLOCK: Final = _limit(
    "the clock",
    "it is the host's",
    r"\b(hwclock|timedatectl|chronyd?|ntpd?|systemd-timesyncd|settimeofday)\b",
)
_REBOOT: Final = _limit(
    "a reboot", "it would end the container", r"\b(reboot|shutdown|poweroff|kexec)\b|systemd-logind: .*reboot"
)
_DISPLAY: Final = _limit(
    "a display manager or a screen",
    "there is neither graphics card nor virtual terminal",
    r"\b(lightdm|gdm3?|sddm|lxdm|xdm|display-manager)\b|/dev/(tty\d|dri)|\bxinit\b|startx\b|no screens found",
)
_NETWORK: Final = _limit(
    "firewall and network set-up",
    "the network is Docker's",
    r"\b(iptables|ip6tables|nft|nftables|ufw|firewalld|systemd-networkd|netplan)\b|RTNETLINK answers",
)
_DISKS: Final = _limit(
    "disks, partitions and swap",
    "there are no block devices",
    r"\b(fdisk|parted|mkfs\S*|swapon|mkswap|losetup|lsblk|growpart|resize2fs)\b|/dev/(sd|vd|nvme|loop)",
)


def limits_of(told: str) -> tuple[Limit, ...]:
    """The limits of the container that answered ``PROBE`` with ``told``."""
    lines = told.split("\n")
    words = next((line.split()[1] for line in lines if line.startswith("capabilities ")), "0")
    held = int(words, 16)
    by_capability = ((_SYS_MODULE, _MODULES), (_SYS_TIME, _CLOCK), (_SYS_BOOT, _REBOOT), (_NET_ADMIN, _NETWORK))
    by_word = (("sysctl", _SYSCTL), ("display", _DISPLAY), ("disks", _DISKS))
    return (
        _KERNEL,
        *(limit for number, limit in by_capability if not held >> number & 1),
        *(limit for word, limit in by_word if word in lines),
    )


def not_testable(limits: Sequence[Limit]) -> tuple[NotTestable, ...]:
    """The same for the result."""
    return tuple(NotTestable(what=limit.what, why=limit.why) for limit in limits)


def hit(text: str, limits: Sequence[Limit]) -> Limit | None:
    """The limit that a failure's words are a sign of."""
    return next((limit for limit in limits if limit.signs.search(text)), None)


def excused(result: CheckResult, limits: Sequence[Limit], unit_status: str = "") -> CheckResult:
    """A failed check that asks for what a container cannot do is skipped, and still says what it saw.

    ``unit_status`` is what `systemctl status` says of the unit, for a check of a service.
    """
    if result.outcome is not CheckOutcome.FAILED or result.kind not in _KINDS:
        return result
    if result.kind == "service" and "there is no service" in result.message:
        return result  # it would not be there in a machine either
    limit = hit(_asked_for(result), limits)
    if not limit and _REFUSED.search(result.message):
        limit = hit(result.message, limits)
    reason = f"{limit.what}: {limit.why}" if limit else _unmet(unit_status)
    if not reason:
        return result
    return replace(
        result,
        outcome=CheckOutcome.SKIPPED,
        message=f"not testable in a container ({reason}); what it saw: {result.message}",
    )


def _asked_for(result: CheckResult) -> str:
    """What of a check's name tells what it needs: the programs of a command, the path of a file of the kernel's.

    A configuration file can be written in a container as anywhere, and a label is only a label.
    """
    kind, _, rest = result.name.partition(" ")
    if result.kind == "service":
        return result.name
    if result.kind == "command" and kind == "command":
        return " ".join(found[1] for found in _PROGRAM.finditer(rest))
    return rest if kind == "file" and _OF_THE_KERNEL.match(rest) else ""


_PROGRAM: Final = re.compile(r"(?:^|[;&|(]\s*|\bsudo\s+)\s*(\S+)")
_OF_THE_KERNEL: Final = re.compile(r"/(proc|sys|dev|boot|lib/modules|usr/lib/modules)/")

_REFUSED: Final = re.compile(
    r"operation not permitted|permission denied|read-only file system|/lib/modules|/proc/modules|no such device",
    re.IGNORECASE,
)
"""How the kernel says no; a word in a message is not enough to excuse a check that asked for something else."""

_UNMET: Final = re.compile(
    r"(Condition(?:Virtualization=!?\S*|Capability=\S+|PathIsReadWrite=/(?:sys|proc)\S*|PathExists=/dev/\S+))"
    r" was not met"
)


def _unmet(unit_status: str) -> str:
    """The unit's own condition that excludes containers, as systemd tells it."""
    found = _UNMET.search(unit_status)
    return f"systemd did not start the unit: {found[1]} was not met" if found else ""
