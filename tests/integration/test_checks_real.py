"""Checks against this very machine, through a real SSH server on its loopback."""

import getpass
import grp
import http.server
import os
import pwd
import re
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from sshd import MISSING, SSHD, sshd

from kvm_action.checks import run_checks
from kvm_action.checks.batch import batch_answers, batch_script
from kvm_action.guest import GuestOutput
from kvm_action.plan.checks import (
    Check,
    CommandCheck,
    DesktopCheck,
    FileCheck,
    FileType,
    HttpCheck,
    IdeCheck,
    PackageCheck,
    PortCheck,
    TestinfraCheck,
    UserCheck,
)
from kvm_action.results import CheckOutcome, CheckResult
from kvm_action.ssh import Session, connect
from kvm_action.wait import Deadline, until

pytestmark = [pytest.mark.integration, pytest.mark.skipif(SSHD is None, reason=MISSING)]


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    folder = tmp_path_factory.mktemp("sshd")
    with (
        sshd(folder) as server,
        connect(
            server.address,
            user=server.user,
            private_key=server.user_key.private,
            host_key=server.host_key.public,
            deadline=Deadline(timedelta(seconds=20)),
            access_folder=folder / "access",
        ) as session,
    ):
        yield session


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status = int(self.path.removeprefix("/"))
        self.send_response(status)
        self.send_header("Location", "/200")
        self.end_headers()
        self.wfile.write(b"a page" * 500_000)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def examine(guest: Session, *checks: Check, folder: Path = Path()) -> list[CheckResult]:
    return list(run_checks(guest, checks, folder=folder, on_result=lambda _result: None))


def outcome(guest: Session, check: Check) -> CheckOutcome:
    (result,) = examine(guest, check)
    assert result.outcome is not CheckOutcome.ERROR, result.message
    return result.outcome


def test_users_of_this_machine_are_seen_as_they_are(guest: Session) -> None:
    me = pwd.getpwnam(getpass.getuser())
    group = grp.getgrgid(me.pw_gid).gr_name
    good = UserCheck(name=me.pw_name, shell=me.pw_shell, home=me.pw_dir, groups=(group,))
    assert outcome(guest, good) is CheckOutcome.PASSED
    assert outcome(guest, UserCheck(name=me.pw_name, shell="/bin/nosuch")) is CheckOutcome.FAILED
    assert outcome(guest, UserCheck(name="nosuch-user")) is CheckOutcome.FAILED


def test_packages_of_this_machine_are_seen_as_they_are(guest: Session) -> None:
    assert outcome(guest, PackageCheck(name="coreutils")) is CheckOutcome.PASSED
    assert outcome(guest, PackageCheck(name="no-such-package")) is CheckOutcome.FAILED
    assert outcome(guest, PackageCheck(name="coreutils", version="0")) is CheckOutcome.FAILED


def test_ports_of_this_machine_are_seen_as_they_are(guest: Session, port: int) -> None:
    assert outcome(guest, PortCheck(port=port)) is CheckOutcome.PASSED
    assert outcome(guest, PortCheck(port=port, address="127.0.0.1")) is CheckOutcome.PASSED
    assert outcome(guest, PortCheck(port=port, address="::1")) is CheckOutcome.FAILED
    assert outcome(guest, PortCheck(port=1)) is CheckOutcome.FAILED


def test_an_ide_of_this_machine_is_seen_as_its_users_login_sees_it(guest: Session) -> None:
    """Chromium is no IDE, but it has all that one has: a command, a version, an entry in the menus."""
    me = getpass.getuser()
    (result,) = examine(guest, IdeCheck(command="chromium", user=me, version="Chromium"))
    assert result.outcome is CheckOutcome.PASSED, result.message
    assert re.search(r"/chromium, Chromium [\d.]+.*, .*/applications/chromium.desktop$", result.actual)
    (result,) = examine(guest, IdeCheck(command="no-such-ide", user=me))
    assert result.message.startswith(f"{me} does not find no-such-ide: it is not in their PATH (/")
    (result,) = examine(guest, IdeCheck(command="ls"))
    assert "no menu of the desktop has it" in result.message
    (result,) = examine(guest, IdeCheck(command="false"))
    assert "`false --version` prints nothing" in result.message or "status 1" in result.message


