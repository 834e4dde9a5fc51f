"""What Debian's own files say: packages, users, groups, and the repositories that apt is told to use."""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Final

from kvm_action.guest_state.model import DPKG_STATUS

_INSTALLED: Final = "install ok installed"
_REPOSITORY: Final = re.compile(r"(deb|deb-src)\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<rest>.+)")
_LOGIN: Final = re.compile(r"(?<=//)[^/@\s]+@")

Contents = Mapping[str, bytes]
"""What files hold, by their paths."""


def packages(contents: Contents) -> dict[str, str]:
    """Name and architecture to version."""
    found = {}
    for stanza in _stanzas(_text(contents.get(DPKG_STATUS, b""))):
        name, version, status = (stanza.get(key, "") for key in ("package", "version", "status"))
        if name and version:
            state = "" if status == _INSTALLED else f" ({status})"
            found[f"{name}:{stanza.get('architecture', '')}"] = f"{version}{state}"
    return found


def accounts(contents: Contents, path: str) -> dict[str, str]:
    """The lines of /etc/passwd or /etc/group by their first field."""
    lines = (line.partition(":") for line in _text(contents.get(path, b"")).splitlines() if ":" in line)
    return {name: rest for name, _, rest in lines}


def name_of(number: str, listed: bytes) -> str:
    """The user or group of a number, in what /etc/passwd or /etc/group holds; the number itself if it has none."""
    lines = (line.split(":") for line in _text(listed).splitlines())
    return next((fields[0] for fields in lines if fields[2:3] == [number]), number)


def repositories(contents: Contents) -> dict[str, str]:
    """Enabled repositories: type, address and suite, to components. A login in an address is not shown."""
    found: dict[str, str] = {}
    for path, content in contents.items():
        if path == "/etc/apt/sources.list" or re.fullmatch(r"/etc/apt/sources\.list\.d/[^/]+\.list", path):
            found.update(_of_list(_text(content)))
        elif re.fullmatch(r"/etc/apt/sources\.list\.d/[^/]+\.sources", path):
            found.update(_of_sources(_text(content)))
    return found


def _of_list(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        if match := _REPOSITORY.match(line.partition("#")[0].strip()):
            suite, _, components = match["rest"].partition(" ")
            yield _repository(match[1], match["uri"], suite), " ".join(components.split())


def _of_sources(text: str) -> Iterator[tuple[str, str]]:
    for stanza in _stanzas("\n".join(line for line in text.splitlines() if not line.startswith("#"))):
        if stanza.get("enabled", "yes").lower() not in ("no", "false", "0"):
            for kind in stanza.get("types", "").split():
                for uri in stanza.get("uris", "").split():
                    for suite in stanza.get("suites", "").split():
                        yield _repository(kind, uri, suite), " ".join(stanza.get("components", "").split())


def _repository(kind: str, uri: str, suite: str) -> str:
    return f"{kind} {_LOGIN.sub('***@', uri)} {suite}"


def _stanzas(text: str) -> Iterator[dict[str, str]]:
    """Paragraphs of ``Key: value`` lines; a line that is indented goes on the one before."""
    for is_stanza, lines in groupby(text.splitlines(), key=lambda line: bool(line.strip())):
        if is_stanza:
            yield dict(_pairs(lines))


def _pairs(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    key, value = "", ""
    for line in lines:
        if line[0] in " \t":
            value += f"\n{line.strip()}"
            continue
        if key:
            yield key, value
        name, _, rest = line.partition(":")
        key, value = name.strip().lower(), rest.strip()
    if key:
        yield key, value


def _text(content: bytes) -> str:
    return content.decode(errors="replace")
