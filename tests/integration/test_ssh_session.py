"""Commands and files through a session with a real OpenSSH server."""

import hashlib
import os
import re
import resource
import shlex
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from sshd import MISSING, SSHD, Server, sshd

from kvm_action.errors import (
    CommandTimeoutError,
    GuestConnectionError,
    NoWayToPortError,
    PlanError,
    PortClosedError,
)
from kvm_action.events import Stream
from kvm_action.guest import Tree
from kvm_action.ssh import Session, command, connect
from kvm_action.wait import Deadline, until

pytestmark = [pytest.mark.integration, pytest.mark.skipif(SSHD is None, reason=MISSING)]
SOON = timedelta(seconds=20)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with sshd(tmp_path_factory.mktemp("sshd")) as running:
        yield running


@pytest.fixture
def guest(server: Server, tmp_path: Path) -> Iterator[Session]:
    with session(server, tmp_path) as connected:
        yield connected


def session(server: Server, folder: Path):
    return connect(
        server.address,
        user=server.user,
        private_key=server.user_key.private,
        host_key=server.host_key.public,
        deadline=Deadline(SOON),
        access_folder=folder / "access",
    )


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False


# --- commands


def test_status_and_both_streams_come_back_apart(guest: Session) -> None:
    ended = guest.run("echo out; echo err >&2; exit 3", timeout=SOON)
    assert (ended.status, ended.stdout, ended.stderr, ended.signal) == (3, b"out\n", b"err\n", "")
    assert not ended.ok


def test_a_command_that_a_signal_ended_is_not_taken_for_one_that_exited(guest: Session) -> None:
    ended = guest.run("kill -SEGV $$", timeout=SOON)
    assert (ended.status, ended.signal) == (139, "SEGV")
    ended = guest.run("exit 139", timeout=SOON)
    assert (ended.status, ended.signal) == (139, "")


def test_every_letter_of_a_command_survives_the_quoting(guest: Session) -> None:
    ended = guest.run("""printf '%s|' "a  b" '$HOME' `echo c` \\\\ "\n" '"'""", timeout=SOON)
    assert ended.stdout == b'a  b|$HOME|c|\\|\n|"|'


def test_input_reaches_the_command_and_its_end_is_seen(guest: Session) -> None:
    data = os.urandom(5 << 20)
    ended = guest.run("sha256sum", stdin=data, timeout=SOON)
    assert ended.text.split()[0] == hashlib.sha256(data).hexdigest()


def test_without_input_a_command_that_reads_does_not_hang(guest: Session) -> None:
    assert guest.run("cat; echo done", timeout=SOON).stdout == b"done\n"


def test_a_command_that_ignores_its_input_does_not_hang_the_sender(guest: Session) -> None:
    assert guest.run("exit 4", stdin=bytes(20 << 20), timeout=SOON).status == 4


def test_large_output_on_both_streams_and_large_input_at_once_do_not_block_each_other(guest: Session) -> None:
    size = 9 << 20
    ended = guest.run(
        f"head -c {size} /dev/zero >&2 & cat; wait", stdin=bytes(size), timeout=SOON, keep_bytes=size
    )
    assert (len(ended.stdout), len(ended.stderr)) == (size, size)


def test_binary_output_is_not_changed(guest: Session) -> None:
    every = bytes(range(256))
    assert guest.run("cat", stdin=every * 100, timeout=SOON).stdout == every * 100


def test_output_streams_while_the_command_runs(guest: Session) -> None:
    seen: list[tuple[Stream, bytes, float]] = []
    guest.run(
        "echo one; sleep 0.6; echo two >&2",
        timeout=SOON,
        on_output=lambda stream, data: seen.append((stream, data, time.monotonic())),
    )
    assert [(stream, data) for stream, data, _ in seen] == [(Stream.STDOUT, b"one\n"), (Stream.STDERR, b"two\n")]
    assert seen[1][2] - seen[0][2] > 0.4


def test_200_megabytes_of_output_pass_through_without_filling_memory(guest: Session) -> None:
    passed = 0

    def count(_stream: Stream, data: bytes) -> None:
        nonlocal passed
        passed += len(data)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ended = guest.run("head -c 200000000 /dev/zero", timeout=timedelta(minutes=2), on_output=count, keep_bytes=100)
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert passed == 200_000_000
    assert (len(ended.stdout), ended.truncated) == (100, True)
    assert grown_kib < 60 << 10


