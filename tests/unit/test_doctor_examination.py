"""All looks at once: order, deadlines, errors, and the sentence at the end."""

import time
from collections.abc import Sequence
from datetime import timedelta
from threading import Event

import pytest

from kvm_action.doctor import Finding, Level, Probe, examine, verdict
from kvm_action.doctor.finding import is_usable, ok, problem, warning
from kvm_action.errors import HostError
from kvm_action.results import AccelInfo


def probe(subject: str, *findings: Finding) -> Probe:
    return Probe(subject=subject, look=lambda: findings)


def test_findings_stand_in_the_order_of_the_probes_whichever_ends_first() -> None:
    second_is_done = Event()

    def slow() -> Sequence[Finding]:
        second_is_done.wait(5)
        return [ok("first", "")]

    def quick() -> Sequence[Finding]:
        second_is_done.set()
        return [ok("second", "")]

    found = examine([Probe(subject="a", look=slow), Probe(subject="b", look=quick)])
    assert [each.subject for each in found] == ["first", "second"]


def test_a_probe_that_hangs_neither_hangs_the_others_nor_us() -> None:
    never, begun = Event(), time.monotonic()

    def hang() -> Sequence[Finding]:
        never.wait(30)
        return []

    hanging = Probe(
        subject="libvirt", look=hang, patience=timedelta(seconds=0.1), late=Level.PROBLEM, mend_late="restart it"
    )
    found = examine([hanging, probe("b", ok("b", "well"))])
    never.set()
    assert time.monotonic() - begun < 5
    assert found[0].level is Level.PROBLEM
    assert "did not answer in" in found[0].seen
    assert found[0].mend == "restart it"
    assert found[1] == ok("b", "well")


def test_a_probe_that_has_a_machine_on_the_host_is_given_the_time_to_take_it_away() -> None:
    has_begun, patience = Event(), timedelta(seconds=2)

    def slow() -> Sequence[Finding]:
        has_begun.set()
        Event().wait(1.3 * patience.total_seconds())
        return [ok("snapshots", "")]

    assert examine([Probe(subject="a", look=slow, patience=patience, has_begun=has_begun)]) == [
        ok("snapshots", "")
    ]


@pytest.mark.parametrize(
    ("hint", "mend"),
    [("sudo apt-get install x", "sudo apt-get install x"), ("ask somebody", "# ask somebody"), ("", "")],
)
def test_an_error_of_a_probe_is_a_finding_that_can_be_pasted(hint: str, mend: str) -> None:
    def fail() -> Sequence[Finding]:
        raise HostError("QEMU is not installed", hint)

    found = examine([Probe(subject="QEMU", look=fail, late=Level.PROBLEM)])
    assert found == [problem("QEMU", "QEMU is not installed", mend)]


def test_a_file_that_cannot_be_read_is_a_finding() -> None:
    def fail() -> Sequence[Finding]:
        raise PermissionError(13, "Permission denied", "/proc/x")

    assert "Permission denied" in examine([Probe(subject="x", look=fail)])[0].seen


def test_a_bug_of_ours_is_not_hidden() -> None:
    def fail() -> Sequence[Finding]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        examine([Probe(subject="x", look=fail)])


def test_only_a_problem_makes_the_host_unusable() -> None:
    assert is_usable([ok("a", ""), warning("b", "")])
    assert not is_usable([ok("a", ""), problem("b", "")])


@pytest.mark.parametrize(
    ("findings", "accel", "expected"),
    [
        ([ok("a", "")], AccelInfo(name="kvm"), "kvm-e2e can run here with KVM; nothing to mend."),
        (
            [warning("a", ""), warning("b", "")],
            AccelInfo(name="tcg", reason="no flag"),
            "kvm-e2e can run here with TCG (emulation, many times slower): no flag; 2 warnings.",
        ),
        ([problem("a", ""), warning("b", "")], None, "kvm-e2e cannot run here: 1 problem, 1 warning."),
        ([ok("a", "")], None, "kvm-e2e can run here; nothing to mend."),
    ],
)
def test_the_verdict_is_one_sentence(findings: list[Finding], accel: AccelInfo | None, expected: str) -> None:
    assert verdict(findings, accel) == expected
