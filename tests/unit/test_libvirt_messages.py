"""libvirt's errors in words for a user, and its logs."""

import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import libvirt
import pytest

from kvm_action.errors import HostError
from kvm_action.hypervisor.connection import LOST_HINT, Connection, first_sentence, in_our_words
from kvm_action.hypervisor.launching import start_hint


@pytest.mark.parametrize(
    "said",
    [
        "internal error: qemu unexpectedly closed the monitor: 2026-03-14T15:16:54.8Z qemu-kvm: no room",
        "internal error: process exited while connecting to monitor: 2026-03-14T15:16:54Z qemu-kvm: no room",
        "internal error: QEMU unexpectedly closed the monitor (vm='a b'): no room\nmore of it",
    ],
)
def test_what_qemu_said_before_it_ended_is_told_without_how_libvirt_met_it(said: str) -> None:
    assert first_sentence(libvirt.libvirtError(said)) == "QEMU ended: no room"


def test_other_errors_stay_as_they_are() -> None:
    assert first_sentence(libvirt.libvirtError("Network not found: no default")) == "Network not found: no default"


def test_a_qemu_that_ends_without_a_word_is_said_so() -> None:
    said = "internal error: process exited while connecting to monitor"
    assert first_sentence(libvirt.libvirtError(said)) == "QEMU ended"


@pytest.mark.parametrize(
    "said",
    [
        "internal error: qemu unexpectedly closed the monitor: kvm version too old\n"
        "qemu-system-x86_64: -accel kvm: failed to initialize kvm: Inappropriate ioctl for device",
        "Could not access KVM kernel module: No such file or directory",
        "unsupported configuration: Domain requires KVM, but it is not available",
        "invalid argument: could not find capabilities for arch=x86_64 domaintype=kvm ",
    ],
)
def test_a_kvm_that_vanished_before_the_launch_is_told_with_what_goes_without(said: str) -> None:
    assert "--accel tcg" in start_hint(said)


def test_our_own_name_is_no_sign_of_trouble_with_kvm() -> None:
    assert "--accel" not in start_hint("operation failed: domain 'kvm-e2e-20260314-151654-abc' already exists")


def test_a_path_that_is_too_long_for_a_socket_is_told_with_what_makes_it_shorter() -> None:
    said = (
        "internal error: UNIX socket path '/home/github-runner/.config/libvirt/…/org.qemu.guest_agent.0' too long"
    )
    assert "set KVM_E2E_HOME to a folder with a shorter one" in start_hint(said)


def test_a_daemon_that_is_gone_is_told_from_one_that_refuses() -> None:
    for reason, hint in (("client socket is closed", LOST_HINT), ("no such thing", "mend it")):
        with pytest.raises(HostError) as caught, in_our_words("no luck", "mend it"):
            raise libvirt.libvirtError(f"internal error: {reason}")
        assert caught.value.message == f"no luck: internal error: {reason}"
        assert caught.value.hint == hint


def test_old_logs_of_machines_that_are_gone_go_and_no_others(tmp_path: Path) -> None:
    running = SimpleNamespace(name=lambda: "kvm-e2e-running")
    raw = SimpleNamespace(listAllDomains=lambda: [running])
    connection = Connection(cast(libvirt.virConnect, raw), "qemu:///session", tmp_path, "libvirt 9.0.0")
    for name, age in {"kvm-e2e-running": 9, "kvm-e2e-gone": 9, "kvm-e2e-starting": 0, "web-server": 9}.items():
        log = tmp_path / f"{name}.log"
        log.touch()
        os.utime(log, (0, time.time() - age * 86_400))
    connection.forget_old_logs("kvm-e2e-")
    assert sorted(log.stem for log in tmp_path.iterdir()) == ["kvm-e2e-running", "kvm-e2e-starting", "web-server"]
