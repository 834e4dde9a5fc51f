"""The queue of a host with real processes: order, crashes, other users, and what lies about in its folder."""

import os
import pwd
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kvm_action.admission import Host, Need, admitted
from kvm_action.admission.tickets import living, shared_folder
from kvm_action.errors import HostError

pytestmark = pytest.mark.integration

REPOSITORY = Path(__file__).parents[2]
GIB = 1 << 30
# Room for two of the processes below.
HOST = Host(memory=5 * GIB, memory_free=100 * GIB, cpus=40, disk_free=100 * GIB)
NEED = Need(memory=2 * GIB, cpus=1, disk=0)
PROCESS = """
import sys
from pathlib import Path
from kvm_action.admission import Host, Need, admitted
folder, name = Path(sys.argv[1]), sys.argv[2]
def say(line): print(line, flush=True)
host = Host(memory=5 << 30, memory_free=100 << 30, cpus=40, disk_free=100 << 30)
with admitted(folder, name, Need(memory=2 << 30, cpus=1, disk=0), measure=lambda: host, tell=say) as admission:
    say(f"in after {admission.queued_seconds}")
    sys.stdin.read()
say("out")
"""


class Runs:
    """Processes that want to be admitted, by name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, name: str, user: int | None = None) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(self.folder), name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, user=user, cwd="/",
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(REPOSITORY), *sys.path])},
        )  # fmt: skip
        self.processes.append(process)
        return process


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def wait_until_in(process: subprocess.Popen[str]) -> None:
    while not (said := line(process)).startswith("in after"):
        assert said.startswith("waiting")


def leave(process: subprocess.Popen[str]) -> None:
    process.communicate("", timeout=20)


@pytest.fixture
def runs() -> Iterator[Runs]:
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to other users
        Path(name).chmod(0o711)
        runs = Runs(shared_folder(Path(name) / "own", [Path(name) / "queue"]))
        yield runs
        for process in runs.processes:
            process.kill()
            process.communicate()


def test_who_comes_first_is_served_first_and_the_others_are_told_how_many_are_before_them(runs: Runs) -> None:
    first, second = runs.start("a"), runs.start("b")
    assert line(first).startswith("in after 0")
    assert line(second).startswith("in after 0")
    third = runs.start("c")
    assert line(third) == "waiting for memory: 2 runs before this one"
    fourth = runs.start("d")
    assert line(fourth) == "waiting for memory: 3 runs before this one"
    leave(first)
    wait_until_in(third)
    # It may look in the moment between the one that left and the one that comes in.
    assert re.fullmatch(r"waiting for (memory|its turn): 2 runs before this one", line(fourth))
    assert [ticket.admitted_at is not None for ticket in living(runs.folder)] == [True, True, False]
    leave(second)
    wait_until_in(fourth)
    leave(third)
    leave(fourth)
    assert not list(runs.folder.iterdir())


def test_a_small_run_does_not_overtake_a_large_one_that_came_before_it(runs: Runs) -> None:
    holder, large = runs.start("a"), None
    assert line(holder).startswith("in")
    said: list[str] = []
    with admitted(runs.folder, "b", NEED, measure=lambda: HOST, tell=said.append):
        large = runs.start("large")
        assert line(large) == "waiting for memory: 2 runs before this one"
        small = runs.start("small")
        assert line(small) == "waiting for memory: 3 runs before this one"
    wait_until_in(large)


def test_a_process_that_is_killed_frees_its_place_and_leaves_nothing(runs: Runs) -> None:
    first, second = runs.start("a"), runs.start("b")
    assert line(first).startswith("in")
    assert line(second).startswith("in")
    waiting, last = runs.start("c"), runs.start("d")
    assert line(waiting).startswith("waiting")
    assert line(last).startswith("waiting")
    waiting.send_signal(signal.SIGKILL)
    waiting.wait()
    first.send_signal(signal.SIGKILL)
    first.wait()
    wait_until_in(last)
    assert len(list(runs.folder.iterdir())) == 2


def test_a_stopped_process_keeps_its_place(runs: Runs) -> None:
    first, second = runs.start("a"), runs.start("b")
    assert line(first).startswith("in")
    assert line(second).startswith("in")
    first.send_signal(signal.SIGSTOP)
    third = runs.start("c")
    assert line(third) == "waiting for memory: 2 runs before this one"
    first.send_signal(signal.SIGCONT)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be another user")
def test_two_users_share_one_queue_and_neither_can_remove_the_others_ticket(runs: Runs) -> None:
    other = pwd.getpwnam("nobody").pw_uid
    reachable = subprocess.run(["test", "-r", REPOSITORY, "-a", "-x", sys.executable], user=other, check=False)
    if reachable.returncode:
        pytest.skip("another user cannot run this checkout")
    theirs = runs.start("theirs", other)
    assert line(theirs).startswith("in after")
    mine = runs.start("mine")
    assert line(mine).startswith("in after")
    third = runs.start("third", other)
    assert line(third) == "waiting for memory: 2 runs before this one"
    [ticket] = runs.folder.glob("*-mine.ticket")
    removed = subprocess.run(["rm", "-f", ticket], user=other, check=False, capture_output=True)
    assert removed.returncode != 0
    mine.send_signal(signal.SIGKILL)
    mine.wait()
    wait_until_in(third)


def test_rubbish_in_the_folder_neither_stops_nor_holds_anybody(runs: Runs) -> None:
    (runs.folder / "x-y.ticket").write_text("rubbish")
    (runs.folder / "00000000000000000001-dead.ticket").write_text('{"memory": 99999999999999}')
    (runs.folder / "99999999999999999999-late.ticket").write_text("")
    (runs.folder / "folder-.ticket").mkdir()
    (runs.folder / "link-.ticket").symlink_to("/etc/passwd")
    os.mkfifo(runs.folder / "pipe-.ticket")
    began = time.monotonic()
    with admitted(runs.folder, "r", NEED, measure=lambda: HOST, tell=print) as admission:
        assert admission.queued_seconds < 5
    assert time.monotonic() - began < 5
    assert Path("/etc/passwd").exists()


def test_a_queue_that_cannot_be_used_is_told_with_the_way_around_it(tmp_path: Path) -> None:
    with (
        pytest.raises(HostError, match="the queue of this host") as raised,
        admitted(tmp_path / "gone", "r", NEED, measure=lambda: HOST, tell=print),
    ):
        pass
    assert "KVM_E2E_ADMISSION=off" in raised.value.hint


def test_without_a_shared_folder_there_is_still_a_queue_of_ones_own(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o755)
    assert shared_folder(tmp_path / "own", [closed, tmp_path / "no/parent"]) == tmp_path / "own"
    made = shared_folder(tmp_path / "own", [tmp_path / "shared"])
    assert made.stat().st_mode & 0o7777 == 0o1777
