"""Files that let OpenSSH's own programs reach a guest: config, key, known host. Knows no session."""

import os
import re
from pathlib import Path
from typing import Final

from kvm_action.guest import SshAccess
from kvm_action.reach import Address
from kvm_action.whole_file import write_whole

HOST: Final = "guest"
CONFIG: Final = "ssh_config"


def write_access(folder: Path, address: Address, user: str, private_key: str, host_key: str) -> SshAccess:
    """Write ``ssh_config``, ``known_hosts`` and ``id_ed25519`` (0600) into ``folder``, which is made (0700).

    ``ssh -F folder/ssh_config guest`` then works, with the host key verified and nothing of the user's own
    configuration, agent or keys in play.
    """
    folder = folder.absolute()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _write(folder / "id_ed25519", private_key)
    _write(folder / "known_hosts", f"{HOST} {host_key.strip()}\n")
    config = folder / CONFIG
    _write(config, ssh_config(folder, address, user))
    return SshAccess(config, HOST)


def ssh_config(folder: Path, address: Address, user: str) -> str:
    """The config's text. The host key is looked up under the alias, whatever port the guest has."""
    return "\n".join(
        [
            f"Host {HOST}",
            f"  HostName {address.host}",
            f"  Port {address.port}",
            f"  User {user}",
            f"  HostKeyAlias {HOST}",
            f"  IdentityFile {_quoted(folder / 'id_ed25519')}",
            "  IdentitiesOnly yes",
            "  IdentityAgent none",
            f"  UserKnownHostsFile {_quoted(folder / 'known_hosts')}",
            "  GlobalKnownHostsFile /dev/null",
            "  StrictHostKeyChecking yes",
            "  PasswordAuthentication no",
            "  BatchMode yes",
            "  LogLevel ERROR",
            "",
        ]
    )


def read_address(config: Path) -> Address | None:
    """Where a config of ours says that the guest is, None when it says nothing."""
    found = dict(line.split(maxsplit=1) for line in config.read_text().splitlines() if len(line.split()) == 2)
    host, port = found.get("HostName", ""), found.get("Port", "")
    return Address(host, int(port)) if host and port.isdecimal() else None


def move_access(config: Path, address: Address) -> None:
    """Let a config of ours point to another address of the same guest."""
    text = re.sub(r"(?m)^(  HostName) .*$", rf"\1 {address.host}", config.read_text())
    write_whole(config, re.sub(r"(?m)^(  Port) .*$", rf"\1 {address.port}", text))


def _quoted(path: Path) -> str:
    return '"' + str(path).replace("%", "%%") + '"'


def _write(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
