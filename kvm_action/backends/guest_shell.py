"""A root shell in a kept machine: by the guest agent, which needs no network, else by OpenSSH."""

import shlex
from datetime import timedelta
from pathlib import Path
from typing import Final

from kvm_action import proc
from kvm_action.backends import evidence
from kvm_action.backends.evidence import Ask
from kvm_action.backends.kept import Opened
from kvm_action.errors import HostError
from kvm_action.ssh.access import HOST

_MOST: Final = 8 << 20
"""Bytes of an answer; the guest's sudo may print without end."""


def root_shell(machine: Opened, timeout: timedelta = evidence.EACH) -> Ask:
    """By what answers now; each command may take ``timeout``."""
    if evidence.agent_answers(machine.domain):
        return evidence.over_agent(machine.domain, timeout)
    config = machine.kept.ssh_config
    return lambda command: over_openssh(config, command, timeout)


def over_openssh(config: Path | None, command: str, timeout: timedelta) -> bytes | None:
    """Run a command as root by OpenSSH; its output, None when that does not work or prints 8 MiB."""
    if config is None:
        return None
    line = f"sudo -n sh -c {shlex.quote(command)}"
    try:
        done = proc.run_bounded(["ssh", "-F", config, HOST, line], most=_MOST, timeout=timeout)
    except HostError:
        return None
    return done.stdout.encode() if done.status != 255 else None