def test_a_user_who_may_not_log_in_has_no_ide(guest: Session) -> None:
    if os.geteuid():
        pytest.skip("only root may try to log in as somebody else")
    (result,) = examine(guest, IdeCheck(command="chromium", user="nobody"))
    assert result.outcome is CheckOutcome.FAILED
    assert "user nobody cannot log in" in result.message
    (result,) = examine(guest, IdeCheck(command="chromium", user="no-such-user"))
    assert result.message == "user no-such-user is not there"


def test_a_desktop_that_this_machine_does_not_have_is_told_with_those_it_has(guest: Session) -> None:
    (result,) = examine(guest, DesktopCheck(session="no-such-desktop"))
    assert result.outcome is CheckOutcome.FAILED
    assert "there is no session no-such-desktop.desktop in /usr/share/xsessions; there is " in result.message


def test_files_of_this_machine_are_seen_as_they_are(guest: Session, tmp_path: Path) -> None:
    path = tmp_path / "a 'file'"
    path.write_text("line\nport=3389 [x]\n")
    path.chmod(0o640)
    (tmp_path / "link").symlink_to("missing")
    good = FileCheck(
        path=str(path), type=FileType.FILE, mode=0o640, owner=getpass.getuser(), contains="port=3389 [x]"
    )
    assert outcome(guest, good) is CheckOutcome.PASSED
    assert outcome(guest, FileCheck(path=str(path), contains="line\nport")) is CheckOutcome.PASSED
    assert outcome(guest, FileCheck(path=str(path), mode=0o600)) is CheckOutcome.FAILED
    assert outcome(guest, FileCheck(path=str(path), type=FileType.DIRECTORY)) is CheckOutcome.FAILED
    assert outcome(guest, FileCheck(path=f"{tmp_path}/link", type=FileType.LINK)) is CheckOutcome.PASSED
    assert outcome(guest, FileCheck(path=f"{tmp_path}/link", exists=False)) is CheckOutcome.FAILED
    assert outcome(guest, FileCheck(path=f"{tmp_path}/none", exists=False)) is CheckOutcome.PASSED


class Counting:
    """A guest, and what it was asked."""

    def __init__(self, guest: Session) -> None:
        self.guest = guest
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self.guest, name)

    def run(self, command: str, **other: Any) -> GuestOutput:
        self.asked.append(command)
        return self.guest.run(command, **other)


def test_all_that_testinfra_asks_of_a_healthy_debian_is_foreseen_and_takes_one_round_trip(
    guest: Session, port: int
) -> None:
    """When a new testinfra asks otherwise, nothing breaks but the speed: mend `rehearsal`."""
    me = pwd.getpwnam(getpass.getuser())
    checks: list[Check] = [
        UserCheck(name=me.pw_name, shell=me.pw_shell, groups=(grp.getgrgid(me.pw_gid).gr_name,)),
        PackageCheck(name="coreutils"),
        PortCheck(port=port),
        FileCheck(path="/etc/passwd", type=FileType.FILE, mode=0o644, owner="root", contains="root:"),
    ]
    counting = Counting(guest)
    results = run_checks(cast(Session, counting), checks, folder=Path(), on_result=lambda _result: None)
    assert {result.outcome for result in results} == {CheckOutcome.PASSED}
    assert len(counting.asked) == 1


def test_commands_and_their_limits(guest: Session) -> None:
    assert outcome(guest, CommandCheck(run="echo hello", stdout="hello")) is CheckOutcome.PASSED
    assert outcome(guest, CommandCheck(run="exit 3", exit=3)) is CheckOutcome.PASSED
    hangs = CommandCheck(run="sleep 60", timeout=timedelta(seconds=1))
    assert outcome(guest, hangs) is CheckOutcome.FAILED


def test_web_servers_are_asked_without_following_where_they_send(guest: Session, port: int) -> None:
    url = f"http://127.0.0.1:{port}"
    assert outcome(guest, HttpCheck(url=f"{url}/200", contains="a page")) is CheckOutcome.PASSED
    assert outcome(guest, HttpCheck(url=f"{url}/404", status=404)) is CheckOutcome.PASSED
    assert outcome(guest, HttpCheck(url=f"{url}/302", status=302)) is CheckOutcome.PASSED
    assert outcome(guest, HttpCheck(url=f"{url}/500")) is CheckOutcome.FAILED
    (result,) = examine(guest, HttpCheck(url="http://127.0.0.1:1/"))
    assert result.outcome is CheckOutcome.FAILED
    assert "no answer" in result.actual


