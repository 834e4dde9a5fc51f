"""What the Debian installer says on its serial ports is understood: stages, questions, its end."""

import io
from datetime import timedelta
from pathlib import Path

import pytest

from kvm_action.backends.install_watch import (
    PATIENCE,
    InstallWatch,
    TargetDisk,
    target_disk,
    watching_installation,
)
from kvm_action.hypervisor.domain import HOST_DISK_FULL
from kvm_action.images.debian_installer.stages import LIMITS, InstallLog, Stage
from kvm_action.images.model import Package
from kvm_action.patience import VARIABLE

NETCFG = b"Nov 24 18:00:01 main-menu[233]: INFO: Menu item 'netcfg' selected\n"
PARTMAN = b"Nov 24 18:01:01 main-menu[233]: INFO: Menu item 'partman-base' selected\n"
COUNTRY = b"Debian archive mirror country:\r\n  1: Austria  2: Belgium\r\nPrompt: '?' for help> \r\n\x1b[?2004h"


ASKED = (
    b"Nov 24 18:00:01 debconf: --> INPUT critical mirror/country\n"
    b"Nov 24 18:00:01 debconf: <-- 0 question will be asked\n"
    b"Nov 24 18:00:01 debconf: --> INPUT low mirror/suite\n"
)


class Named(io.BytesIO):
    """A file that has a name and keeps what was written when it is closed."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name


class Watched:
    """An InstallWatch with a clock of the test's own."""

    def __init__(self, accel: str = "kvm") -> None:
        self.now = 0.0
        self.told: list[str] = []
        self.screen, self.syslog = Named("x.screen.log"), Named("x.log")
        self.taken = 0
        disk = TargetDisk("4.0 GiB", lambda: self.taken)
        self.watch = InstallWatch(
            self.screen, self.syslog, self.told.append, PATIENCE[accel], disk, clock=lambda: self.now
        )

    def trouble(self, end: str = "") -> str:
        error = self.watch.trouble(end)
        return f"{error.message} / {error.hint}" if error else ""


def test_the_stages_are_told_as_they_begin_with_the_time_that_the_one_before_took() -> None:
    seen = Watched()
    seen.now = 30
    seen.watch.on_syslog(NETCFG)
    seen.now = 95
    seen.watch.on_syslog(PARTMAN[:20])
    seen.watch.on_syslog(PARTMAN[20:])
    assert seen.told == [
        "installer: network (after 30.0 s of start)",
        "installer: partitioning (after 1 min 05 s of network)",
    ]


def test_a_menu_item_that_is_looked_at_again_does_not_turn_the_installation_back() -> None:
    log = InstallLog()
    log.feed_syslog(PARTMAN, 1)
    assert not log.feed_syslog(NETCFG, 2)
    assert log.stage is Stage.PARTITIONING


def test_a_question_is_noticed_when_its_prompt_stands_and_is_shown() -> None:
    seen = Watched()
    seen.watch.on_syslog(NETCFG + ASKED)
    seen.watch.on_screen(COUNTRY)
    seen.now = 5
    assert not seen.trouble(), "some prompts answer themselves"
    seen.now = 13
    told = seen.trouble()
    assert "stopped in stage “network”: it waits for an answer" in told
    assert "1: Austria  2: Belgium" in told
    assert "calls this question mirror/country" in told
    assert "x.log" in told


def test_a_question_is_noticed_while_the_log_goes_on() -> None:
    seen = Watched()
    seen.watch.on_syslog(ASKED)
    seen.watch.on_screen(COUNTRY)
    for seen.now in range(1, 14):
        seen.watch.on_syslog(b"Nov 24 18:00:02 dhclient[9]: still here\n")
        seen.taken += 1
    assert "it waits for an answer" in seen.trouble()


def test_an_error_that_waits_for_a_key_is_no_question_for_a_preseed() -> None:
    seen = Watched()
    seen.watch.on_syslog(NETCFG + ASKED)
    seen.watch.on_screen(b"!! ERROR: Bad archive mirror\r\n[Press enter to continue] ")
    seen.now = 13
    told = seen.trouble()
    assert "Bad archive mirror" in told
    assert "preseed" not in told


def test_a_console_that_stands_still_without_a_prompt_is_noticed_too() -> None:
    seen = Watched()
    seen.watch.on_screen(b"Detecting network hardware ... 95%")
    seen.now = 119
    assert not seen.trouble()
    seen.now = 121
    assert "its console has stood still for 2 min 01 s, and so has its disk" in seen.trouble()


def test_a_console_that_stands_still_while_the_disk_fills_is_at_work() -> None:
    seen = Watched()
    seen.watch.on_syslog(b"Nov 24 18:00:01 main-menu[233]: INFO: Menu item 'pkgsel' selected\n")
    for seen.now in range(0, 1000, 100):
        seen.taken += 1 << 20
        assert not seen.trouble()
    seen.now = 1021
    assert "stood still for 2 min 01 s" in seen.trouble()


def test_how_much_of_the_disk_is_taken_is_asked_of_its_file_once_there_is_one(tmp_path: Path) -> None:
    file = tmp_path / "disk.qcow2"
    disk = target_disk(file, 4 << 30)
    assert (disk.size, disk.allocated()) == ("4.0 GiB", 0)
    file.write_bytes(b"x" * 100_000)
    assert disk.allocated() >= 100_000


def test_a_stage_that_goes_on_for_ever_is_ended_at_its_limit() -> None:
    seen, limit = Watched(), LIMITS[Stage.START].total_seconds()
    seen.now = limit + 1
    seen.watch.on_screen(b"still alive")
    assert "this stage took longer than 3 min 00 s" in seen.trouble()


