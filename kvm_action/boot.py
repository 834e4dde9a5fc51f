"""What a serial console says of a boot: milestones, the stage it is in, and why it sticks.

Pure: fed with bytes and a time, asked for values. Knows nothing of libvirt or of clocks.
"""

import re
from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from kvm_action.text import plain

LINE_LIMIT: Final = 4096
"""Bytes of a line that are looked at; a guest may print without ever ending a line."""

TAIL_LINES: Final = 60


class Stage(StrEnum):
    """How far a boot came, in order."""

    NOTHING = "before the firmware"
    FIRMWARE = "firmware"
    BOOTLOADER = "boot loader"
    KERNEL = "kernel"
    INITRD = "initramfs"
    USERSPACE = "userspace"
    CLOUD_INIT = "cloud-init"
    LOGIN = "login prompt"


# No sign has an unbounded `.*`: a line of beginnings would be gone through again from each of them.
_STAGE_SIGNS: Final = (
    (Stage.FIRMWARE, re.compile(r"SeaBIOS|iPXE|BdsDxe|UEFI")),
    (Stage.BOOTLOADER, re.compile(r"Booting from|GRUB|Booting `|BdsDxe: starting")),
    (Stage.KERNEL, re.compile(r"Linux version \d|Decompressing Linux|^\[ +0\.0")),
    (Stage.INITRD, re.compile(r"Loading, please wait|Begin: |Running in initrd|\(initramfs\)")),
    (
        Stage.USERSPACE,
        re.compile(r"systemd\[1\]|systemd \d.{0,80} running in system mode|Welcome to (?!GRUB)|Starting init: "),
    ),
    (Stage.CLOUD_INIT, re.compile(r"[Cc]loud-init.{0,80}(v\.|running|stage)|ci-info:|cloud-init\[\d+\]:")),
    (Stage.LOGIN, re.compile(r" login: ?$")),
)
_ORDER: Final = list(Stage)

_MILESTONE_SIGNS: Final = {
    "firmware": re.compile(r"SeaBIOS|BdsDxe"),
    "kernel": re.compile(r"Linux version \d"),
    "userspace": re.compile(r"systemd\[1\]|Welcome to (?!GRUB)|systemd \d.{0,80} running in system mode"),
    "network": re.compile(r"Reached target .{0,80}([Nn]etwork\.target|Network\b)|ci-info: .{0,80}True"),
}


@dataclass(frozen=True)
class Diagnosis:
    """A likely cause, and what to do about it. ``fatal``: waiting longer is of no use."""

    cause: str
    hint: str
    fatal: bool


_DISK_HINT: Final = "look at the image with `kvm-e2e image inspect`, or build it again with `kvm-e2e image build`"
_SIGNS_OF_TROUBLE: Final = (
    (
        r"No bootable device|not a bootable disk|Boot failed",
        Diagnosis("the image's disk has no boot loader that this firmware finds", _DISK_HINT, True),
    ),
    (
        r"UEFI Interactive Shell",
        Diagnosis(
            "the UEFI firmware found nothing to boot from and opened its own shell",
            "the image is not made for UEFI; for one that boots by BIOS, write `machine: {firmware: bios}`",
            True,
        ),
    ),
    (
        r"grub rescue>|error: (.{0,80}(unknown filesystem|no such device)|\S{0,80}file .{1,200} not found)",
        Diagnosis("the boot loader cannot find its files or the kernel", _DISK_HINT, True),
    ),
    (
        r"Kernel panic - not syncing: VFS: Unable to mount root|Cannot open root device",
        Diagnosis("the kernel cannot mount its root file system", _DISK_HINT, True),
    ),
    (
        r"Kernel panic - not syncing: (?P<why>.*)",
        Diagnosis("the guest's kernel panicked", "the console's last lines show where", True),
    ),
    (
        r"Gave up waiting for (root|suspend/resume)|ALERT! .{0,200} does not exist|\(initramfs\) ?$",
        Diagnosis("the initramfs does not find the root disk", "it may lack the virtio_blk driver", True),
    ),
    (
        r"emergency mode|Give root password for maintenance|Press Enter for maintenance",
        Diagnosis(
            "systemd gave up and stands in emergency mode", "look for [FAILED] units in the console's lines", True
        ),
    ),
    (
        r"Out of memory: Killed process|Memory cgroup out of memory",
        Diagnosis("the guest ran out of memory", "give it more: machine.memory in the plan", False),
    ),
    (
        r"No space left on device",
        Diagnosis("the guest's disk is full", "give it more: machine.disk in the plan", False),
    ),
    (
        r"failed run of stage (?P<why>[\w:-]+)",
        Diagnosis("cloud-init crashed in its stage", "guest/cloud-init.log has the traceback", False),
    ),
    (
        r"DataSourceNone|No instance datasource|Used fallback datasource",
        Diagnosis("cloud-init found no seed", "the image's datasource_list must contain NoCloud", False),
    ),
)
_TROUBLE: Final = tuple((re.compile(pattern), diagnosis) for pattern, diagnosis in _SIGNS_OF_TROUBLE)

