"""A second run's changes, found on this very machine by its own find, tar and sha256sum through a real sshd."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sshd import MISSING, SSHD, sshd

from kvm_action.guest import GuestOutput
from kvm_action.guest_state import Watched, capture, capture_again, differences
from kvm_action.guest_state.model import DPKG_STATUS
from kvm_action.guest_state.text_diff import Remark
from kvm_action.lifecycle.idempotence import tell
from kvm_action.ssh import Session, connect
from kvm_action.wait import Deadline

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(SSHD is None, reason=MISSING),
    pytest.mark.skipif(not Path(DPKG_STATUS).exists(), reason="looks at a Debian"),
]


class Unprivileged:
    """This machine as a guest, looked at without sudo; counts the round trips."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.asked = 0

    def run(self, command: str, *, sudo: bool = False, **others: object) -> GuestOutput:
        self.asked += 1
        return self.session.run(command, **others)  # type: ignore[arg-type]


@contextmanager
def this_machine(folder: Path) -> Iterator[Unprivileged]:
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
        yield Unprivileged(session)


@pytest.fixture
def app(tmp_path: Path) -> Path:
    app = tmp_path / "app with space"
    app.mkdir()
    for name, held in {
        "a.txt": b"one\ntwo\n",
        "same": b"same\n",
        "bin": b"\0old",
        "gone": b"x\n",
        "last-run": b"1",
    }.items():
        (app / name).write_bytes(held)
    (app / "key").touch(mode=0o600)
    (app / "key").write_text("old secret")
    (app / "odd\nname").write_text("x")
    (app / "link").symlink_to("a.txt")
    (app / "large").write_bytes(b"x" * 300_000)
    return app


def test_all_that_changed_is_found_and_what_was_only_touched_is_not(tmp_path: Path, app: Path) -> None:
    watched = Watched((str(app),), ("last-run",))
    with this_machine(tmp_path) as guest:
        before = capture(guest, watched)  # type: ignore[arg-type]
        assert guest.asked == 1
        (app / "a.txt").write_text("one\nthree\n")
        (app / "same").write_bytes(b"same\n")
        (app / "bin").write_bytes(b"\0new")
        (app / "gone").unlink()
        (app / "key").write_text("new secret")
        (app / "last-run").write_text("2")
        (app / "new").write_text("hunter22\n")
        (app / "link").unlink()
        (app / "link").symlink_to("same")
        (app / "odd\nname").chmod(0o755)
        (app / "large").write_bytes(b"x" * 299_999 + b"y")
        after = capture_again(guest, watched, before)  # type: ignore[arg-type]
    changes = {
        os.path.relpath(change.item, app): change
        for change in differences(before, after, lambda text: text.replace("hunter22", "***"))
        if change.item.startswith(str(app))
    }
    assert {name: tell(change).split()[-1] for name, change in changes.items()} == {
        "a.txt": "different", "bin": "different", "gone": "removed", "key": "different", "large": "different",
        "link": "different", "new": "added", "odd\nname": "different",
    }  # fmt: skip
    assert changes["a.txt"].diff == "@@ -1,2 +1,2 @@\n one\n-two\n+three\n"
    assert changes["new"].diff == "@@ -0,0 +1 @@\n+***\n"
    assert [changes[name].diff for name in ("bin", "key", "large", "odd\nname")] == [
        Remark.BINARY, Remark.PRIVATE, Remark.LARGE, "",
    ]  # fmt: skip


def test_a_machine_where_nothing_changes_is_looked_at_twice_by_two_commands(tmp_path: Path) -> None:
    with this_machine(tmp_path) as guest:
        before = capture(guest, Watched())  # type: ignore[arg-type]
        after = capture_again(guest, Watched(), before)  # type: ignore[arg-type]
        assert guest.asked == 2
    assert [tell(change) for change in differences(before, after) if change.area not in ("port", "service")] == []


def test_what_only_root_may_read_never_leaves_the_guest(tmp_path: Path) -> None:
    with this_machine(tmp_path) as guest:
        seen = capture(guest, Watched())  # type: ignore[arg-type]
    assert {"/etc/passwd", DPKG_STATUS} <= seen.contents.keys()
    assert "/etc/shadow" in seen.entries
    assert "/etc/shadow" not in seen.contents
    assert not [path for path in seen.contents if not seen.entries[path].mode & 0o004 and "sudoers" not in path]


def test_what_the_plan_names_may_be_missing(tmp_path: Path) -> None:
    nowhere = tmp_path / "later"
    watched = Watched((str(nowhere),))
    with this_machine(tmp_path) as guest:
        before = capture(guest, watched)  # type: ignore[arg-type]
        nowhere.write_text("now\n")
        after = capture_again(guest, watched, before)  # type: ignore[arg-type]
    assert f"file {nowhere} was added" in [tell(change) for change in differences(before, after)]


def test_what_a_path_of_the_plan_leads_to_is_looked_at_too(tmp_path: Path) -> None:
    for number in ("1", "2"):
        (tmp_path / number).mkdir()
        (tmp_path / number / "app.conf").write_text("same\n")
    current = tmp_path / "current one"
    current.symlink_to("1")
    watched = Watched((str(current),))
    with this_machine(tmp_path) as guest:
        before = capture(guest, watched)  # type: ignore[arg-type]
        (tmp_path / "1/app.conf").write_text("other\n")
        after = capture_again(guest, watched, before)  # type: ignore[arg-type]
        assert any("current one/app.conf" in tell(change) for change in differences(before, after))
        current.unlink()
        current.symlink_to("2")
        again = capture_again(guest, watched, after)  # type: ignore[arg-type]
    assert any(change.item == str(current) for change in differences(after, again))


def test_a_file_that_a_path_of_the_plan_leads_to_is_looked_at_too(tmp_path: Path) -> None:
    (tmp_path / "app-1.conf").write_text("one\n")
    (tmp_path / "app.conf").symlink_to("app-1.conf")
    watched = Watched((str(tmp_path / "app.conf"),))
    with this_machine(tmp_path) as guest:
        before = capture(guest, watched)  # type: ignore[arg-type]
        (tmp_path / "app-1.conf").write_text("two\n")
        after = capture_again(guest, watched, before)  # type: ignore[arg-type]
    assert any(change.item == str(tmp_path / "app-1.conf") for change in differences(before, after))
