"""A real OpenSSH server on loopback, run by hand with its own config, keys and port; never the machine's own."""

import getpass
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from kvm_action import proc, wait
from kvm_action.ssh import Address, KeyPair, generate_key

SSHD = shutil.which("sshd", path="/usr/sbin:/sbin:" + os.environ.get("PATH", ""))
MISSING = "no sshd on this host: apt-get install openssh-server"

_CONFIG = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
MaxSessions 10
SetEnv HOME={folder}
{extra}
"""


@dataclass(frozen=True)
class Server:
    """A running sshd: where it is, and every key that one needs to trust it and be trusted."""

    address: Address
    user: str
    host_key: KeyPair
    user_key: KeyPair
    process: "subprocess.Popen[bytes]"


@contextmanager
def sshd(folder: Path, extra: Sequence[str] = (), prefix: Sequence[str] = ()) -> Iterator[Server]:
    """An sshd for the current user, ended with its sessions when the context is left; ``prefix`` starts it."""
    assert SSHD is not None, MISSING
    host_key, user_key = generate_key(), generate_key()
    port = free_port()
    _write_private(folder / "host_key", host_key.private)
    (folder / "authorized_keys").write_text(user_key.public + "\n")
    config = folder / "sshd_config"
    config.write_text(_CONFIG.format(port=port, folder=folder, extra="\n".join(extra)))
    if os.geteuid() == 0:  # compiled in; sshd refuses to start as root without it
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    with (folder / "sshd.log").open("wb") as log:
        process = proc.start([*prefix, SSHD, "-D", "-e", "-f", config], stdout=log, stderr=log)
    try:
        assert wait.until(
            lambda: _answers(port) or process.poll() is not None, wait.Deadline(timedelta(seconds=10)), 0.02
        )
        assert process.poll() is None, (folder / "sshd.log").read_text()
        yield Server(Address("127.0.0.1", port), getpass.getuser(), host_key, user_key, process)
    finally:
        proc.kill_group(process)


def free_port() -> int:
    """A loopback port that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)
