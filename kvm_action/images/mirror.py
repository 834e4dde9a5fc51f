"""Where packages come from: the mirror that this host's own apt uses. No mirror is written in this program."""

import platform
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from kvm_action import proc
from kvm_action.errors import HostError, PlanError
from kvm_action.images.addresses import is_loopback

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
"""Where package debian-archive-keyring puts Debian's keys, on the host and in the guest."""

_ADDRESS = re.compile(r"https?://[^\s\[\]]+")
_QUERY = [
    "apt-get",
    "indextargets",
    "--format",
    "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(ORIGIN)",
    "Created-By: Packages",
]


@dataclass(frozen=True, kw_only=True)
class Mirror:
    """The archives of a Debian host; ``security`` is empty when it uses none."""

    main: str
    security: str = ""


def of_this_host() -> Mirror | None:
    """The Debian mirror of this host's apt, None when there is none that a guest could reach too."""
    try:
        system = platform.freedesktop_os_release()
        targets = proc.run(_QUERY)
    except (OSError, HostError):
        return None
    return choose(targets.stdout, system.get("VERSION_CODENAME", ""))


def choose(targets: str, suite: str) -> Mirror | None:
    """The mirror in what ``apt-get indextargets`` printed, for a host of ``suite``.

    Before the first ``apt-get update`` apt does not know an archive's origin; then the address has to say debian.
    One on loopback is none: in a guest that leads to the guest.
    """
    main = _address(targets, suite)
    return Mirror(main=main, security=_address(targets, f"{suite}-security")) if main else None


def of_user(main: str, security: str) -> Mirror:
    """The archives that a user named; ``security`` may be empty. Raises PlanError."""
    for address in filter(None, (main, security)):
        if not _ADDRESS.fullmatch(address):
            raise PlanError(f"{address!r} is not the address of a mirror", hint="write it as https://HOST/debian")
    return Mirror(main=main, security=security)


def source_lines(mirror: Mirror, suite: str) -> tuple[str, ...]:
    """sources.list for ``suite``."""
    archives = [(mirror.main, suite), (mirror.main, f"{suite}-updates")]
    if mirror.security:
        archives.append((mirror.security, f"{suite}-security"))
    return tuple(f"deb [signed-by={KEYRING}] {address} {release} main" for address, release in archives)


def _address(targets: str, release: str) -> str:
    for line in targets.splitlines():
        fields = line.split("|")
        if len(fields) == 4 and fields[1:3] == [release, "main"] and _is_debian(fields[0], fields[3]):
            return fields[0]
    return ""


def _is_debian(address: str, origin: str) -> bool:
    if not address.startswith(("http://", "https://")) or is_loopback(urlsplit(address).hostname or ""):
        return False
    return origin == "Debian" or (origin.startswith("$(") and "debian" in address)
