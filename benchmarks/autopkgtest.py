"""Debian's autopkgtest-virt-qemu as something to measure: the image it needs, and what it says while it boots it.

It is told to `open` a machine on its standard input. That never ends well on our images: after the root shell
answers it wants a shared folder by 9p, which Debian's cloud kernel does not have. So its shell is what is timed.
"""

import json
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which
from threading import Event, Thread
from typing import IO, Final

import psutil

from benchmarks.reading import CannotMeasure

PROGRAM: Final = "autopkgtest-virt-qemu"
MAC: Final = "52:54:00:12:34:56"
"""Of the network card that it gives a machine: QEMU's own default."""

_SHELL_THERE: Final = b"there already is a shell on"
_FORWARD: Final = re.compile(rb"Forwarding local port (\d+) to VM ssh")
_WITHOUT_KVM: Final = """#!/bin/bash
# autopkgtest adds -enable-kvm wherever there is a /dev/kvm, also one that runs no guest.
words=()
for word; do [[ $word == -enable-kvm ]] || words+=("$word"); done
exec qemu-system-x86_64 "${words[@]}"
"""
_SHELL: Final = """[Unit]
Description=root shell on %I
ConditionPathExists=/dev/%I

[Service]
ExecStart=/bin/sh
StandardInput=tty-fail
StandardOutput=tty
StandardError=tty
TTYPath=/dev/%I
SuccessExitStatus=0 208
"""


@dataclass
class Testbed:
    """A started autopkgtest-virt-qemu. ``shell`` is set when it has found its root shell to answer."""

    process: "subprocess.Popen[bytes]"
    said: bytearray = field(default_factory=bytearray)
    forwarded: Event = field(default_factory=Event)
    shell: Event = field(default_factory=Event)
    port: int = 0
    shell_at: float = 0.0

    def listen(self, stream: IO[bytes]) -> None:
        """What it says about itself."""
        for line in stream:
            self.said += line
            if found := _FORWARD.search(line):
                self.port = int(found[1])
                self.forwarded.set()
            elif _SHELL_THERE in line:
                self.shell_at = time.monotonic()
                self.shell.set()

    def wait_for(self, event: Event, seconds: float) -> None:
        """Wait for one of its moments. Raises RuntimeError with its last words."""
        if not event.wait(seconds):
            raise RuntimeError(f"{PROGRAM}: {self.said[-2000:].decode(errors='replace')}")


def require() -> None:
    """Raises CannotMeasure."""
    for program, package in ((PROGRAM, "autopkgtest"), ("debugfs", "e2fsprogs"), ("sfdisk", "fdisk")):
        if not which(program, path="/usr/sbin:/sbin:/usr/bin:/bin"):
            raise CannotMeasure(f"no {program} on this host; apt-get install {package}")


def with_root_shell(image: Path, folder: Path) -> Path:
    """A copy of a disk that starts the root shell on ttyS1 by which autopkgtest drives a machine."""
    raw, unit = folder / "disk.raw", folder / "shell.service"
    subprocess.run(["qemu-img", "convert", "-O", "raw", image, raw], check=True)
    table = json.loads(subprocess.run(["sfdisk", "--json", raw], check=True, capture_output=True).stdout)
    partition = max(table["partitiontable"]["partitions"], key=lambda part: part["size"])
    unit.write_text(_SHELL)
    commands = (
        f"write {unit} /etc/systemd/system/autopkgtest@.service\n"
        "symlink /etc/systemd/system/multi-user.target.wants/autopkgtest@ttyS1.service ../autopkgtest@.service\n"
    )
    place = f"{raw}?offset={partition['start'] * 512}"
    subprocess.run(["debugfs", "-w", "-f", "-", place], input=commands.encode(), check=True, capture_output=True)
    return raw


@contextmanager
def testbed(image: Path, folder: Path, options: str, cpus: int, megabytes: int) -> Iterator[Testbed]:
    """Start it, with more options for QEMU, and tell it to open its machine, which it takes down at the end."""
    qemu = folder / "qemu-system-x86_64"
    qemu.write_text(_WITHOUT_KVM)
    qemu.chmod(0o755)
    process = subprocess.Popen(
        [PROGRAM, "--debug", f"--qemu-command={qemu}", f"--overlay-dir={folder}", f"--cpus={cpus}",
         f"--ram-size={megabytes}", "--timeout-reboot=300", f"--qemu-options={options}", image],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin
    assert process.stderr
    bed = Testbed(process)
    Thread(target=bed.listen, args=[process.stderr], daemon=True).start()
    process.stdin.write(b"open\n")
    process.stdin.flush()
    try:
        yield bed
    finally:
        machines = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        process.wait(60)
        for machine in machines:  # it leaves its QEMU running
            with suppress(psutil.NoSuchProcess):
                machine.kill()
        psutil.wait_procs(machines, 30)
