"""What a guest's tools print, read into values. All of it is the guest's word: what makes no sense is left out."""

import io
import re
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from kvm_action.archive import DAMAGED, TooMuchError, open_bounded
from kvm_action.guest_state.model import Entry

_LARGEST: Final = 16 << 20
_LISTENS: Final = {"tcp": "0A", "udp": "07"}
_EPHEMERAL: Final = 32768
"""From here on the kernel gives UDP ports to whoever asks a question, such as a resolver."""
_ENTRY: Final = re.compile(
    r"(?P<kind>\w) (?P<mode>[0-7]{1,5}) (?P<owner>\d+:\d+) (?P<size>\d{1,18}) (?P<stamp>\S+) "
)
_OWN_AFFAIRS: Final = re.compile(
    r"(user@|user-runtime-dir@|session-c?\d+\.|getty|systemd-|apt-daily|dpkg-db-backup|packagekit\.|run-(r[0-9a-f]+|u\d+|p\d+-i\d+)\.)"
)
"""Units that the system starts and stops by itself; packagekit by every `apt-get update`, for some minutes."""


def sections(output: bytes, mark: str) -> dict[str, bytes]:
    """The output of a look by the names of its sections."""
    found = {}
    for part in output.split(b"\n" + mark.encode() + b" ")[1:]:
        name, _, text = part.partition(b"\n")
        found[name.decode(errors="replace")] = text
    return found


def entries(listed: bytes) -> dict[str, Entry]:
    """What `find` printed: a line of facts and a link's target in turn, each ended by a zero byte."""
    texts = listed.decode(errors="surrogateescape").split("\0")
    found = {}
    for line, target in zip(texts[::2], texts[1::2], strict=False):
        if facts := _ENTRY.match(line):
            kind, mode, owner, size, stamp = facts.groups()
            found[line[facts.end() :]] = Entry(kind, int(mode, 8), owner, int(size), stamp, target)
    return found


def hashes(printed: bytes) -> dict[str, str]:
    """What `sha256sum -z` printed."""
    lines = printed.decode(errors="surrogateescape").split("\0")
    return {line[66:]: line[:64] for line in lines if len(line) > 66}


def contents(stream: bytes) -> dict[str, bytes]:
    """The files in a tar stream, which may be cut off or made to do harm: nothing larger than it comes out."""
    found: dict[str, bytes] = {}
    with suppress(TooMuchError, *DAMAGED):
        found.update(_members(stream))
    return found


def _members(stream: bytes) -> Iterator[tuple[str, bytes]]:
    with open_bounded(io.BytesIO(stream), len(stream)) as archive:
        for member in archive:
            if member.isreg() and not member.issparse() and 0 <= member.size <= min(_LARGEST, len(stream)):
                content = archive.extractfile(member)
                yield member.name, content.read() if content else b""


def units(listed: bytes) -> dict[str, str]:
    """Units that are active, on their way, or failed, with their states; without those that come and go."""
    found = {}
    for line in listed.decode(errors="replace").splitlines():
        words = line.split(maxsplit=4)
        if len(words) >= 4 and not _OWN_AFFAIRS.match(words[0]):
            found[words[0]] = words[2] if words[0].endswith(".timer") else f"{words[2]} {words[3]}"
    return found


def ports(tcp: bytes, udp: bytes) -> frozenset[str]:
    """Listening sockets in files such as /proc/net/tcp: ``tcp 127.0.0.1:8080``."""
    return frozenset([*_sockets("tcp", tcp), *_sockets("udp", udp)])


def _sockets(protocol: str, table: bytes) -> Iterator[str]:
    for line in table.decode(errors="replace").splitlines():
        words = line.split()
        if len(words) > 3 and words[3] == _LISTENS[protocol]:
            with suppress(ValueError):
                address, _, port = words[1].partition(":")
                number = int(port, 16)
                if protocol == "tcp" or number < _EPHEMERAL:
                    yield f"{protocol} {_address(address)}:{number}"


def _address(digits: str) -> str:
    """In 32-bit words of the processor's order."""
    raw = b"".join(bytes.fromhex(digits[at : at + 8])[::-1] for at in range(0, len(digits), 8))
    return str(IPv4Address(raw)) if len(raw) == 4 else f"[{IPv6Address(raw)}]"