def test_a_command_over_its_time_is_killed_with_all_its_children(guest: Session, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = f"set -m; echo begun; sleep 60 & echo $! > {pids}; (trap '' TERM; sleep 61) & echo $! >> {pids}; wait"
    began = time.monotonic()
    with pytest.raises(CommandTimeoutError, match=r"took longer than 1s; the last it said was: begun"):
        guest.run(f"bash -c {shlex.quote(script)}", timeout=timedelta(seconds=1))
    assert time.monotonic() - began < 5
    children = [int(pid) for pid in pids.read_text().split()]
    assert len(children) == 2
    assert until(lambda: not any(map(alive, children)), Deadline(timedelta(seconds=5)))


def test_after_a_time_out_the_session_is_still_good(guest: Session) -> None:
    with pytest.raises(CommandTimeoutError, match="said nothing"):
        guest.run("sleep 60", timeout=timedelta(seconds=0.3))
    assert guest.run("echo fine", timeout=SOON).text == "fine"


def test_escapes_in_the_last_words_cannot_reach_a_terminal(guest: Session) -> None:
    with pytest.raises(CommandTimeoutError) as error:
        guest.run("printf '\\033[31mred\\007'; sleep 60", timeout=timedelta(seconds=0.5))
    assert error.value.message.isprintable()


def test_a_daemon_that_keeps_the_output_open_does_not_hang_the_run(guest: Session, tmp_path: Path) -> None:
    began = time.monotonic()
    ended = guest.run(f"setsid sleep 60 & echo $! > {tmp_path}/pid; echo started", timeout=SOON)
    assert ended.text == "started"
    assert time.monotonic() - began < 6
    pid = int((tmp_path / "pid").read_text())
    assert alive(pid)
    os.kill(pid, 9)


def test_a_daemon_that_goes_on_talking_does_not_hang_the_run_either(
    guest: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "LEFT_BEHIND", 1.0)
    ended = guest.run("(while :; do echo tick; sleep 0.1; done) & echo $! >&2", timeout=SOON)
    assert ended.status == 0
    assert b"tick" in ended.stdout
    os.kill(int(ended.stderr), signal.SIGKILL)


def test_several_threads_share_one_session(guest: Session) -> None:
    answers: dict[int, str] = {}

    def ask(number: int) -> None:
        answers[number] = guest.run(f"sleep 0.2; echo {number}", timeout=SOON).text

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {number: str(number) for number in range(6)}


def test_a_connection_cut_in_the_middle_is_told_from_a_command_that_failed(server: Server, tmp_path: Path) -> None:
    with session(server, tmp_path) as guest:
        with pytest.raises(GuestConnectionError, match="lost the connection to the guest while `kill"):
            guest.run("kill -9 $PPID; sleep 5", timeout=SOON)
        assert not guest.is_alive
        with pytest.raises(GuestConnectionError):
            guest.run("true", timeout=SOON)
        guest.reconnect(Deadline(SOON))
        assert guest.run("echo back", timeout=SOON).text == "back"


def test_a_copy_from_a_guest_that_stands_still_ends_soon_after_its_time(server: Server, tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.truncate(2 << 30)
    with session(server, tmp_path) as guest:
        standing: list[psutil.Process] = []

        def stand_still() -> None:
            until(lambda: list((tmp_path / "out").rglob("large")), Deadline(SOON))
            standing.extend(psutil.Process(server.process.pid).children(recursive=True))
            for process in standing:
                process.suspend()

        threading.Thread(target=stand_still).start()
        began, allowed = time.monotonic(), timedelta(seconds=2)
        try:
            with pytest.raises(CommandTimeoutError):
                guest.get(str(tmp_path / "large"), tmp_path / "out", limit_bytes=4 << 30, timeout=allowed)
            assert standing
            assert time.monotonic() - began < 7  # the end of the command gets as long as the copy had
        finally:
            for process in standing:
                process.resume()


# --- files in


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "bin").mkdir(parents=True)
    (root / ".git").mkdir()
    (root / ".git/config").write_text("x")
    (root / "bin/install.sh").write_text("#!/bin/sh\n")
    (root / "bin/install.sh").chmod(0o755)
    (root / "secret").write_text("s")
    (root / "secret").chmod(0o600)
    (root / "link").symlink_to("bin/install.sh")
    (root / "nowhere").symlink_to("/does/not/exist")
    (root / "näme with\nnewline").write_text("n")
    os.utime(root / "secret", (1_000_000_000, 1_000_000_000))
    return root


def test_a_tree_arrives_with_modes_links_times_and_without_what_was_excluded(
    guest: Session, tree: Path, tmp_path: Path
) -> None:
    to = tmp_path / "new folder/vps"
    sent = guest.put(Tree(tree, str(to), (".git",)), SOON)
    assert sent > 0
    assert sorted(path.name for path in to.iterdir()) == ["bin", "link", "nowhere", "näme with\nnewline", "secret"]
    assert (to / "bin/install.sh").stat().st_mode & 0o777 == 0o755
    assert (to / "secret").stat().st_mode & 0o777 == 0o600
    assert (to / "secret").stat().st_mtime == 1_000_000_000
    assert (to / "link").readlink() == Path("bin/install.sh")
    assert (to / "nowhere").readlink() == Path("/does/not/exist")


def test_copying_twice_replaces_files_and_keeps_what_else_is_there(
    guest: Session, tree: Path, tmp_path: Path
) -> None:
    to = tmp_path / "to"
    guest.put(Tree(tree, str(to)), SOON)
    (to / "other").write_text("mine")
    (tree / "secret").write_text("new")
    guest.put(Tree(tree, str(to)), SOON)
    assert (to / "secret").read_text() == "new"
    assert (to / "other").read_text() == "mine"


def test_a_folder_that_exists_keeps_its_mode(guest: Session, tree: Path, tmp_path: Path) -> None:
    to = tmp_path / "to"
    (to / "bin").mkdir(parents=True)
    (to / "bin").chmod(0o701)
    guest.put(Tree(tree, str(to)), SOON)
    assert (to / "bin").stat().st_mode & 0o777 == 0o701


def test_a_file_becomes_its_target_whatever_letters_it_has(guest: Session, tree: Path, tmp_path: Path) -> None:
    to = tmp_path / "deep/new & odd|name\\.sh"
    guest.put(Tree(tree / "bin/install.sh", str(to)), SOON)
    assert to.read_text() == "#!/bin/sh\n"
    guest.put(Tree(tree / "bin/install.sh", f"{tmp_path}/deep/"), SOON)
    assert (tmp_path / "deep/install.sh").stat().st_mode & 0o111


def test_a_link_to_a_file_keeps_its_own_name(guest: Session, tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts/install-v2.sh").write_text("x")
    (tmp_path / "install.sh").symlink_to("scripts/install-v2.sh")
    guest.put(Tree(tmp_path / "install.sh", f"{tmp_path}/there/"), SOON)
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["install.sh"]
    assert not (tmp_path / "there/install.sh").is_symlink()


def test_a_file_onto_a_folder_is_refused_with_what_to_write_instead(
    guest: Session, tree: Path, tmp_path: Path
) -> None:
    (tmp_path / "dir").mkdir()
    with pytest.raises(PlanError, match=re.escape(f"{tmp_path}/dir is a folder there; write {tmp_path}/dir/")):
        guest.put(Tree(tree / "secret", f"{tmp_path}/dir"), SOON)


def test_a_target_that_cannot_be_made_is_reported_in_the_guests_words(
    guest: Session, tree: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PlanError, match="Not a directory"):
        guest.put(Tree(tree, f"{tmp_path}/file/below"), SOON)


def test_an_empty_folder_is_made(guest: Session, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    guest.put(Tree(tmp_path / "empty", f"{tmp_path}/to"), SOON)
    assert (tmp_path / "to").is_dir()


def test_a_missing_source_is_an_error_of_the_plan_and_asks_the_guest_nothing(
    guest: Session, tmp_path: Path
) -> None:
    with pytest.raises(PlanError, match="No such file"):
        guest.put(Tree(tmp_path / "missing", f"{tmp_path}/to"), SOON)
    assert not (tmp_path / "to").exists()


def test_more_than_the_rekey_limit_can_be_copied(guest: Session, tmp_path: Path) -> None:
    with (tmp_path / "big").open("wb") as big:
        big.truncate(600 << 20)
    try:
        sent = guest.put(Tree(tmp_path / "big", f"{tmp_path}/to/"), timedelta(minutes=2))
        assert sent > 600 << 20
        assert (tmp_path / "to/big").stat().st_size == 600 << 20
    finally:
        (tmp_path / "to/big").unlink(missing_ok=True)


# --- files out


def test_artifacts_come_back_below_their_whole_path(guest: Session, tree: Path, tmp_path: Path) -> None:
    into = tmp_path / "into"
    received = guest.get(f"{tree}/**", into, limit_bytes=1 << 20, timeout=SOON)
    at = into / str(tree).lstrip("/")
    assert (at / "bin/install.sh").read_text() == "#!/bin/sh\n"
    assert (at / "link").readlink() == Path("bin/install.sh")
    assert set(received) == {at / ".git/config", at / "bin/install.sh", at / "link", at / "secret"}
    assert len(received.notes) == 2
    assert "name is not safe" in received.notes[0]
    assert "a link to something that was not copied" in received.notes[1]


def test_what_a_link_leads_to_comes_back_when_the_pattern_begins_there(guest: Session, tmp_path: Path) -> None:
    (tmp_path / "releases/1").mkdir(parents=True)
    (tmp_path / "releases/1/log").write_text("x")
    (tmp_path / "current").symlink_to("releases/1")
    received = guest.get(f"{tmp_path}/current/**", tmp_path / "into", limit_bytes=1 << 20, timeout=SOON)
    assert [path.name for path in received.paths] == ["log"]


def test_a_pattern_that_matches_nothing_is_an_empty_copy(guest: Session, tmp_path: Path) -> None:
    for pattern in (f"{tmp_path}/missing/**", f"{tmp_path}/*.none"):
        assert len(guest.get(pattern, tmp_path / "into", limit_bytes=100, timeout=SOON)) == 0


def test_the_limit_cuts_the_largest_files_and_keeps_the_small_ones(guest: Session, tmp_path: Path) -> None:
    source = tmp_path / "logs"
    source.mkdir()
    (source / "a-core").write_bytes(bytes(50 << 20))
    (source / "b.log").write_text("small")
    received = guest.get(f"{source}/*", tmp_path / "into", limit_bytes=1 << 20, timeout=SOON)
    assert [path.name for path in received] == ["b.log"]
    assert "a-core (50.0 MiB)" in received.notes[0]
    assert guest.run("echo fine", timeout=SOON).text == "fine"


# --- other doors


def test_openssh_itself_gets_in_with_the_files_and_verifies_the_host_key(guest: Session, tmp_path: Path) -> None:
    access = guest.ssh_access()
    command = ["ssh", "-F", str(access.config), access.host, "echo", "in"]
    assert subprocess.run(command, check=False, capture_output=True, timeout=20).stdout == b"in\n"
    known_hosts = tmp_path / "access/known_hosts"
    other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPmVo0jVXM1qhRLlzkFF6DlXxtl3VgzTBUC5JrAbGJmB"
    known_hosts.write_text(f"guest {other}\n")
    refused = subprocess.run(command, check=False, capture_output=True, timeout=20)
    assert refused.returncode == 255
    assert b"HOST IDENTIFICATION HAS CHANGED" in refused.stderr


def test_a_port_of_the_guests_loopback_can_be_dialled(guest: Session) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        channel = guest.open_port(listener.getsockname()[1], SOON)
        inner, _ = listener.accept()
        channel.sendall(b"ping")
        assert inner.recv(4) == b"ping"
        inner.close()
        channel.close()


def test_a_port_where_nothing_listens_is_told_from_a_broken_session(guest: Session) -> None:
    with pytest.raises(PortClosedError, match=r"the guest cannot connect to 127\.0\.0\.1:1"):
        guest.open_port(1, SOON)
    assert guest.is_alive


def test_a_guest_whose_ssh_server_forbids_forwarding_is_told_so(tmp_path: Path) -> None:
    with (
        sshd(tmp_path, extra=["AllowTcpForwarding no"]) as server,
        session(server, tmp_path) as guest,
        pytest.raises(NoWayToPortError) as raised,
    ):
        guest.open_port(server.address.port, SOON)
    assert "AllowTcpForwarding" in raised.value.hint
