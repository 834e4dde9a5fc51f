"""Where a scenario runs: the user's session of libvirt or the system's, and what must never be left there."""

import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

SHARED = Path("/var/lib/rig")


class UnmetError(Exception):
    """Something does not hold; its message says what was seen."""


def require(holds: object, otherwise: object) -> None:
    """Raise UnmetError unless it holds."""
    if not holds:
        raise UnmetError(str(otherwise))


def is_true_within(seconds: float, condition: Callable[[], object]) -> bool:
    """Does it come to hold in that time?"""
    end = monotonic() + seconds
    while not condition():
        if monotonic() > end:
            return False
        sleep(0.2)
    return True


def wait_for(condition: Callable[[], object], seconds: float, what: str) -> None:
    """Wait for what another process brings about."""
    require(is_true_within(seconds, condition), f"waited {seconds:.0f} s for {what}")


@dataclass(frozen=True)
class Place:
    """One daemon of libvirt, with a home of kvm-e2e's and a network."""

    name: str
    uri: str
    home: Path
    network: str

    @property
    def warm(self) -> str:
        """How machines wake here: in the system, QEMU may open no memory file of ours."""
        return "template" if self.name == "session" else "restore"

    @property
    def environment(self) -> dict[str, str]:
        """As the runner's `.env` would have it."""
        if self.name == "session":
            return dict(os.environ)
        return {**os.environ, "LIBVIRT_DEFAULT_URI": self.uri, "KVM_E2E_HOME": str(self.home)}

    def virsh(self, *words: str) -> str:
        """What virsh prints. Raises UnmetError when it fails."""
        done = subprocess.run(
            ["virsh", "--connect", self.uri, *words], capture_output=True, text=True, timeout=120, check=False
        )
        require(done.returncode == 0, f"virsh {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout

    def holdings(self) -> dict[str, list[str]]:
        """What runs could leave: machines, QEMU processes, files, network cards, open ports."""
        folders = [*self.home.glob("runs/*"), *Path("/tmp").glob("kvm-e2e*"), *self.home.glob("templates/.new-*")]
        return {
            "machines": sorted(self.virsh("list", "--all", "--name").split()),
            "processes": sorted(map(str, qemu_processes(""))),
            "files": sorted(map(str, folders)),
            "cards": sorted(card.name for card in Path("/sys/class/net").glob("vnet*")),
            "ports": sorted(listening()),
        }


PLACES = {
    place.name: place
    for place in (
        Place("session", "qemu:///session", Path.home() / ".local/share/kvm-e2e", "user"),
        Place("system", "qemu:///system", Path("/var/lib/kvm-e2e"), "default"),
    )
}


def qemu_processes(run: str) -> list[int]:
    """The pids of the QEMUs of a run, or of all runs."""
    found, wanted = [], f"guest=kvm-e2e-{run}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (process / "cmdline").read_bytes():
                found.append(int(process.name))
        except OSError:
            continue
    return found


def listening() -> set[str]:
    """TCP ports that somebody listens on."""
    lines = subprocess.run(["ss", "-Hltn"], capture_output=True, text=True, check=True).stdout.splitlines()
    return {match[1] for line in lines if (match := re.search(r":(\d+)\s", line))}
