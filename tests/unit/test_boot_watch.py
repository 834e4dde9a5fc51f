"""When to stop waiting for a boot, and whose fault it is."""

import io
from datetime import timedelta

import pytest

from kvm_action.backends.boot_watch import BootWatch, Patience
from kvm_action.errors import BootError, HostError
from kvm_action.hypervisor.domain import HOST_DISK_FULL

PATIENCE = Patience(timedelta(seconds=100), timedelta(seconds=30), timedelta(seconds=10))


class FullDisk(io.BytesIO):
    def write(self, _data: object) -> int:
        raise OSError(28, "No space left on device")


def watch_at(now: list[float], file: io.BytesIO | None = None) -> BootWatch:
    return BootWatch(file or io.BytesIO(), lambda _event: None, PATIENCE, lambda: now[0])


def test_a_full_host_disk_is_the_hosts_fault_in_a_boot_too() -> None:
    trouble = watch_at([0.0]).trouble(HOST_DISK_FULL)
    assert isinstance(trouble, HostError)
    assert "KVM_E2E_HOME" in trouble.hint


def test_a_machine_that_dies_is_reported_with_its_stage_and_qemus_words() -> None:
    trouble = watch_at([0.0]).trouble("QEMU died", ("cannot allocate memory",))
    assert isinstance(trouble, BootError)
    assert "before the firmware" in trouble.message
    assert "cannot allocate memory" in trouble.hint


def test_silence_is_borne_for_a_while_and_less_long_at_the_login_prompt() -> None:
    now = [0.0]
    watch = watch_at(now)
    watch.on_console(b"SeaBIOS (version 1)\r\n")
    now[0] = 29
    assert watch.trouble("") is None
    now[0] = 31
    assert "silent for 31 s" in watch.trouble("").message
    watch.on_console(b"e2e login: ")
    now[0] = 42
    assert "no SSH server answers" in watch.trouble("").hint


def test_silence_of_a_guest_that_waits_for_a_cpu_is_borne() -> None:
    now, of_guest = [0.0], [0.0]
    watch = watch_at(now)
    watch.begin(lambda: of_guest[0])
    now[0], of_guest[0] = 580, 29
    assert watch.trouble("") is None
    assert watch.slowness == 10
    watch.on_console(b"[    0.0] Linux version 6.1\r\n")
    assert watch.log.milestones["kernel"] == 580
    of_guest[0] = 60
    assert "silent for 31 s, not counting" in watch.trouble("").message


def test_a_boot_that_never_stands_still_ends_at_its_limit() -> None:
    now = [0.0]
    watch = watch_at(now)
    for second in range(0, 101, 10):
        now[0] = second
        watch.on_console(b"[    1.0] chatter\r\n")
    assert "not up after 100 s" in watch.trouble("").message


@pytest.mark.parametrize("line", [b"SeaBIOS (version 1)\r\n", b"[    0.0] Linux version 6.1\r\n"])
def test_a_guest_that_reboots_again_and_again_is_not_waited_for_till_the_limit(line: bytes) -> None:
    watch = watch_at([0.0])
    watch.on_console(3 * line)
    assert watch.trouble("") is None
    watch.on_console(line)
    assert "reboots again and again, and has now started 4 times" in watch.trouble("").message


def test_a_full_output_folder_does_not_make_us_deaf_to_the_console() -> None:
    watch = watch_at([0.0], FullDisk())
    watch.on_console(b"Linux version 6.1\r\n")
    assert watch.log.boots == 1
