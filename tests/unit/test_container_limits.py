"""What is not testable in a container: found by asking, and never an excuse for what a script did wrong."""

import pytest

from kvm_action.backends.container_limits import excused, hit, limits_of, not_testable
from kvm_action.results import CheckOutcome, CheckResult

ORDINARY = "capabilities 00000000a82425fb\nsysctl\ndisplay\ndisks"
ALL_POWERS = "capabilities 000001ffffffffff"


def check(kind: str, name: str, message: str, outcome: CheckOutcome = CheckOutcome.FAILED) -> CheckResult:
    return CheckResult(name=name, kind=kind, outcome=outcome, seconds=0, message=message)


def test_an_ordinary_container_cannot_do_what_it_was_asked_and_could_not() -> None:
    names = {each.what for each in not_testable(limits_of(ORDINARY))}
    assert {"its own kernel", "kernel modules", "kernel parameters", "the clock", "a reboot"} <= names


def test_a_privileged_container_still_has_no_kernel_of_its_own() -> None:
    assert [each.what for each in not_testable(limits_of(ALL_POWERS))] == ["its own kernel"]


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("command", "command sysctl -n net.core.somaxconn", "it ended with exit 1"),
        ("command", "command lsmod | grep zfs", "it ended with exit 1"),
        ("service", "service lightdm runs", "service lightdm should be running, and it is failed (failed)"),
        ("command", "command ./tune.sh", "it ended with exit 1: sysctl: permission denied on key vm.swappiness"),
        ("file", "file /proc/sys/vm/swappiness", "its content is 60"),
    ],
)
def test_a_check_of_what_a_container_cannot_do_is_skipped_and_still_says_what_it_saw(
    kind: str, name: str, message: str
) -> None:
    found = excused(check(kind, name, message), limits_of(ORDINARY))
    assert found.outcome is CheckOutcome.SKIPPED
    assert "not testable in a container" in found.message
    assert message in found.message


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("command", "command grep -q 8080 /etc/hello.conf", "it ended with exit 1"),
        ("service", "service hello runs", "service hello should be running, and it is failed (failed)"),
        ("service", "service lightdm runs", "there is no service lightdm in the guest"),
        ("package", "package linux-image-amd64", "package linux-image-amd64 is not installed"),
        (
            "command",
            "command app --self-test",
            "it ended with exit 1, expected was exit 0: error after shutdown of worker",
        ),
        ("port", "port 3389 listens", "nothing listens on tcp port 3389"),
        ("file", "file /etc/sysctl.d/99-vps.conf", "there is no such file"),
        ("file", "file /etc/ufw/ufw.conf", "it does not contain ENABLED=yes"),
        ("file", "file /srv/shutdown/hook.sh", "there is no such file"),
        ("command", "command command -v nft", "it ended with exit 127"),
        ("command", "the app answers after a reboot of its worker", "it ended with exit 1"),
    ],
)
def test_what_the_script_did_wrong_stays_a_failure(kind: str, name: str, message: str) -> None:
    failed = check(kind, name, message)
    assert excused(failed, limits_of(ORDINARY)) is failed


def test_a_check_that_holds_is_never_touched_and_no_limit_means_no_excuse() -> None:
    passed = check("command", "command sysctl -a", "", CheckOutcome.PASSED)
    assert excused(passed, limits_of(ORDINARY)) is passed
    failed = check("command", "command sysctl -w x=1", "it ended with exit 255")
    assert excused(failed, limits_of(ALL_POWERS)) is failed


def test_a_check_that_could_not_be_carried_out_is_no_limit_of_the_container() -> None:
    lost = check("command", "command sysctl -a", "the machine was lost", CheckOutcome.ERROR)
    assert excused(lost, limits_of(ORDINARY)) is lost


def test_a_unit_that_excludes_containers_itself_is_known_by_systemds_own_words() -> None:
    failed = check("service", "service foo runs", "service foo should be running, and it is inactive (dead)")
    status = "  Condition: start condition failed at Tue\n  └─ ConditionVirtualization=!container was not met\n"
    assert "ConditionVirtualization=!container" in excused(failed, limits_of(ORDINARY), status).message
    own = "  └─ ConditionPathExists=/etc/foo.conf was not met\n"
    assert excused(failed, limits_of(ORDINARY), own) is failed


def test_a_scripts_last_words_point_to_the_limit_that_it_ran_into() -> None:
    limits = limits_of(ORDINARY)
    found = hit("modprobe: FATAL: Module loop not found in directory /lib/modules/6.1", limits)
    assert found
    assert found.what == "kernel modules"
    assert hit("E: Unable to locate package xfce5", limits) is None
