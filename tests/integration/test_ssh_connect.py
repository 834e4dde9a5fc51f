"""Reaching a guest that is booting, wrong, broken, or that falls silent."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest
from sshd import MISSING, SSHD, Server, free_port, sshd

from kvm_action.errors import CommandTimeoutError, GuestConnectionError
from kvm_action.reach import Address
from kvm_action.ssh import Session, connect, generate_key
from kvm_action.ssh.link import Link
from kvm_action.ssh.session import Login
from kvm_action.ssh.transport import handshake, log_in, open_wire
from kvm_action.wait import Deadline, until

pytestmark = [pytest.mark.integration, pytest.mark.skipif(SSHD is None, reason=MISSING)]
SOON = timedelta(seconds=20)
KEY = generate_key()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with sshd(tmp_path) as running:
        yield running


def dialled(address: Address, server: Server | None, seconds: float, folder: Path, **other: object):
    arguments: dict[str, object] = {
        "user": server.user if server else "nobody",
        "private_key": (server.user_key if server else KEY).private,
        "host_key": (server.host_key if server else KEY).public,
        "deadline": Deadline(timedelta(seconds=seconds)),
        "access_folder": folder,
    }
    return connect(address, **{**arguments, **other})


@contextmanager
def listening(answer: Callable[[socket.socket], None]) -> Iterator[Address]:
    """A server that gives each connection to ``answer``, in a thread."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_serve, args=(listener, answer))
        thread.start()
        try:
            yield Address("127.0.0.1", listener.getsockname()[1])
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def _serve(listener: socket.socket, answer: Callable[[socket.socket], None]) -> None:
    with suppress(OSError):
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=answer, args=(connection,)).start()


class Relay:
    """A network between client and server that can be frozen, as a paused or crashed guest behind QEMU is."""

    def __init__(self, to: Address) -> None:
        self.to = to
        self.flowing = threading.Event()
        self.flowing.set()

    def __call__(self, client: socket.socket) -> None:
        with client, socket.create_connection((self.to.host, self.to.port)) as server:
            back = threading.Thread(target=self._pass, args=(server, client))
            back.start()
            self._pass(client, server)
            back.join()

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                self.flowing.wait(30)
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)


def test_another_machine_on_the_port_ends_the_attempt_at_once(server: Server, tmp_path: Path) -> None:
    began = time.monotonic()
    with (
        pytest.raises(GuestConnectionError, match="is not our guest: its host key is SHA256:") as error,
        dialled(server.address, server, 20, tmp_path, host_key=KEY.public),
    ):
        pass
    assert time.monotonic() - began < 5
    assert "another program took the port" in error.value.hint


def test_a_key_that_is_not_let_in_is_tried_until_the_deadline_and_then_told(
    server: Server, tmp_path: Path
) -> None:
    with (
        pytest.raises(GuestConnectionError, match=r"refused user \w+ \d times") as error,
        dialled(server.address, server, 2, tmp_path, private_key=KEY.private),
    ):
        pass
    assert "cloud-init did not create" in error.value.hint


def test_a_user_whose_key_arrives_late_gets_in(server: Server, tmp_path: Path) -> None:
    keys = tmp_path / "authorized_keys"
    text = keys.read_text()
    keys.write_text("")
    timer = threading.Timer(0.7, keys.write_text, args=(text,))
    timer.start()
    with dialled(server.address, server, 20, tmp_path) as session:
        assert session.run("echo in", timeout=SOON).text == "in"


def test_a_server_that_starts_late_is_reached_soon_after_and_the_milestones_are_told(tmp_path: Path) -> None:
    port = free_port()
    seen: list[str] = []
    failed: list[str] = []

    def reach() -> None:
        try:
            with dialled(Address("127.0.0.1", port), None, 1, tmp_path, on_milestone=seen.append):
                pass
        except GuestConnectionError as error:
            failed.append(error.message)

    reach()
    assert failed == ["no SSH session with the guest within 1.0 s: the port does not answer (Connection refused)"]
    assert seen == []
    with (
        sshd(tmp_path) as server,
        dialled(server.address, server, 20, tmp_path, on_milestone=seen.append),
    ):
        assert seen == ["port_open", "ssh_authenticated"]


