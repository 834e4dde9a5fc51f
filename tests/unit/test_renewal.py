"""A machine that woke from a template counts as another one only when it proves it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from kvm_action.renewal import FrozenIdentity, NewIdentity, arrival, judge, renewal, said, settling

WAS = FrozenIdentity(nonce="n0", machine_id="a" * 32, boot_id="b", hostname="template", host_key="ssh-ed25519 OLD")
WANTED = NewIdentity(
    hostname="e2e-1",
    machine_id="c" * 32,
    user="testuser",
    authorized_key="ssh-ed25519 USER",
    host_key_public="ssh-ed25519 NEW",
    host_key="PRIVATE",
    password="it's $(secret)\n",
)
NOW = {
    "nonce": "n0",
    "machine_id": "c" * 32,
    "hostname": "e2e-1",
    "host_key": "ssh-ed25519 NEW",
    "uuid": "06f19116-423d-47d3-9d3d-8efe59835c54",
}


def test_a_machine_that_has_changed_all_of_itself_is_proved() -> None:
    assert judge(WAS, WANTED, NOW, 0.2).ok


@pytest.mark.parametrize(
    ("told", "doubt"),
    [
        ({"nonce": "n1"}, "nonce"),
        ({"nonce": ""}, "nonce"),
        ({"machine_id": WAS.machine_id}, "template's machine id"),
        ({"machine_id": "d" * 32}, "new machine id"),
        ({"hostname": "template"}, "new name"),
        ({"host_key": WAS.host_key}, "template's SSH host key"),
        ({"uuid": "not one"}, "UUID"),
    ],
)
def test_whatever_it_has_kept_or_made_up_speaks_against_it(told: dict[str, str], doubt: str) -> None:
    assert any(doubt in each for each in judge(WAS, WANTED, NOW | told, 0.0).doubts)


@pytest.mark.parametrize("clock", [1.0, -1.0, 3600.0, -3600.0, None])
def test_a_clock_that_is_off_or_not_told_speaks_against_it(clock: float | None) -> None:
    assert not judge(WAS, WANTED, NOW, clock).ok


def test_a_guest_that_says_nothing_is_not_proved() -> None:
    assert len(judge(WAS, WANTED, {}, 0.0).doubts) >= 4


def test_secrets_are_in_no_command_line_and_shown_by_no_repr() -> None:
    script = renewal(WANTED, b"\0" * 64, 1.5)
    assert script.argv == ("/usr/bin/perl",)
    assert WANTED.password.encode().hex().encode() in script.stdin
    assert "secret" not in repr(WANTED) + repr(script)
    assert "PRIVATE" not in repr(WANTED) + repr(script)


def test_no_value_can_break_out_of_its_line() -> None:
    hostile = replace(WANTED, hostname="x\nnonce 00", password="\n__END__\n")
    lines = renewal(hostile, b"e", 0).stdin.decode().partition("__END__\n")[2].splitlines()
    names = [line.split(" ")[0] for line in lines]
    assert sorted(names) == sorted({*names})
    assert {"hostname", "password", "entropy", "time"} <= {*names}
    assert all(set(line.split(" ")[1]) <= set("0123456789abcdef") for line in lines)


def test_what_a_guest_prints_is_read_with_limits() -> None:
    assert said(b"nonce a\nhost_key ssh-ed25519 X\n\xff\xfe\nempty\n")["host_key"] == "ssh-ed25519 X"
    assert len(said(b"".join(b"k%d v\n" % n for n in range(10_000)))) <= 50


def test_the_scripts_take_what_differs_as_arguments_or_input_only() -> None:
    assert settling("n", "u").argv == ("/bin/sh", "-s", "n", "u")
    assert arrival(timedelta(seconds=20)).stdin.endswith(b"__END__\n20\n")
