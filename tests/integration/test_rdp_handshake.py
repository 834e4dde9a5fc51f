"""RDP handshakes with servers on loopback that misbehave, each in its own way; and with Python's own TLS."""

import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from threading import Event

import certificates
import pytest
from certificates import DAY, NOW
from fakes import FakeGuest
from sshd import free_port

from kvm_action.checks import run_checks
from kvm_action.errors import NoWayToPortError
from kvm_action.plan.rdp_check import RdpCheck
from kvm_action.results import CheckOutcome, CheckResult

pytestmark = pytest.mark.integration
Speak = Callable[[socket.socket], None]
SOON = timedelta(seconds=20)


@contextmanager
def server(speak: Speak) -> Iterator[int]:
    """A server that treats every connection in the same way."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    threading.Thread(target=converse, args=(connection,), daemon=True).start()

        def converse(connection: socket.socket) -> None:
            with connection, suppress(OSError, ssl.SSLError):
                connection.settimeout(20)
                speak(connection)

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def examine(port: int, **keys: object) -> CheckResult:
    check = RdpCheck.model_validate({"port": port, "timeout": SOON, **keys})
    (result,) = run_checks(FakeGuest({}), [check], folder=Path(), on_result=lambda _result: None)
    return result


def confirmation(kind: int, value: int) -> bytes:
    return b"\x03\x00\x00\x13\x0e\xd0\x00\x00\x12\x34\x00" + struct.pack("<BBHI", kind, 0, 8, value)


def says(data: bytes) -> Speak:
    def speak(connection: socket.socket) -> None:
        connection.recv(100)
        connection.sendall(data)

    return speak


def greets(data: bytes) -> Speak:
    """Speaks first, as many servers do."""

    def speak(connection: socket.socket) -> None:
        connection.sendall(data)
        connection.recv(100)
        Event().wait(1)

    return speak


def speaks_tls(certificate: Path, key: Path) -> Speak:
    """As far as RDP with TLS goes before a password is needed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def speak(connection: socket.socket) -> None:
        asked = connection.recv(100)
        wants_tls = asked[-4] & 1
        connection.sendall(confirmation(2, 1) if wants_tls else confirmation(3, 1))
        if wants_tls:
            with context.wrap_socket(connection, server_side=True) as tls:
                tls.recv(1)

    return speak


def test_a_server_with_tls_passes_with_the_facts_of_its_certificate(tmp_path: Path) -> None:
    with server(speaks_tls(*certificates.write(tmp_path))) as port:
        result = examine(port)
    assert result.outcome is CheckOutcome.PASSED
    assert result.actual.startswith("offers TLS, certificate of CN=vps, self-signed, valid ")


def test_an_expired_certificate_fails_and_says_since_when(tmp_path: Path) -> None:
    with server(speaks_tls(*certificates.write(tmp_path, NOW - 30 * DAY, NOW - 2 * DAY))) as port:
        result = examine(port)
    assert result.outcome is CheckOutcome.FAILED
    assert f"the certificate of CN=vps expired on {NOW - 2 * DAY:%Y-%m-%d} (2 days ago)" in result.message
    assert "restart the RDP server" in result.message


def test_a_server_that_refuses_all_but_nla_offers_nla() -> None:
    with server(says(confirmation(3, 5))) as port:
        assert examine(port, nla=True).actual == "offers NLA"


@pytest.mark.parametrize(
    ("speak", "words"),
    [
        (says(b""), "closes the connection without an answer"),
        (greets(b"SSH-2.0-OpenSSH_9.2\r\n"), "does not speak RDP: it answers with “SSH-2.0-OpenSSH_9.2”"),
        (
            greets(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
            "does not speak RDP: it answers with “HTTP/1.1 400 Bad Request”",
        ),
        (says(b"\x03\x00\x00"), "closes the connection without an answer after the bytes 03 00 00"),
        (says(b"\x03\x00\x00\x13" + b"\xff" * 15), "does not speak RDP"),
        (says(confirmation(2, 4)), "chooses a security protocol 0x4 that was not offered"),
        (says(confirmation(3, 3)), "refuses every security protocol: it has no certificate"),
        (says(confirmation(2, 1)), " the connection in the TLS handshake"),
        (says(confirmation(2, 1) + b"no TLS at all, no TLS at all"), "chooses TLS and then cannot do it"),
    ],
)
def test_what_is_no_working_rdp_server_is_told_in_a_sentence(speak: Speak, words: str) -> None:
    with server(speak) as port:
        result = examine(port)
    assert result.outcome is CheckOutcome.FAILED
    assert result.message.startswith(f"what listens on port {port} ")
    assert words in result.message


def listens_and_is_silent(connection: socket.socket) -> None:
    connection.recv(100)
    Event().wait(20)


def drips(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"\x03")
        Event().wait(0.2)


@pytest.mark.parametrize(("speak", "words"), [(listens_and_is_silent, "says nothing within"), (drips, "")])
def test_a_server_that_listens_and_does_not_talk_costs_no_more_than_the_checks_time(
    speak: Speak, words: str
) -> None:
    with server(speak) as port:
        began = time.monotonic()
        result = examine(port, timeout=timedelta(seconds=1))
        assert time.monotonic() - began < 4
    assert result.outcome is CheckOutcome.FAILED
    assert words in result.message


def test_a_port_that_nobody_listens_on_fails_with_that_sentence() -> None:
    result = examine(free_port())
    assert result.outcome is CheckOutcome.FAILED
    assert result.message.startswith("nothing accepts RDP connections in the guest")


def test_a_guest_that_lets_nobody_try_is_an_error_and_no_verdict_on_its_rdp_server() -> None:
    guest = FakeGuest({})
    guest.no_ports = NoWayToPortError("the guest's SSH server lets nobody connect", hint="AllowTcpForwarding")
    (result,) = run_checks(guest, [RdpCheck(port=3389)], folder=Path(), on_result=lambda _result: None)
    assert result.outcome is CheckOutcome.ERROR
    assert "AllowTcpForwarding" in result.message
