"""A guest of our own that really runs, for a fraction of a second: the only proof that an accelerator works.

It knows QEMU, and neither libvirt nor images.
"""

import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kvm_action import proc
from kvm_action.accel.rom import ROM, STAGES
from kvm_action.errors import HostError
from kvm_action.wait import Deadline, until
from kvm_action.work_folder import scratch

BINARIES: Final = ("qemu-system-x86_64", "qemu-kvm", "/usr/libexec/qemu-kvm")

BROKEN: Final = ("KVM internal error", "KVM: entry failed", "Assertion")
"""After these words QEMU runs no guest any more, though it may not end."""


@dataclass(frozen=True)
class GuestRun:
    """How far the guest came: letters of `STAGES`. ``words`` are QEMU's own, ``seconds`` of the whole run."""

    reached: str
    words: str
    seconds: float

    @property
    def ok(self) -> bool:
        """Did it go through all stages?"""
        return self.reached == "".join(STAGES)

    @property
    def sentence(self) -> str:
        """What happened, for a message."""
        if self.ok:
            return f"a test guest ran to its end in {self.seconds:.1f} s"
        known = [STAGES[letter] for letter in self.reached if letter in STAGES]
        where = f"after reaching {known[-1]}" if known else "before its first instruction"
        return f"a test guest stopped {where}: {self.words}"


TryGuest = Callable[[str, str, Deadline], GuestRun]
"""Runs the guest with an accelerator and a CPU model until the deadline; see `run_guest`."""


def find_qemu() -> str:
    """QEMU's program. Raises HostError when there is none."""
    for name in BINARIES:
        if found := shutil.which(name):
            return found
    raise HostError("QEMU is not installed", hint="sudo apt-get install qemu-system-x86")


def run_guest(accel: str, cpu: str, deadline: Deadline) -> GuestRun:
    """Run the guest under ``accel`` with the CPU model ``cpu``; returns as soon as it is clear how it ends.

    Raises HostError when QEMU is not there.
    """
    with scratch("probe") as folder:
        return _run_in(folder, [find_qemu(), "-accel", accel, "-cpu", cpu], deadline)


def _run_in(folder: Path, qemu: list[str], deadline: Deadline) -> GuestRun:
    rom, serial, errors = folder / "rom", folder / "serial", folder / "errors"
    rom.write_bytes(ROM)
    begun = time.monotonic()
    with errors.open("wb") as stderr:
        process = proc.start([*qemu, *_machine(rom, serial)], stdout=stderr, stderr=stderr)
        try:
            ended = until(lambda: process.poll() is not None or _is_broken(errors), deadline, every=0.02)
        finally:
            proc.kill_group(process)
    words = quote(errors.read_text(errors="replace")) if ended else ""
    reached = serial.read_text(errors="replace") if serial.exists() else ""
    return GuestRun(reached, words or _silence(deadline, bool(ended)), time.monotonic() - begun)


def _machine(rom: Path, serial: Path) -> list[str]:
    return [
        *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"),
        *("-machine", "q35", "-m", "32"),
        *("-bios", str(rom)),
        *("-serial", f"file:{_escaped(serial)}"),
    ]


def _escaped(path: Path) -> str:
    """QEMU's options end at a comma, unless it is doubled."""
    return str(path).replace(",", ",,")


def _is_broken(errors: Path) -> bool:
    text = errors.read_text(errors="replace")
    return any(words in text for words in BROKEN)


def _silence(deadline: Deadline, ended: bool) -> str:
    return "QEMU ended without a word" if ended else f"still there after {deadline.allowed.total_seconds():.0f} s"


def quote(text: str) -> str:
    """The line of QEMU's errors that says what happened, on one line; empty if there is none."""
    if internal := re.search(r"KVM internal error\. Suberror: \d+", text):
        return internal[0] + (" (emulation failure)" if "emulation failure" in text else "")
    lines = [line for line in text.splitlines() if line and "warning:" not in line]
    return re.sub(r"^\S+: (error: )?", "", lines[0]) if lines else ""
