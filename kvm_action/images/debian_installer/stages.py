"""What the Debian installer says of its work: the stage it is in, what it asks, whether it came to its end.

Pure: fed with bytes of its two serial ports and a time, asked for values. Knows nothing of libvirt or of clocks.
"""

import re
from collections import deque
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Final

from kvm_action.images.model import Package
from kvm_action.text import plain

SCREEN_LINES: Final = 24
LINE_LIMIT: Final = 4096
PACKAGE_LIMIT: Final = 10_000


class Stage(StrEnum):
    """How far an installation came, in order."""

    START = "start"
    NETWORK = "network"
    PARTITIONING = "partitioning"
    BASE = "base system"
    TASKS = "tasks"
    BOOT_LOADER = "boot loader"
    FINISH = "finish"


LIMITS: Final = {
    Stage.START: timedelta(minutes=3),
    Stage.NETWORK: timedelta(minutes=5),
    Stage.PARTITIONING: timedelta(minutes=4),
    Stage.BASE: timedelta(minutes=15),
    Stage.TASKS: timedelta(minutes=30),
    Stage.BOOT_LOADER: timedelta(minutes=4),
    Stage.FINISH: timedelta(minutes=10),
}
"""How long each may take on KVM."""

_ITEMS: Final = {
    **dict.fromkeys(
        ("ethdetect", "netcfg", "network-preseed", "choose-mirror", "download-installer"), Stage.NETWORK
    ),
    **dict.fromkeys(("cdrom-detect", "load-cdrom"), Stage.NETWORK),
    **dict.fromkeys(("disk-detect", "partman-base"), Stage.PARTITIONING),
    **dict.fromkeys(("bootstrap-base", "base-installer"), Stage.BASE),
    **dict.fromkeys(("apt-setup-udeb", "pkgsel"), Stage.TASKS),
    **dict.fromkeys(("grub-installer", "nobootloader"), Stage.BOOT_LOADER),
    "finish-install": Stage.FINISH,
}
"""The items of the installer's main menu."""

_ORDER: Final = list(Stage)
_SELECTED: Final = re.compile(r"main-menu\[\d+\]: .*Menu item '([\w.+-]+)' selected")
_FAILED: Final = re.compile(r"main-menu\[\d+\]: .*Menu item '([\w.+-]+)' failed")
_OURS: Final = re.compile(r" kvm-e2e: (.*)$")
_PACKAGE: Final = re.compile(r" kvm-e2e-package: (\S+)(?:\t|\^I| +)(\S+)$")
_QUESTION: Final = re.compile(r"INPUT (?:critical|high|medium|low) ([\w./+-]+)$")
_WILL_BE_ASKED: Final = re.compile(r"<-- 0 question will be asked$")
_PROMPT: Final = re.compile(r"(Prompt: .*>|^[^<>]+>|\[Press enter to continue\]) ?$")
_STAMP: Final = re.compile(r"^\w{3} +\d+ [\d:]+ ")
_COMPLAINT: Final = re.compile(r"ERROR|WARNING|\b[Ee]rror:|\b[Ff]ailed\b")
_NO_SPACE: Final = re.compile(r"No space left on device", re.IGNORECASE)


@dataclass
class _Lines:
    """One serial port: its last lines, and the one that is not finished yet."""

    tail: deque[str] = field(default_factory=lambda: deque(maxlen=SCREEN_LINES))
    open: bytes = b""

    def feed(self, data: bytes) -> list[str]:
        *whole, rest = (self.open + data).split(b"\n")
        self.open = rest[-LINE_LIMIT:]
        lines = [_readable(line) for line in whole]
        self.tail.extend(line for line in lines if line)
        return lines

    @property
    def shown(self) -> tuple[str, ...]:
        unfinished = _readable(self.open)
        return (*self.tail, unfinished) if unfinished else tuple(self.tail)


class InstallLog:
    """Reads an installation as it comes. Memory is bounded however much is printed."""

    def __init__(self) -> None:
        """Nothing seen yet."""
        self.stage = Stage.START
        self.stage_began = 0.0
        self.screen_grew = 0.0
        """When the screen last showed something more."""
        self.syslog_grew = 0.0
        self.is_sealed = False
        """Did our own last script come to its end?"""
        self.failure = ""
        """What our own script said when it could not."""
        self.failed_item = ""
        self.question = ""
        """The name of the question that was put last, as a preseed would answer it."""
        self.is_disk_full = False
        self.packages: list[Package] = []
        self._candidate = ""
        self._screen = _Lines()
        self._syslog = _Lines()

    def feed_screen(self, data: bytes, at: float) -> tuple[str, ...]:
        """Take in what the installer showed; returns the finished lines."""
        self.screen_grew = at
        return tuple(self._screen.feed(data))

    def feed_syslog(self, data: bytes, at: float) -> bool:
        """Take in what it logged; returns whether another stage has begun."""
        self.syslog_grew, before = at, self.stage
        for line in self._syslog.feed(data):
            self._read(line, at)
        return self.stage is not before

    @property
    def is_asking(self) -> bool:
        """Does the screen end with a prompt, in whatever language? Some answer themselves a moment later."""
        shown = self._screen.shown
        return bool(shown and _PROMPT.search(shown[-1]))

    @property
    def screen(self) -> tuple[str, ...]:
        """The screen's last lines."""
        return self._screen.shown

    @property
    def complaints(self) -> tuple[str, ...]:
        """Those of the log's last lines that tell of something wrong, without date and time."""
        return tuple(_STAMP.sub("", line) for line in self._syslog.shown if _COMPLAINT.search(line))

    def _read(self, line: str, at: float) -> None:
        if found := _SELECTED.search(line):
            self._enter(_ITEMS.get(found[1], self.stage), at)
        elif found := _FAILED.search(line):
            self.failed_item = found[1]
        elif found := _QUESTION.search(line):
            self._candidate = found[1]
        elif _WILL_BE_ASKED.search(line):
            self.question = self._candidate
        elif found := _PACKAGE.search(line):
            if len(self.packages) < PACKAGE_LIMIT:
                self.packages.append(Package(name=found[1], version=found[2]))
        elif found := _OURS.search(line):
            self._hear(found[1])
        self.is_disk_full = self.is_disk_full or bool(_NO_SPACE.search(line))

    def _enter(self, stage: Stage, at: float) -> None:
        if _ORDER.index(stage) > _ORDER.index(self.stage):
            self.stage, self.stage_began = stage, at

    def _hear(self, said: str) -> None:
        self.is_sealed = self.is_sealed or said == "sealed"
        if said.startswith("failed: "):
            self.failure = said.removeprefix("failed: ")


def _readable(line: bytes) -> str:
    return plain(line[-LINE_LIMIT:].decode(errors="replace")).rstrip()
