"""The first two messages of RDP: which security a client can, and which one the server takes. Pure.

[MS-RDPBCGR] 2.2.1.1 (request) and 2.2.1.2 (confirm), in TPKT (RFC 1006) and X.224 (ISO 8073) headers.
"""

import struct
from dataclasses import dataclass
from enum import IntFlag
from typing import Final

from kvm_action.text import plain_line

HEADER: Final = 4
"""Bytes of a TPKT header, which tell the length of the message."""
MOST: Final = 1024
"""Bytes that an answer to a request may have; a confirm has 19."""

_TPKT_VERSION: Final = 3
_REQUEST: Final = 0xE0
_CONFIRM: Final = 0xD0
_FIXED: Final = 7
"""Bytes of an X.224 header: its own length, code, two references, class."""
_NEGOTIATION: Final = 8
_NEGOTIATION_REQUEST, _NEGOTIATION_RESPONSE, _NEGOTIATION_FAILURE = 1, 2, 3
_QUOTED: Final = 60


class Security(IntFlag):
    """What secures a connection ([MS-RDPBCGR] 2.2.1.1.1). None of the bits is RDP's own, which can be broken."""

    PLAIN = 0
    TLS = 1
    NLA = 2
    NLA_EARLY = 8
    """NLA that tells at once whether the user may log in."""


REFUSALS: Final = {
    1: "it wants TLS",
    2: "its configuration forbids TLS",
    3: "it has no certificate",
    4: "it finds the request contradictory",
    5: "it wants NLA",
    6: "it wants TLS with a client's certificate",
}
"""What the server wants instead ([MS-RDPBCGR] 2.2.1.2.2)."""

WANTS_NLA: Final = 5


class NotRdpError(Exception):
    """What answers does not speak RDP; the text completes "it …"."""


@dataclass(frozen=True)
class Answer:
    """What the server takes, or the code by which it refuses all that was offered."""

    selected: Security = Security.PLAIN
    refusal: int = 0

    @property
    def reason(self) -> str:
        """Why it refuses, in words."""
        return REFUSALS.get(self.refusal, f"it says {self.refusal}, which the protocol does not know")


def request(offered: Security) -> bytes:
    """The message that opens a connection: a client that can do ``offered``."""
    negotiation = struct.pack("<BBHI", _NEGOTIATION_REQUEST, 0, _NEGOTIATION, offered)
    x224 = struct.pack(">BBHHB", _FIXED - 1 + len(negotiation), _REQUEST, 0, 0, 0) + negotiation
    return struct.pack(">BBH", _TPKT_VERSION, 0, HEADER + len(x224)) + x224


def length_of(start: bytes) -> int:
    """How many bytes follow the header that a message starts with. Raises NotRdpError."""
    version, _, length = struct.unpack(">BBH", start[:HEADER])
    if version != _TPKT_VERSION:
        raise NotRdpError(f"answers with {quoted(start)}")
    if not HEADER + _FIXED <= length <= MOST:
        raise NotRdpError(f"announces an answer of {length} bytes, and one to this question has 11 or 19")
    return int(length - HEADER)


def answer(body: bytes) -> Answer:
    """What a message says, without its TPKT header. Raises NotRdpError."""
    length, code = body[0], body[1]
    if code & 0xF0 != _CONFIRM:
        raise NotRdpError(f"answers with {quoted(body)}, which confirms no connection")
    rest = body[_FIXED:]
    if length + 1 != len(body) or len(rest) not in (0, _NEGOTIATION):
        raise NotRdpError("answers with a confirmation whose lengths contradict each other")
    if not rest:
        return Answer()
    kind, _, size, value = struct.unpack("<BBHI", rest)
    if size != _NEGOTIATION or kind not in (_NEGOTIATION_RESPONSE, _NEGOTIATION_FAILURE):
        raise NotRdpError(f"answers with {quoted(body)}, which negotiates nothing")
    if kind == _NEGOTIATION_FAILURE:
        return Answer(refusal=value or -1)
    return Answer(selected=_one_of_ours(value))


def _one_of_ours(value: int) -> Security:
    if value not in (Security.PLAIN, Security.TLS, Security.NLA, Security.NLA_EARLY):
        raise NotRdpError(f"chooses a security protocol {value:#x} that was not offered")
    return Security(value)


def quoted(data: bytes) -> str:
    """What a stranger said, for a message: as text if it is text, else in hexadecimal."""
    start = data[:_QUOTED]
    lines = start.decode("ascii", errors="replace").strip().splitlines()
    if start.isascii() and lines and lines[0].isprintable():
        return f"“{plain_line(lines[0])}”"
    return f"the bytes {start[:16].hex(' ')}"
