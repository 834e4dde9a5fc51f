"""What a container is told at its start, and what is made of its answers."""

from datetime import timedelta

import pytest
from fakes import FakeGuest
from pydantic import SecretStr

from kvm_action.backends.container_setup import first_files, first_start
from kvm_action.backends.identity import new_identity
from kvm_action.errors import BootError
from kvm_action.guest import GuestOutput
from kvm_action.plan.model import User

ANSWER = """\
noise of some command
=== kvm-e2e state
degraded
foo.service
bar.mount
=== kvm-e2e passwd
dev:x:1000:1000::/home/dev:/bin/bash
=== kvm-e2e lang
C.UTF-8
=== kvm-e2e os
Debian GNU/Linux 12 (bookworm)
6.1.0-amd64
e2e-abc
=== kvm-e2e limits
capabilities 00000000a82425fb
sysctl
"""
SOON = timedelta(seconds=5)


def test_user_system_failed_units_and_limits_are_read_out_of_one_answer() -> None:
    guest = FakeGuest({".": ANSWER})
    first = first_start(guest, User(name="dev", password=SecretStr("hunter22")), "ssh-ed25519 AAAA", SOON)
    assert len(guest.asked) == 1
    assert (first.login.user, first.login.home, first.login.shell) == ("dev", "/home/dev", "/bin/bash")
    assert first.login.environment["LANG"] == "C.UTF-8"
    assert (first.guest.os, first.guest.kernel) == ("Debian GNU/Linux 12 (bookworm)", "6.1.0-amd64")
    assert first.failed == ("foo.service", "bar.mount")
    assert first.limits.splitlines() == ["capabilities 00000000a82425fb", "sysctl"]
    assert "hunter22" not in guest.asked[0], "the password would show in the container's process list"


def test_a_container_without_what_it_takes_is_told_with_its_own_words() -> None:
    guest = FakeGuest({".": GuestOutput("", 127, b"", b"sh: 1: useradd: not found\n")})
    with pytest.raises(BootError, match="useradd: not found"):
        first_start(guest, User(), "ssh-ed25519 AAAA", SOON)


def test_units_of_a_machine_are_masked_and_the_ssh_host_key_is_the_runs_own() -> None:
    files = first_files(new_identity("20260101-000000-abcdef"))
    assert files["/etc/systemd/system/systemd-networkd.service"].link == "/dev/null"
    assert files["/etc/fstab"].content == b""
    key = files["/etc/ssh/ssh_host_ed25519_key"]
    assert key.mode == 0o600
    assert b"PRIVATE KEY" in key.content
