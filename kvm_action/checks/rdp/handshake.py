"""Talking to an RDP server as far as anybody can without a password: negotiation, then TLS for its certificate."""

import ssl
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from kvm_action.checks.rdp.certificate import Certificate, UnreadableError, read_certificate
from kvm_action.checks.rdp.negotiation import (
    HEADER,
    WANTS_NLA,
    Answer,
    NotRdpError,
    Security,
    answer,
    length_of,
    quoted,
    request,
)
from kvm_action.guest import GuestSocket
from kvm_action.units import format_seconds
from kvm_action.wait import Deadline

Open = Callable[[Deadline], GuestSocket]
"""Opens a connection to the server. Raises what `Guest.open_port` raises."""

_PATIENCE: Final = timedelta(seconds=20)
"""For one conversation: an emulated guest needs seconds to start a process for it."""
_PIECE: Final = 1 << 14
_ANY_NLA: Final = Security.NLA | Security.NLA_EARLY


class BrokenTalkError(Exception):
    """The server does not do its part; the text completes "it …"."""


@dataclass(frozen=True)
class Handshake:
    """What a server offers, each by a connection that offered nothing better; its certificate when it has TLS."""

    nla: bool
    tls: bool
    """TLS without NLA."""
    plain: bool
    """RDP's own encryption, which can be broken."""
    certificate: Certificate | None = None

    @property
    def encrypted(self) -> bool:
        """Is there TLS, with or without NLA?"""
        return self.nla or self.tls

    def __str__(self) -> str:
        """What it offers, the best first."""
        offered = (("NLA", self.nla), ("TLS", self.tls), ("plain RDP security", self.plain))
        return "offers " + (", ".join(name for name, is_offered in offered if is_offered) or "nothing")


def shake_hands(open_port: Open, deadline: Deadline) -> Handshake:
    """Ask for all that a server offers. Raises BrokenTalkError, and what ``open_port`` raises."""
    best, certificate = _ask(open_port, Security.TLS | _ANY_NLA, deadline)
    nla = best.selected in (Security.NLA, Security.NLA_EARLY) or best.refusal == WANTS_NLA
    tls = best.selected is Security.TLS or _takes(open_port, Security.TLS, deadline)
    plain = (best.selected is Security.PLAIN and not best.refusal) or _takes(open_port, Security.PLAIN, deadline)
    if not (nla or tls or plain):
        raise BrokenTalkError(f"refuses every security protocol: {best.reason}")
    return Handshake(nla, tls, plain, certificate)


def _takes(open_port: Open, offered: Security, deadline: Deadline) -> bool:
    """Would it take a client that can do no more? One that it hangs up on, or keeps waiting, it does not."""
    try:
        found, _ = _ask(open_port, offered, deadline, certificate=False)
    except BrokenTalkError:
        return False
    return not found.refusal and found.selected is offered


def _ask(
    open_port: Open, offered: Security, deadline: Deadline, *, certificate: bool = True
) -> tuple[Answer, Certificate | None]:
    """One connection: what it answers, and its certificate if it then speaks TLS."""
    deadline = deadline.at_most(_PATIENCE)
    with closing(open_port(deadline)) as socket:
        talk = _Talk(socket, deadline)
        found = talk.negotiate(offered)
        if found.refusal or found.selected is Security.PLAIN or not certificate:
            return found, None
        return found, talk.certificate()


class _Talk:
    """One connection. All of it ends by the deadline."""

    def __init__(self, socket: GuestSocket, deadline: Deadline) -> None:
        self._socket = socket
        self._deadline = deadline
        self._unread = b""

    def negotiate(self, offered: Security) -> Answer:
        self._send(request(offered))
        try:
            self._come_to_have(HEADER)
            length = length_of(self._unread)
            self._come_to_have(HEADER + length)
            taken, self._unread = self._unread[HEADER : HEADER + length], self._unread[HEADER + length :]
            return answer(taken)
        except NotRdpError as error:
            raise BrokenTalkError(f"does not speak RDP: it {error}") from error

    def certificate(self) -> Certificate:
        """The server's, after the TLS handshake; whether to trust it is no question here."""
        try:
            return read_certificate(self._shake_hands_by_tls() or b"")
        except ssl.SSLError as error:
            reason = (error.reason or str(error)).replace("_", " ").lower()
            raise BrokenTalkError(
                f"chooses TLS and then cannot do it ({reason}): can it read its certificate and key?"
            ) from error
        except UnreadableError as error:
            raise BrokenTalkError(f"shows a certificate that cannot be read: {error}") from error

    def _shake_hands_by_tls(self) -> bytes | None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = _tls_context().wrap_bio(incoming, outgoing)
        while True:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                self._send(outgoing.read())
                incoming.write(self._unread or self._some("in the TLS handshake"))
                self._unread = b""
            else:
                self._send(outgoing.read())
                return tls.getpeercert(binary_form=True)

    def _come_to_have(self, count: int) -> None:
        while len(self._unread) < count:
            self._unread += self._some("without an answer")

    def _some(self, when: str) -> bytes:
        said = f" after {quoted(self._unread)}" if self._unread else ""
        try:
            self._socket.settimeout(max(0.001, self._deadline.left))  # 0 would mean: do not wait
            data = self._socket.recv(_PIECE)
        except TimeoutError:
            raise self._silence(said) from None
        except OSError as error:
            raise BrokenTalkError(f"breaks the connection {when}{said} ({error.strerror or error})") from error
        if not data:
            raise BrokenTalkError(f"closes the connection {when}{said}")
        if self._deadline.passed:  # it drips
            raise self._silence(said)
        return data

    def _silence(self, said: str) -> BrokenTalkError:
        allowed = format_seconds(self._deadline.allowed.total_seconds())
        return BrokenTalkError(
            f"takes the connection and says nothing{' more' if said else ''}{said} within {allowed}:"
            " it hangs, or it is another kind of server"
        )

    def _send(self, data: bytes) -> None:
        try:
            self._socket.settimeout(max(0.1, self._deadline.left))
            self._socket.sendall(data)
        except OSError as error:
            raise BrokenTalkError(f"closes the connection without reading ({error.strerror or error})") from error


def _tls_context() -> ssl.SSLContext:
    """Of a client that wants to see every certificate, also those it would never trust."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    return context
