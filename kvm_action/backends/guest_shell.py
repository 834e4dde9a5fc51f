"""A root shell in a kept machine: by the guest agent, which needs no network, else by OpenSSH."""

import shlex
from datetime import timedelta
from pathlib import Path

from kvm_action import proc
from kvm_action.backends import evidence
from kvm_action.backends.evidence import Ask
from kvm_action.backends.kept import Opened
from kvm_action.errors import HostError
from kvm_action.ssh.access import HOST


def root_shell(machine: Opened, timeout: timedelta = evidence.EACH) -> Ask:
    """By what answers now; each command may take ``timeout``."""
    if evidence.agent_answers(machine.domain):
        return evidence.over_agent(machine.domain, timeout)
    config = machine.kept.ssh_config
    return lambda command: over_openssh(config, command, timeout)


def over_openssh(config: Path | None, command: str, timeout: timedelta) -> bytes | None:
    """Run a command as root by OpenSSH; its output, None when that does not work."""
    if config is None:
        return None
    line = f"sudo -n sh -c {shlex.quote(command)}"
    try:
        done = proc.run(["ssh", "-F", config, HOST, line], timeout=timeout)
    except HostError:
        return None
    return done.stdout.encode() if done.status != 255 else None
