"""Who owns what, and what may be taken away."""

import errno
import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from filelock import FileLock

from kvm_action.errors import HostError
from kvm_action.leases import FILE_NAME, Lease, lease_for, started
from kvm_action.runs import LOCK, UNFINISHED, leftovers, run_folder, templates_in_use


def dead_lease(folder: Path) -> Lease:
    """The lease of a process that has ended."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return replace(lease_for("dead", folder), owner_pid=ended.pid, owner_started=1)


def leave_behind(runs: Path, name: str, lease: Lease) -> Path:
    folder = runs / name
    folder.mkdir(parents=True)
    (folder / FILE_NAME).write_text(lease.to_json())
    (folder / "overlay.qcow2").write_bytes(b"x" * 10_000)
    return folder


def test_a_lease_survives_its_way_through_json(tmp_path: Path) -> None:
    lease = replace(lease_for("r", tmp_path), repository="o/r", kept_until=datetime(2030, 1, 1, tzinfo=UTC))
    assert Lease.from_json(lease.to_json()) == lease


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"kept_until": 1}', '{"run": "x"}'])
def test_a_foreign_text_is_no_lease(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Lease.from_json(text)


def test_my_own_lease_lives_and_that_of_a_reused_pid_does_not(tmp_path: Path) -> None:
    mine = lease_for("r", tmp_path)
    assert mine.is_alive
    assert not replace(mine, owner_started=mine.owner_started - 1).is_alive
    assert not replace(mine, boot_id="another boot").is_alive


def test_an_owner_of_another_pid_namespace_is_believed_to_live_for_a_day(tmp_path: Path) -> None:
    other = replace(dead_lease(tmp_path), place="pid:[1]")
    assert other.is_alive
    assert not replace(other, since=other.since - 25 * 3600).is_alive
    assert not replace(other, boot_id="another boot").is_alive


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes a PID namespace without a user namespace")
def test_a_container_of_its_own_pids_takes_nobodys_run_for_dead(tmp_path: Path) -> None:
    mine = replace(lease_for("r", tmp_path), owner_pid=2**22 - 1)  # not a pid in there
    code = "import sys; from kvm_action.leases import Lease; print(Lease.from_json(sys.argv[1]).is_alive)"
    line = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", code, mine.to_json()]
    assert subprocess.run(line, check=True, capture_output=True, text=True).stdout == "True\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts")
def test_where_users_see_only_their_own_processes_that_of_another_is_not_dead(tmp_path: Path) -> None:
    code = (
        "import os, sys; from kvm_action.leases import Lease;"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534);"
        "print(Lease.from_json(sys.argv[1]).is_alive, Lease.from_json(sys.argv[2]).is_alive)"
    )
    leases = [lease_for("r", tmp_path).to_json(), dead_lease(tmp_path).to_json()]
    shell = 'mount -t proc -o hidepid=invisible none /proc && exec "$@"'
    line = ["unshare", "--mount", "sh", "-c", shell, "-", sys.executable, "-c", code, *leases]
    assert subprocess.run(line, check=True, capture_output=True, text=True).stdout == "True False\n"


def test_a_kept_machine_outlives_its_owner_until_its_time_is_over(tmp_path: Path) -> None:
    dead = dead_lease(tmp_path)
    now = datetime.now(UTC)
    assert replace(dead, kept_until=now + timedelta(hours=1)).is_alive
    assert not replace(dead, kept_until=now - timedelta(seconds=1)).is_alive


def test_a_zombie_does_not_count_as_alive() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    assert started(child) == -1
    os.waitpid(child, 0)


def test_a_run_folder_carries_its_lease_and_goes_with_the_run(tmp_path: Path) -> None:
    with run_folder(tmp_path, "r1") as folder:
        assert Lease.from_json((folder.path / FILE_NAME).read_text()).is_alive
        assert leftovers(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_reaping_takes_the_dead_and_leaves_the_living_and_the_kept(tmp_path: Path) -> None:
    dead = dead_lease(tmp_path)
    leave_behind(tmp_path, "dead", dead)
    leave_behind(tmp_path, "kept", replace(dead, kept_until=datetime.now(UTC) + timedelta(hours=1)))
    leave_behind(tmp_path, "alive", lease_for("alive", tmp_path))
    assert [left.path.name for left in leftovers(tmp_path)] == ["dead"]
    assert [left.path.name for left in leftovers(tmp_path, lambda _lease: True)] == ["dead", "kept"]
    assert leftovers(tmp_path)[0].bytes >= 10_000


def test_a_lease_that_cannot_be_read_just_now_makes_nobody_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_behind(tmp_path, "dead", dead_lease(tmp_path / "dead"))

    def no_more_files(_path: Path, *_how: object, **_named: object) -> str:
        raise OSError(errno.ENFILE, "Too many open files in system")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_text", no_more_files)
        assert leftovers(tmp_path) == []
        with pytest.raises(HostError, match="may not open any more files"):
            templates_in_use(tmp_path)
    assert [left.path.name for left in leftovers(tmp_path)] == ["dead"]


def test_a_folder_that_is_being_made_this_very_moment_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / f"{UNFINISHED}x").mkdir()
    assert leftovers(tmp_path) == []
    os.utime(tmp_path / f"{UNFINISHED}x", (0, 0))
    assert len(leftovers(tmp_path)) == 1


def test_a_host_without_room_for_the_run_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(HostError, match="cannot make the run's folder") as raised,
        run_folder(tmp_path / "file", "r"),
    ):
        pass
    assert "KVM_E2E_HOME" in raised.value.hint


def test_a_lease_of_an_older_version_and_one_of_a_newer_are_read(tmp_path: Path) -> None:
    values = json.loads(lease_for("r", tmp_path, "qemu:///session").to_json())
    assert Lease.from_json(json.dumps(values | {"from_the_future": 1})).uri == "qemu:///session"
    del values["uri"]
    assert Lease.from_json(json.dumps(values)).uri == ""


def test_the_folder_of_a_machine_that_somebody_is_changing_is_not_taken_away(tmp_path: Path) -> None:
    kept = replace(dead_lease(tmp_path), kept_until=datetime.now(UTC) + timedelta(hours=1))
    folder = leave_behind(tmp_path, "kept", kept)
    with FileLock(folder / LOCK):
        assert leftovers(tmp_path, lambda _lease: True) == []
    assert len(leftovers(tmp_path, lambda _lease: True)) == 1
