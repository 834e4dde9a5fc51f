"""Units that D-Bus starts for whoever asks it, such as a desktop at a login: no script left them as they are."""

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Final

from kvm_action.guest_state.model import UNIT_FOLDERS, Entry

_FOLDERS: Final = ("/etc/systemd/system", *UNIT_FOLDERS)
_WANTED: Final = re.compile(r"/(?P<by>[^/]+)\.(?:wants|requires)/(?P<unit>[^/]+)$")
_DESKTOP: Final = "graphical.target"
"""Its services (upower, udisks2 …) are enabled there, and where no boot has started them yet, a login does."""


def started_by_bus(listed: bytes, entries: Mapping[str, Entry]) -> frozenset[str]:
    """Names of units, from D-Bus's files (lines ``SystemdService=NAME``) and from systemd's among ``entries``.

    Without those that a boot starts by itself: whether these run is a script's affair.
    """
    named = {line.partition("=")[2].strip() for line in listed.decode(errors="replace").splitlines()}
    units = named | set(_behind(named, entries))
    return frozenset(units - set(_started_by_boot(entries)) - {""})


def _behind(names: set[str], entries: Mapping[str, Entry]) -> Iterator[str]:
    """The units that names such as ``dbus-org.freedesktop.Avahi.service`` stand for."""
    for folder in _FOLDERS:
        for name in names:
            entry = entries.get(f"{folder}/{name}")
            if entry and entry.kind == "l":
                yield PurePosixPath(entry.target).name


def _started_by_boot(entries: Mapping[str, Entry]) -> Iterator[str]:
    for path, entry in entries.items():
        if entry.kind == "l" and path.startswith(_FOLDERS):
            wanted = _WANTED.search(path)
            if wanted and wanted["by"] != _DESKTOP:
                yield wanted["unit"]
