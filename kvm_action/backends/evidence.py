"""Evidence out of a guest: its journal, cloud-init's logs, the kernel's log, failed units, disks and memory."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Final

from kvm_action.errors import CommandTimeoutError, GuestConnectionError, HostError
from kvm_action.guest import Guest
from kvm_action.hypervisor.agent import Agent
from kvm_action.hypervisor.domain import Domain
from kvm_action.patience import stretched
from kvm_action.wait import Deadline

COMMANDS: Final = {
    "failed-units.txt": "systemctl --failed --no-pager --plain",
    "journal.txt": "journalctl -b --no-pager -n 5000",
    "dmesg.txt": "dmesg",
    "disk-and-memory.txt": "df -h; echo; free -m; echo; ps -eo pid,user,rss,stat,args --sort=-rss | head -40",
    "cloud-init.log": "cat /var/log/cloud-init.log",
    "cloud-init-output.log": "cat /var/log/cloud-init-output.log",
}
EACH: Final = timedelta(seconds=20)
_PING: Final = timedelta(seconds=5)

Ask = Callable[[str], bytes | None]
"""Runs a shell command in the guest as root; its output, None when the guest does not answer."""


def agent_answers(domain: Domain) -> bool:
    """Does the guest agent answer? It needs neither network nor SSH."""
    return Agent(domain).answers(Deadline(timedelta()), stretched(_PING))


def save(ask: Ask, into: Path) -> int:
    """Ask for each piece and save what comes; returns how many came. Stops at the first that does not."""
    into.mkdir(exist_ok=True)
    saved = 0
    for name, command in COMMANDS.items():
        answer = ask(command)
        if answer is None:
            break
        (into / name).write_bytes(answer)
        saved += 1
    return saved


def over_ssh(guest: Guest) -> Ask:
    """Ask by the SSH session."""

    def ask(command: str) -> bytes | None:
        with suppress(GuestConnectionError, CommandTimeoutError, HostError):
            return guest.run(command, timeout=EACH, sudo=True, keep_bytes=8 << 20).stdout
        return None

    return ask


def over_agent(domain: Domain, timeout: timedelta = EACH) -> Ask:
    """Ask by the guest agent, for a guest whose network or SSH server is broken."""

    def ask(command: str) -> bytes | None:
        done = Agent(domain).run(["/bin/sh", "-c", command], Deadline(timeout))
        return done.stdout if done else None

    return ask
