"""The console parser: milestones, stages, causes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvm_action.boot import LINE_LIMIT, BootLog, Stage, diagnose

DEBIAN = b"""\x1b[2J\x1b[1;1HSeaBIOS (version 1.16.2-debian-1.16.2-1)\r
Booting from Hard Disk...\r
[    0.000000] Linux version 6.1.0-40-cloud-amd64 (debian-kernel@lists.debian.org)\r
Loading, please wait...\r
[    9.123456] systemd[1]: Hostname set to <e2e-1234>.\r
Welcome to \x1b[1mDebian GNU/Linux 12 (bookworm)\x1b[0m!\r
[\x1b[0;32m  OK  \x1b[0m] Reached target \x1b[0;1;39mnetwork.target\x1b[0m - Network.\r
[   20.5] cloud-init[300]: Cloud-init v. 22.4.2 running 'modules:final'\r
e2e-1234 login: """


def test_a_normal_boot_shows_its_milestones_in_order_and_ends_at_the_login_prompt() -> None:
    log, reached = BootLog(), []
    for second, line in enumerate(DEBIAN.splitlines(keepends=True)):
        reached += log.feed(line, float(second))
    assert reached == ["firmware", "kernel", "userspace", "network"]
    assert log.milestones == {"firmware": 0, "kernel": 2, "userspace": 4, "network": 6}
    assert (log.stage, log.diagnosis, log.boots) == (Stage.LOGIN, None, 1)
    assert log.tail[-1] == "e2e-1234 login:"


def test_output_cut_at_any_byte_tells_the_same_story() -> None:
    whole, pieces = BootLog(), BootLog()
    whole.feed(DEBIAN, 0)
    for byte in DEBIAN:
        pieces.feed(bytes([byte]), 0)
    assert (whole.milestones, whole.stage, whole.tail) == (pieces.milestones, pieces.stage, pieces.tail)


@pytest.mark.parametrize(
    ("line", "cause", "fatal"),
    [
        ("Boot failed: not a bootable disk", "no boot loader", True),
        ("\x1b[2J\x1b[01;01HUEFI Interactive Shell v2.2", "UEFI firmware found nothing", True),
        ("[    3.1] Kernel panic - not syncing: VFS: Unable to mount root fs", "cannot mount its root", True),
        (
            "[    3.1] Kernel panic - not syncing: Attempted to kill init!",
            "panicked: Attempted to kill init!",
            True,
        ),
        ("ALERT!  UUID=12 does not exist.  Dropping to a shell!", "does not find the root disk", True),
        ("You are in emergency mode. After logging in, type", "emergency mode", True),
        ("error: no such device: 1234.", "boot loader cannot find", True),
        ("Out of memory: Killed process 812 (python3)", "out of memory", False),
        (
            "[   35.2] cloud-init[312]: failed run of stage init-local",
            "cloud-init crashed in its stage: init-local",
            False,
        ),
        ("cp: error writing 'x': No space left on device", "disk is full", False),
    ],
)
def test_a_boot_that_sticks_is_given_its_likely_cause(line: str, cause: str, fatal: bool) -> None:
    found = diagnose(line)
    assert found is not None
    assert cause in found.cause
    assert found.fatal is fatal


def test_ordinary_lines_are_no_trouble() -> None:
    assert [diagnose(line) for line in DEBIAN.decode(errors="replace").splitlines()] == [None] * 9


def test_a_reboot_is_noticed() -> None:
    log = BootLog()
    log.feed(DEBIAN, 0)
    log.feed(b"\r\n" + DEBIAN, 60)
    assert log.boots == 2


def test_a_guest_that_floods_its_console_without_a_line_end_does_not_fill_our_memory() -> None:
    log = BootLog()
    for _ in range(100):
        log.feed(b"x" * (1 << 16), 1)
    assert sum(map(len, log.tail)) <= LINE_LIMIT


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_no_bytes_on_a_console_can_break_the_parser(pieces: list[bytes]) -> None:
    log = BootLog()
    for piece in pieces:
        log.feed(piece, 1.0)
    assert all(character.isprintable() or character in "\t\x85\u2028\u2029\xa0" or ord(character) > 126
               for line in log.tail for character in line)  # fmt: skip


def test_the_boot_loaders_greeting_is_not_taken_for_userspace_however_it_arrives() -> None:
    log = BootLog()
    assert [log.feed(piece, 1) for piece in (b"Welcome ", b"to ", b"GRUB!\r\n")] == [[], [], []]
    assert log.stage is Stage.BOOTLOADER


@pytest.mark.parametrize(
    "line",
    [
        b"[  OK  ] Stopped target multi-user.target - Multi-User System.\r\n",
        b"[   99.1] systemd-shutdown[1]: Syncing filesystems\r\n",
        b"[   99.9] reboot: Restarting system\r\n",
    ],
)
def test_a_guest_that_goes_down_is_noticed_before_it_is_gone(line: bytes) -> None:
    log = BootLog()
    log.feed(DEBIAN, 0)
    assert not log.going_down
    log.feed(b"\r\n" + line, 1)
    assert log.going_down