def _mute(connection: socket.socket) -> None:
    with connection, suppress(OSError):
        connection.recv(1 << 16)
        connection.recv(1 << 16)


def _garbage(connection: socket.socket) -> None:
    with connection, suppress(OSError):
        connection.sendall(b"220 mail ready\r\n\x00\xff\r\n")
        connection.recv(1 << 16)


def _cut(connection: socket.socket) -> None:
    with connection, suppress(OSError):
        connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
        connection.recv(100)


@pytest.mark.parametrize("answer", [_mute, _garbage, _cut])
def test_a_port_that_is_no_ssh_server_is_told_at_the_deadline(
    answer: Callable[[socket.socket], None], tmp_path: Path
) -> None:
    began = time.monotonic()
    with (
        listening(answer) as address,
        pytest.raises(GuestConnectionError, match="not as a working SSH server"),
        dialled(address, None, 1.5, tmp_path),
    ):
        pass
    assert 1 < time.monotonic() - began < 4


def test_a_connection_that_was_dead_when_it_was_accepted_is_given_up_for_a_new_one(
    server: Server, tmp_path: Path
) -> None:
    relay = Relay(server.address)
    dead = [True]

    def answer(connection: socket.socket) -> None:
        (_mute if dead.pop() else relay)(connection)

    dead.insert(0, False)
    with listening(answer) as address, dialled(address, server, 20, tmp_path) as session:
        assert session.run("echo in", timeout=SOON).text == "in"


@contextmanager
def frozen_soon(
    server: Server, folder: Path, probe_after: float, patience: float
) -> Iterator[tuple[Session, Relay]]:
    """A session through a network that can be frozen, with an impatient watch."""
    relay = Relay(server.address)
    login = Login(server.address, server.user, server.user_key.private, server.host_key.public, folder)
    with listening(relay) as address:
        wire = open_wire(address, Deadline(SOON))
        transport = handshake(wire, server.host_key.public, 5, Deadline(SOON))
        log_in(transport, server.user, server.user_key.private, Deadline(SOON))
        link = Link(transport, wire, timedelta(seconds=probe_after), timedelta(seconds=patience))
        link.watch()
        session = Session(login, link, lambda _deadline: link)
        try:
            yield session, relay
        finally:
            session.close()
            relay.flowing.set()


def test_a_guest_that_falls_silent_is_noticed_long_before_the_commands_own_limit(
    server: Server, tmp_path: Path
) -> None:
    with frozen_soon(server, tmp_path, 0.5, 1) as (session, relay):
        threading.Timer(0.3, relay.flowing.clear).start()
        with pytest.raises(GuestConnectionError, match=r"while `sleep 60`: the guest has been silent for \d s"):
            session.run("sleep 60", timeout=timedelta(minutes=10))


def test_a_quiet_command_in_a_living_guest_is_left_alone(server: Server, tmp_path: Path) -> None:
    with frozen_soon(server, tmp_path, 0.3, 0.6) as (session, _):
        assert session.run("sleep 2; echo done", timeout=SOON).text == "done"


def test_a_short_limit_holds_even_when_the_guest_does_not_answer_at_all(server: Server, tmp_path: Path) -> None:
    with frozen_soon(server, tmp_path, 60, 60) as (session, relay):
        relay.flowing.clear()
        began = time.monotonic()
        with pytest.raises(CommandTimeoutError):
            session.run("true", timeout=timedelta(seconds=1))
        assert time.monotonic() - began < 3


def test_closing_a_session_ends_what_another_thread_waits_for(server: Server, tmp_path: Path) -> None:
    ended: list[str] = []

    def wait_long(session: Session) -> None:
        try:
            session.run("sleep 60", timeout=timedelta(minutes=1))
        except GuestConnectionError as error:
            ended.append(error.message)

    with dialled(server.address, server, 20, tmp_path) as session:
        thread = threading.Thread(target=wait_long, args=(session,))
        thread.start()
        assert until(lambda: session.run("true", timeout=SOON).ok, Deadline(SOON))
        session.close()
        thread.join(5)
    assert len(ended) == 1