def test_a_guest_without_curl_is_asked_by_its_python(guest: Session, port: int) -> None:
    from kvm_action.checks.commands import http_command

    command = http_command(f"http://127.0.0.1:{port}/404", 5).replace("curl", "no-such-curl")
    ended = guest.run(command, timeout=timedelta(seconds=20))
    assert (ended.stdout[:6], ended.stderr) == (b"a page", b"kvm-e2e-status 404\n")


def test_a_testinfra_file_of_the_users_own_runs_over_ssh_and_leaves_no_connection(
    guest: Session, tmp_path: Path
) -> None:
    (tmp_path / "test_vps.py").write_text(
        "def test_me(host):\n"
        "    assert host.backend.get_connection_type() == 'ssh'\n"
        f"    assert host.user().name == {getpass.getuser()!r}\n"
        "def test_pid(host):\n"
        "    assert host.file('/proc/1').is_directory\n"
        "def test_wrong(host):\n"
        "    assert host.file('/nosuch').exists, 'there is no such file'\n"
    )
    others = shared_connections()  # of whatever else runs on this host
    results = examine(guest, TestinfraCheck(path=Path("test_vps.py")), folder=tmp_path)
    assert [(result.name.rpartition("::")[2], result.outcome) for result in results] == [
        ("test_me", CheckOutcome.PASSED),
        ("test_pid", CheckOutcome.PASSED),
        ("test_wrong", CheckOutcome.FAILED),
    ]
    assert until(lambda: shared_connections() <= others, Deadline(timedelta(seconds=5)))


def shared_connections() -> set[str]:
    """OpenSSH's master processes, as they call themselves, that belong to this tool."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.add(path.read_bytes().decode(errors="replace"))
    return {title for title in found if "[mux]" in title and "kvm-e2e-" in title}


def ask_batch(guest: Session, commands: list[str]) -> dict[int, GuestOutput]:
    script = batch_script("MARK", commands)
    ended = guest.run("sh", stdin=script.encode(), timeout=timedelta(seconds=60), keep_bytes=32 << 20)
    return dict(batch_answers("MARK", commands, ended))


def test_a_real_shell_answers_a_batch_with_status_binary_output_and_errors_apart(guest: Session) -> None:
    commands = [
        "printf '\\000\\377'; echo oops >&2; exit 7",
        "cat",
        "echo 'it'\"'\"'s'",
        "(",
        "echo $m; m=other",
        "true",
    ]
    answers = ask_batch(guest, commands)
    assert sorted(answers) == list(range(6))
    assert [(answers[n].status, answers[n].stdout, answers[n].stderr) for n in range(3)] == [
        (7, b"\x00\xff", b"oops\n"),
        (0, b"", b""),
        (0, b"it's\n", b""),
    ]
    assert answers[3].status != 0  # no shell can read it, and those behind it are answered all the same
    assert answers[5].ok


def test_questions_of_a_batch_are_answered_side_by_side(guest: Session) -> None:
    began = time.monotonic()
    assert len(ask_batch(guest, ["sleep 1"] * 4)) == 4
    assert time.monotonic() - began < 3


def test_a_question_that_hangs_leaves_the_others_their_answers_and_no_process_behind(guest: Session) -> None:
    began = time.monotonic()
    answers = ask_batch(guest, ["true", "sleep 4242", *["true"] * 6])
    assert sorted(answers) == [0, 2, 3, 4, 6, 7]  # 1 hangs, 5 is behind it
    assert time.monotonic() - began < 30
    assert b"sleep 4242" not in guest.run("ps -eo args", timeout=timedelta(seconds=10)).stdout


def test_a_question_that_prints_without_end_takes_neither_memory_nor_the_others_answers(guest: Session) -> None:
    answers = ask_batch(guest, ["true", "yes", "true", "true"])
    assert {0, 2, 3} <= answers.keys()
    assert 1 not in answers


def test_a_batch_leaves_no_file_in_the_guest(guest: Session) -> None:
    ask_batch(guest, ["true"])
    assert not guest.run("ls -d /dev/shm/kvm-e2e.??????", timeout=timedelta(seconds=10)).ok
