"""A guest's state as values: what is at each watched path, what its files hold, which units and ports are open."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

SMALL: Final = 128 << 10
"""Bytes of a file up to which its content is kept, so that a difference can be shown."""
DPKG_STATUS: Final = "/var/lib/dpkg/status"
UNIT_FOLDERS: Final = ("/usr/lib/systemd/system", "/usr/local/lib/systemd/system", "/run/systemd/system")


@dataclass(frozen=True)
class Entry:
    """What stands at a path. ``kind`` is find's letter (``f d l`` …); ``stamp`` changes whenever it is touched.

    ``owner``: the numbers of user and group.
    """

    kind: str
    mode: int
    owner: str
    size: int
    stamp: str
    target: str = ""


@dataclass(frozen=True)
class GuestState:
    """One look. Of a file there is its content, or the hash of it, or neither if it was too much to keep."""

    entries: Mapping[str, Entry]
    contents: Mapping[str, bytes]
    hashes: Mapping[str, str]
    units: Mapping[str, str] = field(default_factory=dict)
    ports: frozenset[str] = frozenset()


def may_be_shown(path: str, entry: Entry) -> bool:
    """May everybody in the guest read it? Else it may hold secrets, and what it holds stays in the guest."""
    return bool(entry.mode & 0o004) or path.startswith("/etc/sudoers")  # rules, no secrets


def may_be_kept(path: str, entry: Entry) -> bool:
    """Is the content of this file taken out of the guest?"""
    return path == DPKG_STATUS or (entry.kind == "f" and entry.size <= SMALL and may_be_shown(path, entry))


def is_packaged_unit(path: str) -> bool:
    """Is it a file of systemd's own folders? Packages bring hundreds: of these the size has to do."""
    return path.startswith(UNIT_FOLDERS)