def test_emulation_is_given_more_time() -> None:
    seen = Watched("tcg")
    seen.now = LIMITS[Stage.START].total_seconds() + 1
    seen.watch.on_screen(b"still alive")
    assert not seen.trouble()
    assert seen.watch.longest > sum(LIMITS.values(), timedelta())


def test_a_slow_host_is_given_more_time_for_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "4")
    given, usual = PATIENCE["kvm"].stretched(), PATIENCE["kvm"]
    assert (given.at_prompt, given.silence) == (usual.at_prompt * 4, usual.silence * 4)
    assert given.limits == {stage: limit * 4 for stage, limit in LIMITS.items()}
    disk = target_disk(tmp_path / "disk", 1)
    with watching_installation(tmp_path, "x", lambda _line: None, "kvm", disk) as watch:
        assert watch.longest > sum(given.limits.values(), timedelta())


def test_what_the_installer_logged_of_the_trouble_is_shown_with_it() -> None:
    seen = Watched()
    seen.watch.on_syslog(NETCFG + b"Nov 24 19:35:44 anna[2157]: 2026-11-24 19:35:42 ERROR 404: Not Found.\n")
    seen.watch.on_syslog(b"Nov 24 19:35:45 anna[2157]: WARNING **: package retrieval failed\n")
    seen.watch.on_screen(b"Prompt: '?' for help> ")
    seen.now = 20
    told = seen.trouble()
    assert "\n  > anna[2157]: 2026-11-24 19:35:42 ERROR 404: Not Found." in told
    assert "netcfg" not in told


@pytest.mark.parametrize(
    ("shown", "asks"),
    [
        ("Invite : « ? » pour l'aide> \r\n\x1b[?2004h", True),
        ("Auswahl: '?' für Hilfe, Standard=1> ", True),
        ("fetching <http://archive.example/>", False),
        ("Retrieving file 3 of 9", False),
    ],
)
def test_a_question_is_known_as_one_in_every_language(shown: str, asks: bool) -> None:
    seen = Watched()
    seen.watch.on_syslog(ASKED)
    seen.watch.on_screen(shown.encode())
    seen.now = 20
    assert ("it waits for an answer" in seen.trouble()) is asks


def test_a_full_disk_is_named_as_such_with_its_size() -> None:
    seen = Watched()
    seen.watch.on_syslog(b"Nov 24 18:05:00 debootstrap: tar: write error: No space left on device\n")
    seen.watch.on_syslog(b"Nov 24 18:05:00 main-menu[233]: WARNING **: Menu item 'bootstrap-base' failed.\n")
    seen.watch.on_screen(b"[Press enter to continue]")
    seen.now = 20
    told = seen.trouble()
    assert "the disk of 4.0 GiB is full; it waits for an answer, after its step bootstrap-base failed" in told
    assert "give it a larger disk" in told


def test_a_kernel_that_panics_is_not_told_as_a_full_disk() -> None:
    seen = Watched()
    seen.watch.on_syslog(b"Nov 24 18:05:00 debootstrap: tar: write error: No space left on device\n")
    seen.watch.on_screen(b"[   3.1] Kernel panic - not syncing: Fatal exception\r\n")
    assert "larger disk" not in seen.trouble()


def test_only_a_sealed_disk_is_a_finished_installation() -> None:
    seen = Watched()
    assert "ended before its work was done (the guest shut itself down)" in seen.trouble(
        "the guest shut itself down"
    )
    seen.watch.on_syslog(b"Nov 24 18:30:00 kvm-e2e: sealed\n")
    assert not seen.trouble("the guest shut itself down")


def test_a_host_without_space_is_the_hosts_fault() -> None:
    seen = Watched()
    seen.watch.on_syslog(b"Nov 24 18:30:00 kvm-e2e: sealed\n")
    assert "the host's disk is full" in seen.trouble(HOST_DISK_FULL)


@pytest.mark.parametrize(
    ("port", "said", "told"),
    [
        ("screen", b"[   3.1] Kernel panic - not syncing: VFS: Unable to mount root\r\n", "its kernel panicked"),
        ("syslog", b"Nov 24 18:30:00 kvm-e2e: failed: complete.sh in the new system\n", "failed: complete.sh"),
    ],
)
def test_what_cannot_come_to_a_good_end_is_told_at_once(port: str, said: bytes, told: str) -> None:
    seen = Watched()
    getattr(seen.watch, f"on_{port}")(said)
    assert told.removeprefix("failed: ") in seen.trouble()


def test_the_packages_of_the_new_system_are_read_however_syslogd_writes_a_tab() -> None:
    log = InstallLog()
    for tab in (b"\t", b"^I", b" "):
        log.feed_syslog(b"Nov 24 18:30:00 kvm-e2e-package: libc6" + tab + b"2.36-9+deb12u14\n", 1)
    assert log.packages == [Package(name="libc6", version="2.36-9+deb12u14")] * 3


def test_what_an_installer_prints_cannot_reach_the_users_terminal() -> None:
    seen = Watched()
    seen.watch.on_screen(b"\x1b]0;evil\x07\x1b[2J\x1b[31mPrompt: '?' for help> ")
    seen.now = 20
    assert "\x1b" not in seen.trouble()


def test_a_question_that_never_ends_its_line_takes_no_memory() -> None:
    log = InstallLog()
    for _ in range(100):
        log.feed_screen(b"x" * 100_000, 1)
    assert sum(map(len, log.screen)) < 10_000