_GOING_DOWN: Final = re.compile(
    r"Stopped target .{0,80}multi-user|Reached target .{0,80}(reboot|poweroff|halt|shutdown)\.target"
    r"|systemd-shutdown\[1\]|reboot: (Restarting system|Power down)"
)

_POWER_ON: Final = re.compile(r"SeaBIOS \(version|BdsDxe: starting Boot")

_PROMPT: Final = re.compile(r"login: ?$|\(initramfs\) ?$|grub rescue> ?$|maintenance")
"""What waits for an answer has no line end; every other line is only judged when it is complete."""


class BootLog:
    """Reads a console as it comes. Memory is bounded however much the guest prints."""

    def __init__(self) -> None:
        """Nothing seen yet."""
        self.milestones: dict[str, float] = {}
        self.stage = Stage.NOTHING
        self.diagnosis: Diagnosis | None = None
        self.boots = 0
        """How often a kernel has started: more than one is a reboot."""
        self.resets = 0
        """How often the firmware has started something: more than one, even where no kernel is reached."""
        self.going_down = False
        """Has the guest begun to shut down or to reboot?"""
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._open = b""

    def feed(self, data: bytes, at: float) -> list[str]:
        """Take in what arrived ``at`` seconds after the start; returns the names of new milestones."""
        *lines, rest = (self._open + data).split(b"\n")
        self._open = rest[-LINE_LIMIT:]
        reached = [name for line in lines for name in self._read(readable(line), at)]
        if _PROMPT.search(unfinished := readable(self._open)):
            reached += self._look(unfinished, at)
        return reached

    def wake(self) -> None:
        """This machine does not boot: it goes on where another one stood, after its boot."""
        self.stage, self.boots = Stage.LOGIN, 1

    @property
    def tail(self) -> tuple[str, ...]:
        """The last lines, without terminal escapes; the last one may be unfinished."""
        unfinished = readable(self._open)
        return (*self._tail, unfinished) if unfinished else tuple(self._tail)

    def _read(self, line: str, at: float) -> list[str]:
        if not line:
            return []
        self._tail.append(line)
        if "Linux version " in line:
            self.boots += 1
        if _POWER_ON.search(line):
            self.resets += 1
        self.going_down = self.going_down or bool(_GOING_DOWN.search(line))
        return self._look(line, at)

    def _look(self, line: str, at: float) -> list[str]:
        for stage, sign in _STAGE_SIGNS:
            if _ORDER.index(stage) > _ORDER.index(self.stage) and sign.search(line):
                self.stage = stage
        if self.diagnosis is None or not self.diagnosis.fatal:
            self.diagnosis = diagnose(line) or self.diagnosis
        new = [n for n, sign in _MILESTONE_SIGNS.items() if n not in self.milestones and sign.search(line)]
        self.milestones |= dict.fromkeys(new, round(at, 3))
        return new


def diagnose(line: str) -> Diagnosis | None:
    """A known trouble that this console line is a sign of."""
    for sign, diagnosis in _TROUBLE:
        if match := sign.search(line):
            why = match.groupdict().get("why")
            return Diagnosis(f"{diagnosis.cause}: {why}", diagnosis.hint, diagnosis.fatal) if why else diagnosis
    return None


def readable(line: bytes) -> str:
    """A console line as text: decoded, cut, without escapes and control characters."""
    return plain(line[-LINE_LIMIT:].decode(errors="replace")).rstrip()
