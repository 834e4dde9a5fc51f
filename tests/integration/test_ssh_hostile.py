"""A guest is not trusted: what its SSH server may do to the host that connects to it."""

import io
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import paramiko
import pytest
from sshd import MISSING, SSHD, sshd

from kvm_action.errors import GuestConnectionError
from kvm_action.ssh import Address, generate_key
from kvm_action.ssh.connection import connect
from kvm_action.wait import Deadline

pytestmark = [pytest.mark.integration, pytest.mark.skipif(SSHD is None, reason=MISSING)]

USER, HOST = generate_key(), generate_key()
MIB = 1 << 20
GREETING = b"SSH-2.0-OpenSSH_9.2\r\n"


def dialled(address: Address, folder: Path, seconds: float = 3, **other: Any) -> Any:
    arguments = {
        "user": "x",
        "private_key": USER.private,
        "host_key": HOST.public,
        "deadline": Deadline(timedelta(seconds=seconds)),
        "access_folder": folder / "access",
    }
    return connect(address, **{**arguments, **other})


class Sender:
    """A server that sends pieces without end, and counts what was taken."""

    def __init__(self, first: bytes, piece: bytes) -> None:
        self.first, self.piece, self.sent = first, piece, 0

    def __call__(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.sendall(self.first)
            while True:
                self.sent += connection.send(self.piece)


@contextmanager
def listening(answer: Callable[[socket.socket], None]) -> Iterator[Address]:
    """A server that gives each connection to ``answer``, in a thread."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    threading.Thread(target=answer, args=(connection,), daemon=True).start()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield Address("127.0.0.1", listener.getsockname()[1])
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.mark.parametrize(
    ("first", "piece"),
    [
        (b"", b"x" * MIB),
        (b"", b"hello\r\n" * 10_000),
        (GREETING, b"\x7f\xff\xff\xfc" + b"\0" * MIB),
        (GREETING, b"\x00\x0f\xff\xfc" + b"\0" * MIB),
    ],
    ids=["a line without end", "lines without end", "a packet of 2 GiB", "packets without end"],
)
def test_a_stranger_that_talks_without_end_is_cut_off_after_a_few_kibibytes(
    tmp_path: Path, first: bytes, piece: bytes
) -> None:
    sender = Sender(first, piece)
    with (
        listening(sender) as address,
        pytest.raises(GuestConnectionError, match="not as a working SSH server"),
        dialled(address, tmp_path),
    ):
        pass
    assert sender.sent < 200 * MIB, "socket buffers of a few attempts, not gigabytes"


@pytest.mark.parametrize("seed", range(12))
def test_no_bytes_of_a_server_are_more_than_a_connection_that_did_not_work(tmp_path: Path, seed: int) -> None:
    noise = random.Random(seed)
    length = noise.choice([b"", b"\0\0\0\x0c", b"\0\0\1\x0c\x04", b"\0\0\0\x1c\x06\x14"])  # 0x14: MSG_KEXINIT

    def answer(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.sendall(GREETING + length + noise.randbytes(2000))
            connection.recv(1 << 16)
            time.sleep(0.1)

    with (
        listening(answer) as address,
        pytest.raises(GuestConnectionError, match="no SSH session with the guest within"),
        dialled(address, tmp_path, seconds=1),
    ):
        pass


def test_a_banner_of_any_bytes_before_the_login_does_no_harm(tmp_path: Path) -> None:
    banner = tmp_path / "banner"
    banner.write_bytes(bytes(range(1, 256)) * 40 + b"\x1b]0;owned\x07\n::error::x\n")
    with (
        sshd(tmp_path, [f"Banner {banner}"]) as server,
        dialled(
            server.address, tmp_path, 20,
            user=server.user, private_key=server.user_key.private, host_key=server.host_key.public,
        ) as guest,
    ):  # fmt: skip
        assert guest.run("echo in", timeout=timedelta(seconds=10)).text == "in"


class Anybody(paramiko.ServerInterface):
    """Lets everybody in and takes every command."""

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return paramiko.AUTH_SUCCESSFUL

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        return True


@contextmanager
def server_that(acts: Callable[[paramiko.Channel], None]) -> Iterator[Address]:
    """A real SSH server with our host key that does to each channel what it likes."""
    key = paramiko.Ed25519Key(file_obj=io.StringIO(HOST.private))
    transports = []

    def answer(connection: socket.socket) -> None:
        transport = paramiko.Transport(connection)
        transports.append(transport)
        transport.add_server_key(key)
        with suppress(Exception):
            transport.start_server(server=Anybody())
            while transport.is_active():
                if channel := transport.accept(1):
                    acts(channel)

    with listening(answer) as address:
        try:
            yield address
        finally:
            for transport in transports:
                transport.close()


def test_a_server_that_ignores_its_window_is_cut_off_before_it_fills_the_memory(tmp_path: Path) -> None:
    sent = [0]

    def flood(channel: paramiko.Channel) -> None:
        channel.out_window_size = 1 << 40
        with suppress(OSError):
            while True:
                sent[0] += channel.send(b"x" * 32_000)

    with server_that(flood) as address, dialled(address, tmp_path, 20) as guest:
        busy = threading.Event()
        with pytest.raises(GuestConnectionError, match="it sends more than it may"):
            guest.run("x", timeout=timedelta(seconds=60), on_output=lambda _stream, _data: busy.wait(2) and None)
    assert sent[0] < 64 * MIB


def test_an_honest_server_with_a_slow_reader_keeps_its_window(tmp_path: Path) -> None:
    taken = [0]

    def slowly(_stream: object, data: bytes) -> None:
        threading.Event().wait(0.2)
        taken[0] += len(data)

    with (
        sshd(tmp_path) as server,
        dialled(
            server.address, tmp_path, 20,
            user=server.user, private_key=server.user_key.private, host_key=server.host_key.public,
        ) as guest,
    ):  # fmt: skip
        command = "head -c 30000000 /dev/zero; head -c 30000000 /dev/zero >&2"
        assert guest.run(command, timeout=timedelta(seconds=60), on_output=slowly).ok
    assert taken[0] == 60_000_000


def test_a_server_that_never_lets_a_command_begin_holds_nobody_beyond_the_limit(tmp_path: Path) -> None:
    with server_that(lambda _channel: None) as address, dialled(address, tmp_path, 20) as guest:
        began = time.monotonic()
        with pytest.raises(Exception, match="took longer than 1s"):
            guest.run("x", timeout=timedelta(seconds=1))
        assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    ("script", "note"),
    [
        ("exec cat /dev/zero", ""),
        ("exec yes", "damaged"),
        ("exec head -c 100000000 /dev/urandom", "damaged"),
    ],
)
def test_artifacts_of_a_guest_that_streams_nonsense_end_early_and_take_no_room(
    tmp_path: Path, script: str, note: str
) -> None:
    with (
        sshd(tmp_path, [f"ForceCommand {script}"]) as server,
        dialled(
            server.address, tmp_path, 20,
            user=server.user, private_key=server.user_key.private, host_key=server.host_key.public,
        ) as guest,
    ):  # fmt: skip
        began = time.monotonic()
        into = tmp_path / "into"
        got = guest.get(f"{tmp_path}/log", into, limit_bytes=MIB, timeout=timedelta(seconds=30))
        assert time.monotonic() - began < 25
    assert not got.paths
    assert note in "".join(got.notes)
    assert sum(path.stat().st_size for path in into.rglob("*") if path.is_file()) <= MIB
