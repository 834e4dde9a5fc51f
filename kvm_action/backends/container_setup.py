"""What a container is told before it starts and right after: what cloud-init and the seed are for a machine."""

from dataclasses import dataclass
from datetime import timedelta
from shlex import quote
from typing import Final

from kvm_action.backends.container_limits import PROBE
from kvm_action.backends.identity import Identity
from kvm_action.containers.command import Login
from kvm_action.containers.files import File
from kvm_action.errors import BootError
from kvm_action.guest import Guest
from kvm_action.plan.model import User
from kvm_action.results import GuestInfo

# Docker sets up network and names, mounts the root and has no terminals; cloud-init would wait for a seed.
_MASKED: Final = (
    "systemd-networkd.service", "systemd-networkd.socket", "systemd-networkd-wait-online.service",
    "systemd-resolved.service", "systemd-remount-fs.service", "kvm-e2e-grow.service",
    "cloud-init-local.service", "cloud-init-main.service", "cloud-init-network.service", "cloud-init.service",
    "cloud-config.service", "cloud-final.service", "cloud-init.target", "getty@tty1.service",
    "console-getty.service", "serial-getty@ttyS0.service",
)  # fmt: skip
_MARK: Final = "=== kvm-e2e "

_WAIT: Final = """
until [ -S /run/systemd/private ]; do sleep 0.02; done
state=$(systemctl is-system-running --wait 2>/dev/null)
"""
_MAKE_USER: Final = """
shell=/bin/bash; [ -x $shell ] || shell=/bin/sh
id "$user" >/dev/null 2>&1 || useradd --create-home --shell $shell "$user" || exit
IFS= read -r password
[ -z "$password" ] || printf '%s:%s\\n' "$user" "$password" | chpasswd || exit
if [ "$sudo" = yes ]; then
    mkdir -p /etc/sudoers.d && printf '%s ALL=(ALL) NOPASSWD:ALL\\n' "$user" >/etc/sudoers.d/90-kvm-e2e || exit
    chmod 0440 /etc/sudoers.d/90-kvm-e2e
fi
home=$(getent passwd "$user" | cut -d: -f6)
mkdir -p "$home/.ssh" && printf '%s\\n' "$key" >"$home/.ssh/authorized_keys" || exit
chmod 0700 "$home/.ssh"; chmod 0600 "$home/.ssh/authorized_keys"
chown -R "$user:" "$home/.ssh"
"""
_TELL: Final = f"""
tell() {{ printf '{_MARK}%s\\n' "$1"; }}
tell state; echo "$state"; systemctl --failed --no-legend --plain --no-pager | awk '{{print $1}}'
tell passwd; getent passwd "$user"
tell lang; (. /etc/default/locale) 2>/dev/null && (. /etc/default/locale; echo "$LANG")
tell os; (. /etc/os-release; echo "$PRETTY_NAME"); uname -r; uname -n
tell limits
"""


@dataclass(frozen=True)
class FirstStart:
    """What the container said once it was up. ``failed`` are units that did not start."""

    login: Login
    guest: GuestInfo
    failed: tuple[str, ...]
    limits: str


def first_files(identity: Identity) -> dict[str, File]:
    """Units that have no meaning in a container, an empty fstab, and the SSH host key that is the run's own."""
    files = {f"/etc/systemd/system/{unit}": File(link="/dev/null") for unit in _MASKED}
    files["/etc/fstab"] = File()
    files["/etc/ssh/ssh_host_ed25519_key"] = File(identity.host_key.private.encode(), 0o600)
    files["/etc/ssh/ssh_host_ed25519_key.pub"] = File(identity.host_key.public.encode() + b"\n")
    return files


def first_start(root: Guest, user: User, key: str, timeout: timedelta) -> FirstStart:
    """Wait for systemd, make the plan's user as cloud-init would, ask for facts: all in one command.

    Raises BootError.
    """
    given = {"user": user.name, "sudo": "yes" if user.sudo else "no", "key": key}
    values = "\n".join(f"{name}={quote(value)}" for name, value in given.items())
    password = user.password.get_secret_value() if user.password else ""
    answer = root.run(values + _WAIT + _MAKE_USER + _TELL + PROBE, timeout=timeout, stdin=f"{password}\n".encode())
    told = _sections(answer.text)
    if not answer.ok or "passwd" not in told:
        words = answer.stderr.decode(errors="replace").strip().splitlines() or [f"status {answer.status}"]
        raise BootError(
            f"the container could not be set up: {words[-1]}",
            "it must be a Linux system with systemd, useradd and getent; console.log may tell more",
        )
    return _first_start(told)


def _first_start(told: dict[str, list[str]]) -> FirstStart:
    name, _, _, _, _, home, shell = told["passwd"][0].split(":")
    os, kernel, hostname = told["os"][:3]
    return FirstStart(
        login=Login(user=name, home=home, shell=shell or "/bin/sh", lang="".join(told["lang"][:1])),
        guest=GuestInfo(os=os, kernel=kernel, hostname=hostname),
        failed=tuple(told["state"][1:]),
        limits="\n".join(told["limits"]),
    )


def _sections(text: str) -> dict[str, list[str]]:
    sections: dict[str, list[str]] = {}
    here: list[str] = []
    for line in text.splitlines():
        if line.startswith(_MARK):
            here = sections.setdefault(line.removeprefix(_MARK), [])
        else:
            here.append(line)
    return sections
